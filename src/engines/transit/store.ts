/**
 * Where named keys lie in the mount's storage, and the only place that reads and writes them:
 *
 *   key/<name>              one `Key` (JSON), without secrets; listing this folder lists the keys
 *   material/<id>/<number>  the secret bytes of one version; <id> is the key's own, not its name
 *   wrapping                the RSA key under which keys may be brought in: PKCS #8 DER
 *   settings                what holds for the mount (JSON)
 *
 * A change of a key is one commit of record and bytes, under the check that the record is still the one that was read. No
 * secret is cached: its bytes live for one operation, in buffers that are wiped after it. It trusts the storage to keep
 * what it was given (the barrier sees to that) and nothing else.
 */

import { hex, textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { after, type Soon } from '../../base/soon.ts';
import { generateKey } from '../../crypto/keys.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { derived, near } from '../../storage/near.ts';
import type { Entry, Page, Write } from '../../storage/storage.ts';
import type { Key } from './key.ts';

/** The secret bytes of one version: the key, and beside it one for HMAC, so that no key does two things. */
export interface Material {
  readonly secret: Buffer;
  readonly hmac: Buffer;
}

export interface Settings {
  /** Whether a key that does not exist is not made by encrypting under it. */
  readonly disableUpsert: boolean;
  /** As clients set it: see `routes/settings.ts`. */
  readonly cacheSize: number;
}

/** What a change wants done. `key: null` forgets the key with everything. */
export interface Change<T> {
  readonly key?: Key | null;
  /** Bytes of versions that are new. */
  readonly material?: Readonly<Record<number, Material>>;
  /** Numbers of versions whose bytes go. */
  readonly drop?: readonly number[];
  readonly result: T;
}

/** Other nodes may win this often in a row before a writer gives up. */
const MOST_TRIES = 32;
const SETTINGS = 'settings';
const WRAPPING = 'wrapping';
const WRAPPING_BITS = 4096;
const NO_SETTINGS: Settings = { disableUpsert: false, cacheSize: 0 };

export class KeyStore {
  readonly #mount: Mount;
  #wrappingKey: Promise<Buffer> | undefined;

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  /** A key's record, from memory where it was read before: it holds no secret, and nobody may change it. */
  get(name: string): Soon<Key | undefined> {
    return after(near(this.#mount.storage, keyAt(name)), (entry) => entry && derived(entry, keyOf));
  }

  list(page: Page): Promise<string[]> {
    return this.#mount.storage.list('key/', page);
  }

  newId(): string {
    return hex(this.#mount.random(16));
  }

  /** A copy of a version's bytes, the caller's to wipe; undefined where it was trimmed since the record was read. */
  async material(key: Key, version: number): Promise<Material | undefined> {
    const entry = await this.#mount.storage.get(materialAt(key, version));
    if (entry === undefined) return undefined;
    return unpack(entry.value) ?? corrupt(materialAt(key, version));
  }

  /**
   * Reads a key, asks `rule` what to do with it, and commits that as a whole. `rule` is asked again when somebody else was
   * faster, and may throw. A `rule` that gives no `key` changes nothing.
   * @throws Failure transit.busy, and what `rule` throws
   */
  async change<T>(
    name: string,
    rule: (before: Key | undefined) => Change<T> | Promise<Change<T>>,
  ): Promise<T> {
    const at = keyAt(name);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const entry = await this.#mount.storage.get(at);
      const before = entry && decode<Key>(at, entry.value);
      const change = await rule(before);
      if (change.key === undefined) return change.result;
      const writes = writesOf(at, before, change.key, change);
      try {
        await this.#mount.storage.commit(writes, [{ key: at, revision: entry?.revision ?? 0 }]);
        return change.result;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('transit.busy');
  }

  async settings(): Promise<Settings> {
    const entry = await this.#mount.storage.get(SETTINGS);
    return entry === undefined ? NO_SETTINGS : decode<Settings>(SETTINGS, entry.value);
  }

  async changeSettings(rule: (before: Settings) => Settings): Promise<Settings> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const entry = await this.#mount.storage.get(SETTINGS);
      const after = rule(entry === undefined ? NO_SETTINGS : decode<Settings>(SETTINGS, entry.value));
      try {
        await this.#mount.storage.commit(
          [{ key: SETTINGS, value: utf8(stringify(after)) }],
          [{ key: SETTINGS, revision: entry?.revision ?? 0 }],
        );
        return after;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('transit.busy');
  }

  /** The mount's wrapping key in PKCS #8 DER, made when it is first asked for; a copy, the caller's to wipe. */
  async wrappingKey(): Promise<Buffer> {
    const entry = await this.#mount.storage.get(WRAPPING);
    if (entry !== undefined) return Buffer.from(entry.value);
    // Many may ask at once, and it takes seconds to make: one is made, and whoever commits first has it.
    this.#wrappingKey ??= generateKey({ kind: 'rsa', bits: WRAPPING_BITS });
    try {
      const made = await this.#wrappingKey;
      await this.#mount.storage.commit(
        [{ key: WRAPPING, value: Buffer.from(made) }],
        [{ key: WRAPPING, revision: 0 }],
      );
    } catch (error) {
      if (!isFailure(error, 'storage.conflict')) throw error;
    } finally {
      this.#wrappingKey = undefined;
    }
    const kept = await this.#mount.storage.get(WRAPPING);
    return kept === undefined ? corrupt(WRAPPING) : Buffer.from(kept.value);
  }
}

function writesOf<T>(
  at: string,
  before: Key | undefined,
  after: Key | null,
  { material = {}, drop = [] }: Change<T>,
): Write[] {
  const gone =
    before !== undefined && before.id !== after?.id
      ? Object.keys(before.versions).map((number) => materialAt(before, Number(number)))
      : [];
  const all: Write[] = gone.map((key) => ({ key, delete: true }));
  if (after === null) return [{ key: at, delete: true }, ...all];
  all.push({ key: at, value: utf8(stringify(after)) });
  for (const [number, value] of Object.entries(material))
    all.push({ key: materialAt(after, Number(number)), value: pack(value) });
  for (const number of drop) all.push({ key: materialAt(after, number), delete: true });
  return all;
}

const keyAt = (name: string): string => `key/${name}`;
const materialAt = (key: Key, version: number): string => `material/${key.id}/${version}`;

/** Format 1: that number, the length of the key in four bytes, the key, the HMAC key. */
const FORMAT = 1;
const HEAD_BYTES = 5;

function pack({ secret, hmac }: Material): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = FORMAT;
  head.writeUInt32BE(secret.length, 1);
  return Buffer.concat([head, secret, hmac]);
}

function unpack(bytes: Uint8Array): Material | undefined {
  if (bytes.length < HEAD_BYTES || bytes[0] !== FORMAT) return undefined;
  const all = Buffer.from(bytes);
  const end = HEAD_BYTES + all.readUInt32BE(1);
  return end > all.length ? undefined : { secret: all.subarray(HEAD_BYTES, end), hmac: all.subarray(end) };
}

export const wipeMaterial = ({ secret, hmac }: Material): void => wipe(secret, hmac);

function decode<T>(key: string, bytes: Uint8Array): T {
  const text = textOf(bytes);
  if (text === undefined) return corrupt(key);
  try {
    return JSON.parse(text) as T;
  } catch {
    return corrupt(key);
  }
}

const keyOf = ({ key, value }: Entry): Key => decode<Key>(key, value);

function corrupt(key: string): never {
  throw failure('storage.corrupt', { key });
}
