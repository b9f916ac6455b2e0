/**
 * Where versioned secrets lie in the mount's storage, and the only place that reads and writes them:
 *
 *   config                  what holds for the mount
 *   meta/<path>             one `Secret` and its newest values; listing this folder lists the secrets, and nothing else lies in it
 *   versions/<when>/<id>/<first>
 *                           a run of older values, the first of version <first>; <id> is the secret's own, not its path
 *
 * Values are JSON texts as they were sent; which of them lie where, places.ts decides. Nearly all reads are of the current
 * version: so it is found with one look-up, and opened at once. Runs lie by the time at which they left their secret: so what
 * moves together lies together, and a batch of writes to a thousand secrets touches a few pages of the store there, not a
 * thousand. A change of one secret is one commit of its meta and its values, under the check that the meta is still the one that
 * was read. It trusts the storage to keep what it was given (the barrier sees to that) and nothing else.
 */

import { hex, textOf } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Mount, Reply } from '../../plugin/plugin.ts';
import { charge, derived, near, placeOf } from '../../storage/near.ts';
import type { Check, Entry, Page, Place, Storage } from '../../storage/storage.ts';
import {
  besideOf,
  changing,
  forgetting,
  type Laid,
  laidIn,
  outOfRun,
  runKeyOf,
  tornBy,
  type Wanted,
} from './places.ts';
import { KeyQueue } from './queue.ts';
import { type Config, DEFAULT_CONFIG, newSecret, type Secret, type Version, versionOf } from './secret.ts';

const CONFIG = 'config';
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
export interface Known extends Laid {
  /** The current version as a whole, unless that is destroyed: nearly every read is of it. */
  readonly newest: Found | undefined;
  /** Older values that were read, by number of the version. */
  older: Map<number, Value> | undefined;
}

/** What the value of an older version costs in memory beside its text: the text of its answer is as long again, and the answer is an object too. */
const VALUE_BYTES = 768;

/** What a change wants done. `secret: null` forgets the secret with all its values. */
export interface Change<T> extends Wanted {
  readonly secret?: Secret | null;
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

  #older(known: Known, version: number): Soon<Value | undefined> {
    const { entry } = known;
    const keep = (bytes: Uint8Array | undefined): Value | undefined => {
      const text = bytes && textOf(bytes);
      if (text === undefined) return undefined;
      const value: Value = { text, kept: entry.derived !== undefined };
      charge(entry, VALUE_BYTES + 3 * text.length);
      known.older ??= new Map();
      known.older.set(version, value);
      return value;
    };
    const key = runKeyOf(known, version);
    if (key === undefined) return keep(besideOf(known, version));
    return this.#mount.storage.get(key).then((run) => keep(run && outOfRun(known, version, run)));
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
        if (change.secret === null) {
          const revision = await storage.commit(forgetting(key, before), [check]);
          return { result: change.result, revision };
        }
        const torn = tornBy(before, change.secret, change);
        const runs = torn.length === 0 ? [] : await this.#there(torn);
        const revision = await storage.commit(changing(key, before, change.secret, change, runs), [check]);
        return { result: change.result, revision };
      }),
    );
  }

  /** The entries of these keys. Of a secret that somebody else changed meanwhile one may be gone; its commit will fail. */
  async #there(keys: readonly string[]): Promise<Entry[]> {
    const entries = await Promise.all(keys.map((key) => this.#mount.storage.get(key)));
    return entries.filter((entry) => entry !== undefined);
  }

  /** A secret that was not there before. */
  create(): Secret {
    return newSecret(hex(this.#mount.random(16)), this.#mount.clock.now());
  }
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
  const { secret, places, start } = laidIn(entry);
  const number = secret.current;
  const version = versionOf(secret, number);
  const length = places.beside[0] ?? 0;
  const text = length === 0 ? undefined : textOf(entry.value.subarray(start, start + length));
  const newest =
    version === undefined || text === undefined
      ? undefined
      : { secret, number, version, value: { text, kept: entry.derived !== undefined } };
  return { secret, places, entry, start, newest, older: undefined };
}

const metaKey = (path: string): string => `meta/${path}`;

/** Records have neither numbers that a double would change nor members in an order of their own. */
const encode = (config: Config): Uint8Array => Buffer.from(JSON.stringify(config));

function parsed<T>(key: string, text: string | undefined): T {
  if (text === undefined) throw failure('storage.corrupt', { key });
  try {
    return JSON.parse(text) as T;
  } catch {
    throw failure('storage.corrupt', { key });
  }
}
