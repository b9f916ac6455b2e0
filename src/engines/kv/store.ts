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
import { derived, near } from '../../storage/near.ts';
import type { Check, Entry, Page, Write } from '../../storage/storage.ts';
import { KeyQueue } from './queue.ts';
import { type Config, DEFAULT_CONFIG, newSecret, type Secret } from './secret.ts';

const CONFIG = 'config';
/** Other nodes may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;

/** A version as it lies in storage, which never changes while it is there. */
export interface Value {
  /** JSON. */
  readonly text: string;
  /** The answer that tells it, and the very record of its secret that the answer was made with. */
  told?: { readonly secret: Secret; readonly reply: Reply };
}

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

  /** What is known of a secret; from memory where it was read before, and `fresh` asks the store itself. */
  secret(path: string, fresh = false): Soon<Secret | undefined> {
    const { storage } = this.#mount;
    const key = metaKey(path);
    return after(fresh ? storage.get(key) : near(storage, key), (entry) => entry && derived(entry, secretOf));
  }

  /** A version's value; undefined where it was trimmed, destroyed or forgotten since the secret was read. */
  value(secret: Secret, version: number): Soon<Value | undefined> {
    const key = versionKey(secret.id, version);
    return after(near(this.#mount.storage, key), (entry) => entry && derived(entry, versionOf));
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
        const before = entry && derived(entry, secretOf);
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

const secretOf = ({ key, value }: Entry): Secret => decode<Secret>(key, value);

function versionOf({ key, value }: Entry): Value {
  const text = textOf(value);
  if (text === undefined) throw failure('storage.corrupt', { key });
  return { text };
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
