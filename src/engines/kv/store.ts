/**
 * Where versioned secrets lie in the mount's storage, and the only place that reads and writes them:
 *
 *   config                  what holds for the mount
 *   meta/<path>             one `Secret` (JSON); listing this folder lists the secrets, and nothing else lies in it
 *   versions/<id>/<number>  the JSON text of one version, as it was sent; <id> is the secret's own, not its path
 *
 * A change of one secret is one commit of its meta and its values, under the check that the meta is still the one that
 * was read. It trusts the storage to keep what it was given (the barrier sees to that) and nothing else.
 */

import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Mount, Reply } from '../../plugin/plugin.ts';
import { charge, derived, near } from '../../storage/near.ts';
import type { Check, Entry, Page, Write } from '../../storage/storage.ts';
import { KeyQueue } from './queue.ts';
import { type Config, DEFAULT_CONFIG, newSecret, type Secret } from './secret.ts';

const CONFIG = 'config';
/** Other nodes may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;

/** The value of one version. */
export interface Value {
  /** JSON. */
  readonly text: string;
  /** The answer that tells it, once it was made. */
  told?: Reply;
}

/**
 * A secret as it was read, with the values that were read since. A value neither changes nor goes but in one commit with the
 * record of its secret: so what was read beside that very record stands for as long as the record is kept.
 */
export interface Known {
  readonly secret: Secret;
  readonly entry: Entry;
  /** By number of the version. */
  readonly values: Map<number, Value>;
}

/** What a kept value costs beside its text: the text of its answer is as long again, and the answer is an object too. */
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

  secret(path: string): Soon<Secret | undefined> {
    return after(this.known(path), (known) => known?.secret);
  }

  /** A secret, from memory where it was read before; `fresh` asks the store itself. */
  known(path: string, fresh = false): Soon<Known | undefined> {
    const { storage } = this.#mount;
    const key = metaKey(path);
    return after(fresh ? storage.get(key) : near(storage, key), (entry) => entry && derived(entry, knownOf));
  }

  /** The JSON text of a version; undefined where it was trimmed, destroyed or forgotten since the secret was read. */
  async text(secret: Secret, version: number): Promise<string | undefined> {
    const entry = await this.#mount.storage.get(versionKey(secret.id, version));
    return entry && textOf(entry.value);
  }

  /** As `text`, kept beside the secret. */
  value(known: Known, version: number): Soon<Value | undefined> {
    return known.values.get(version) ?? this.#value(known, version);
  }

  async #value({ secret, entry, values }: Known, version: number): Promise<Value | undefined> {
    const text = await this.text(secret, version);
    if (text === undefined) return undefined;
    const value: Value = { text };
    charge(entry, VALUE_BYTES + 3 * text.length);
    values.set(version, value);
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
  async change<T>(
    path: string,
    rule: (before: Secret | undefined) => Change<T> | Promise<Change<T>>,
  ): Promise<Changed<T>> {
    const key = metaKey(path);
    return this.#queue.run(key, () =>
      retry(async (tries) => {
        const { storage } = this.#mount;
        const entry = await (tries === 0 ? near(storage, key) : storage.get(key));
        const before = entry && derived(entry, knownOf).secret;
        const change = await rule(before);
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
  before: Secret | undefined,
  after: Secret | null,
  { value, drop = [] }: { readonly value?: string; readonly drop?: readonly number[] },
): Write[] {
  if (after === null) {
    const gone = Object.keys(before?.versions ?? {}).map((number) =>
      versionKey(before?.id ?? '', Number(number)),
    );
    return [key, ...gone].map((name): Write => ({ key: name, delete: true }));
  }
  const all: Write[] = [{ key, value: encode(after) }];
  if (value !== undefined) all.push({ key: versionKey(after.id, after.current), value: utf8(value) });
  for (const number of drop) all.push({ key: versionKey(after.id, number), delete: true });
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

const readConfig = ({ key, value }: Entry): Config => decode<Config>(key, value);

function knownOf(entry: Entry): Known {
  return { secret: decode<Secret>(entry.key, entry.value), entry, values: new Map() };
}

const metaKey = (path: string): string => `meta/${path}`;
const versionKey = (id: string, version: number): string => `versions/${id}/${version}`;
/** Records have neither numbers that a double would change nor members in an order of their own. */
const encode = (value: Secret | Config): Uint8Array => Buffer.from(JSON.stringify(value));

function decode<T>(key: string, bytes: Uint8Array): T {
  const text = textOf(bytes);
  if (text === undefined) throw failure('storage.corrupt', { key });
  try {
    return JSON.parse(text) as T;
  } catch {
    throw failure('storage.corrupt', { key });
  }
}
