/**
 * Where versioned secrets lie in the mount's storage, and the only place that reads and writes them:
 *
 *   config                  what holds for the mount
 *   meta/<path>             one `Secret` (JSON) and, on a line of its own, the value of its current version; listing this
 *                           folder lists the secrets, and nothing else lies in it
 *   versions/<when>/<id>/<number>
 *                           the JSON text of an older version, as it was sent; <id> is the secret's own, not its path
 *
 * Nearly all reads are of the current version: so it is found with one look-up, and opened at once. It moves to its own entry
 * when the next version takes its place, by the time of that: so what is moved together lies together, and a batch of writes
 * to a thousand secrets touches a few pages of the store there, not a thousand. A change of one secret is one commit of its meta and its values, under the check that
 * the meta is still the one that was read. It trusts the storage to keep what it was given (the barrier sees to that) and
 * nothing else.
 */

import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Mount, Reply } from '../../plugin/plugin.ts';
import { charge, derived, near, placeOf } from '../../storage/near.ts';
import type { Check, Entry, Page, Place, Storage, Write } from '../../storage/storage.ts';
import { KeyQueue } from './queue.ts';
import {
  type Config,
  DEFAULT_CONFIG,
  newSecret,
  numbersOf,
  type Secret,
  type Version,
  versionOf,
} from './secret.ts';

const CONFIG = 'config';
/** Of milliseconds since the epoch in hexadecimal, so that they sort by time. */
const WHEN_DIGITS = 12;
/** Other nodes may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;

/** The value of one version. */
export interface Value {
  /** JSON. */
  readonly text: string;
  /** Whether it stays in memory, and what is made of it with it. */
  readonly kept: boolean;
  /** The answer that tells it, once it was made. */
  told?: Reply;
}

/** A version of a secret. */
export interface Found {
  readonly secret: Secret;
  readonly number: number;
  readonly version: Version;
  /** Undefined where the version is deleted or destroyed. */
  readonly value: Value | undefined;
}

/**
 * A secret as it was read, with the values that were read since. A value neither changes nor goes but in one commit with the
 * record of its secret: so what was read beside that very record stands for as long as the record is kept.
 */
export interface Known {
  readonly secret: Secret;
  readonly entry: Entry;
  /** JSON text of the current version, where it lies beside its secret. */
  readonly current: string | undefined;
  /** The current version as a whole, where its value lies beside its secret: nearly every read is of it. */
  readonly newest: Found | undefined;
  /** Older values that were read, by number of the version. */
  older: Map<number, Value> | undefined;
}

/** What the value of an older version costs in memory beside its text: the text of its answer is as long again, and the answer is an object too. */
const VALUE_BYTES = 768;

/** What a change wants done. `secret: null` forgets the secret with all its values. */
export interface Change<T> {
  readonly secret?: Secret | null;
  /** The value of a new version, which is `secret.current`. */
  readonly value?: string;
  /** Numbers of versions whose values go. */
  readonly drop?: readonly number[];
  readonly result: T;
}

export interface Changed<T> {
  readonly result: T;
  /** Revision of the commit; undefined where nothing had to change. */
  readonly revision: number | undefined;
}

/** A name that secrets are read by: what belongs to it is worked out once, for who asks for it again and again. */
export class Named {
  /** The "*path" of a route. */
  readonly given: string;
  readonly key: string;
  readonly place: Place;

  constructor(given: string, storage: Storage) {
    this.given = given;
    this.key = metaKey(given);
    this.place = placeOf(storage, this.key);
  }
}

export class SecretStore {
  readonly #mount: Mount;
  readonly #queue = new KeyQueue();

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  config(): Soon<Config> {
    return after(near(this.#mount.storage, CONFIG), configOf);
  }

  /** Gives the revision of the commit. */
  async changeConfig(rule: (before: Config) => Config): Promise<number> {
    return this.#queue.run('', () =>
      retry(async () => {
        const entry = await this.#mount.storage.get(CONFIG);
        return this.#mount.storage.commit(
          [{ key: CONFIG, value: encode(rule(configOf(entry))) }],
          [{ key: CONFIG, revision: entry?.revision ?? 0 }],
        );
      }),
    );
  }

  /** Asked before each write, to tell making from changing: so the record is not read for it. */
  has(path: string): Soon<boolean> {
    return after(near(this.#mount.storage, metaKey(path)), (entry) => entry !== undefined);
  }

  secret(path: string): Soon<Secret | undefined> {
    return after(this.known(this.named(path)), (known) => known?.secret);
  }

  named(path: string): Named {
    return new Named(path, this.#mount.storage);
  }

  /** A secret, from memory where it was read before; `fresh` asks the store itself. */
  known({ key, place }: Named, fresh = false): Soon<Known | undefined> {
    return after(
      fresh ? this.#mount.storage.get(key) : place.near(),
      (entry) => entry && derived(entry, knownOf),
    );
  }

  /** A version; undefined where it was trimmed, destroyed or forgotten since the secret was read. */
  value(known: Known, version: number): Soon<Value | undefined> {
    if (known.newest?.number === version) return known.newest.value;
    return known.older?.get(version) ?? this.#older(known, version);
  }

  async #older(known: Known, version: number): Promise<Value | undefined> {
    const { secret, entry } = known;
    const key = versionKey(secret, version);
    const found = key === undefined ? undefined : await this.#mount.storage.get(key);
    const text = found && textOf(found.value);
    if (text === undefined) return undefined;
    const value: Value = { text, kept: entry.derived !== undefined };
    charge(entry, VALUE_BYTES + 3 * text.length);
    known.older ??= new Map();
    known.older.set(version, value);
    return value;
  }

  /** Children of a folder ("" or ending in "/"): secrets, and folders that end in "/". */
  list(folder: string, page?: Page): Promise<string[]> {
    return this.#mount.storage.list(`meta/${folder}`, page);
  }

  /**
   * Reads a secret, from memory at first, asks `rule` what to do with it, and commits that as a whole. `rule` is asked again,
   * about what the store itself says, when somebody else was faster, and may throw. A `rule` that gives no `secret` changes nothing.
   * @throws Failure kv.busy, and what `rule` throws
   */
  change<T>(
    path: string,
    rule: (before: Secret | undefined, known: Known | undefined) => Change<T> | Promise<Change<T>>,
  ): Promise<Changed<T>> {
    const key = metaKey(path);
    return this.#queue.run(key, () =>
      retry(async (tries) => {
        const { storage } = this.#mount;
        const entry = await (tries === 0 ? near(storage, key) : storage.get(key));
        const before = entry && derived(entry, knownOf);
        const change = await rule(before?.secret, before);
        if (change.secret === undefined) return { result: change.result, revision: undefined };
        const check: Check = { key, revision: entry?.revision ?? 0 };
        const revision = await storage.commit(writes(key, before, change.secret, change), [check]);
        return { result: change.result, revision };
      }),
    );
  }

  /** A secret that was not there before. */
  create(): Secret {
    return newSecret(hex(this.#mount.random(16)), this.#mount.clock.now());
  }
}

function writes(
  key: string,
  before: Known | undefined,
  after: Secret | null,
  { value, drop = [] }: { readonly value?: string; readonly drop?: readonly number[] },
): Write[] {
  const inside = before?.current === undefined ? undefined : before.secret.current;
  /** Deletes what lies in entries of its own. */
  const gone = (secret: Secret, numbers: readonly number[]): Write[] =>
    numbers.flatMap((number): Write[] => {
      const older = number === inside ? undefined : versionKey(secret, number);
      return older === undefined ? [] : [{ key: older, delete: true }];
    });
  if (after === null) {
    return [
      { key, delete: true },
      ...(before === undefined ? [] : gone(before.secret, numbersOf(before.secret))),
    ];
  }
  const kept = inside === undefined || drop.includes(inside) ? undefined : before?.current;
  const all: Write[] = [{ key, value: encodeRecord(after, value ?? kept) }];
  if (before !== undefined) all.push(...gone(before.secret, drop));
  const moved =
    value === undefined || kept === undefined || inside === undefined ? undefined : versionKey(after, inside);
  if (moved !== undefined) all.push({ key: moved, value: utf8(kept as string) });
  return all;
}

async function retry<T>(attempt: (tries: number) => Promise<T>): Promise<T> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      return await attempt(tries);
    } catch (error) {
      if (!isFailure(error, 'storage.conflict')) throw error;
    }
  }
  throw failure('kv.busy');
}

const configOf = (entry: Entry | undefined): Config =>
  entry === undefined ? DEFAULT_CONFIG : derived(entry, readConfig);

const readConfig = ({ key, value }: Entry): Config => parsed<Config>(key, textOf(value));

function knownOf(entry: Entry): Known {
  const text = textOf(entry.value);
  if (text === undefined) throw failure('storage.corrupt', { key: entry.key });
  // JSON as it is written here has no line feed of its own.
  const end = text.indexOf('\n');
  const secret = parsed<Secret>(entry.key, end === -1 ? text : text.slice(0, end));
  if (end === -1) return { secret, entry, current: undefined, newest: undefined, older: undefined };
  const current = text.slice(end + 1);
  const number = secret.current;
  const version = versionOf(secret, number);
  const newest = version && {
    secret,
    number,
    version,
    value: { text: current, kept: entry.derived !== undefined },
  };
  return { secret, entry, current, newest, older: undefined };
}

const metaKey = (path: string): string => `meta/${path}`;

/** Where an older version lies; undefined where none has taken its place. */
function versionKey(secret: Secret, version: number): string | undefined {
  const next = versionOf(secret, version + 1);
  return next && `versions/${next.created.toString(16).padStart(WHEN_DIGITS, '0')}/${secret.id}/${version}`;
}

/** Records have neither numbers that a double would change nor members in an order of their own. */
const encode = (config: Config): Uint8Array => Buffer.from(JSON.stringify(config));

/** @param value JSON text of the current version; absent where that is destroyed, or there is none */
const encodeRecord = (secret: Secret, value: string | undefined): Uint8Array =>
  Buffer.from(value === undefined ? JSON.stringify(secret) : `${JSON.stringify(secret)}\n${value}`);

function parsed<T>(key: string, text: string | undefined): T {
  if (text === undefined) throw failure('storage.corrupt', { key });
  try {
    return JSON.parse(text) as T;
  } catch {
    throw failure('storage.corrupt', { key });
  }
}
