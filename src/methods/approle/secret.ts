/**
 * Secret ids. Only their HMACs are stored; the id itself is told once, when it is made. Uses are counted one by one, by
 * conditional writes: of all who come with the last use at once, one gets in.
 *
 * Layout: secret/<role uuid>/<hash of the secret id>, accessor/<hash of the accessor>.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Storage, Write } from '../../storage/storage.ts';
import type { Hash } from './hash.ts';
import { type Found, roleKey } from './role.ts';

/** Times in milliseconds since the epoch. */
export interface SecretId {
  readonly accessor: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly cidrs: readonly string[];
  readonly tokenCidrs: readonly string[];
  /** Uses left; 0: as many as one likes. */
  readonly uses: number;
  readonly ttlMs: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Absent: never. */
  readonly expiresAt?: number;
}

/** A secret id as it was read. */
export interface Stored {
  readonly key: string;
  readonly secret: SecretId;
  readonly revision: number;
}

const FOLDER = 'secret/';
const ACCESSORS = 'accessor/';
const folderOf = (uuid: string): string => `${FOLDER}${uuid}/`;

export class SecretIds {
  readonly #storage: Storage;
  readonly #hash: Hash;
  readonly #clock: Clock;

  constructor(storage: Storage, hash: Hash, clock: Clock) {
    this.#storage = storage;
    this.#hash = hash;
    this.#clock = clock;
  }

  /**
   * Keeps a new secret id of a role.
   * @throws Failure approle.invalid where it exists, storage.conflict where the role was changed meanwhile
   */
  async add(name: string, { role, revision }: Found, secretId: string, secret: SecretId): Promise<void> {
    const key = folderOf(role.uuid) + (await this.#hashOf(secretId));
    const accessor = await this.#accessorKey(secret.accessor);
    try {
      await this.#storage.commit(
        [
          { key, value: utf8(stringify(secret)) },
          { key: accessor, value: utf8(key) },
        ],
        [
          { key, revision: 0 },
          { key: roleKey(name), revision },
        ],
      );
    } catch (error) {
      if (isFailure(error, 'storage.conflict') && (await this.#storage.get(key)) !== undefined)
        throw failure('approle.invalid', { reason: 'SecretID is already registered' });
      throw error;
    }
  }

  /** The living secret id of a role; `uuid` undefined reads as much, and finds nothing. */
  async find(uuid: string | undefined, secretId: string): Promise<Stored | undefined> {
    const hash = await this.#hashOf(secretId);
    const stored = await this.#load(folderOf(uuid ?? 'nobody') + hash);
    return stored && this.#alive(stored.secret) ? stored : undefined;
  }

  /** Takes one use of a secret id that was found. @returns whether there was one left */
  async use(found: Stored): Promise<boolean> {
    const { key } = found;
    for (let stored: Stored | undefined = found; ; stored = await this.#load(key)) {
      if (stored === undefined || !this.#alive(stored.secret)) return false;
      const { secret, revision } = stored;
      // What has no count was just read: there is nothing to take.
      if (secret.uses === 0) return true;
      const next = { ...secret, uses: secret.uses - 1, updatedAt: this.#clock.now() };
      const writes: Write[] =
        next.uses === 0 ? await this.#removal(key, secret) : [{ key, value: utf8(stringify(next)) }];
      try {
        await this.#storage.commit(writes, [{ key, revision }]);
        return true;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
  }

  /** By accessor; of this role alone, so that a policy on one role does not reach into another. */
  async byAccessor(uuid: string, accessor: string): Promise<SecretId | undefined> {
    const stored = await this.#storedBy(uuid, accessor);
    return stored && this.#alive(stored.secret) ? stored.secret : undefined;
  }

  /** @returns whether there was one */
  async destroy(uuid: string, secretId: string): Promise<boolean> {
    return this.#remove(await this.#load(folderOf(uuid) + (await this.#hashOf(secretId))));
  }

  /** @returns whether there was one */
  async destroyByAccessor(uuid: string, accessor: string): Promise<boolean> {
    return this.#remove(await this.#storedBy(uuid, accessor));
  }

  async accessors(uuid: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { secret } of this.#scan(folderOf(uuid)))
      if (this.#alive(secret)) found.push(secret.accessor);
    return found.sort();
  }

  /** Takes away all of a role that is gone. */
  async wipe(uuid: string): Promise<void> {
    for await (const stored of this.#scan(folderOf(uuid))) await this.#remove(stored);
  }

  /**
   * Clears away what has expired, what belongs to no role, and accessors of nothing.
   * @param uuids reads those of all roles that there are
   * @returns how many
   */
  async tidy(uuids: () => Promise<readonly string[]>): Promise<number> {
    let cleared = 0;
    const roles = new Map<string, boolean>();
    const isRole = async (uuid: string): Promise<boolean> => {
      // Read after the secret id was: a role is older than its secret ids, so a new one is not taken for none.
      if (!roles.has(uuid)) for (const known of await uuids()) roles.set(known, true);
      if (!roles.has(uuid)) roles.set(uuid, false);
      return roles.get(uuid) === true;
    };
    for await (const stored of this.#scan(FOLDER)) {
      const uuid = stored.key.split('/')[1] ?? '';
      if (this.#alive(stored.secret) && (await isRole(uuid))) continue;
      if (await this.#remove(stored)) cleared++;
    }
    for await (const { key, value, revision } of this.#storage.scan(
      ACCESSORS,
      new AbortController().signal,
    )) {
      const secret = textOf(value) ?? '';
      if ((await this.#storage.get(secret)) !== undefined) continue;
      if (await this.#tried([{ key, delete: true }], [{ key, revision }])) cleared++;
    }
    return cleared;
  }

  async *#scan(prefix: string): AsyncGenerator<Stored> {
    for await (const { key, value, revision } of this.#storage.scan(prefix, new AbortController().signal))
      yield { key, secret: JSON.parse(textOf(value) ?? '') as SecretId, revision };
  }

  async #load(key: string): Promise<Stored | undefined> {
    const entry = await this.#storage.get(key);
    const text = entry && textOf(entry.value);
    return entry === undefined || text === undefined
      ? undefined
      : { key, secret: JSON.parse(text) as SecretId, revision: entry.revision };
  }

  async #storedBy(uuid: string, accessor: string): Promise<Stored | undefined> {
    const entry = await this.#storage.get(await this.#accessorKey(accessor));
    const key = entry && textOf(entry.value);
    if (key === undefined || !key.startsWith(folderOf(uuid))) return undefined;
    const stored = await this.#load(key);
    return stored?.secret.accessor === accessor ? stored : undefined;
  }

  async #remove(stored: Stored | undefined): Promise<boolean> {
    if (stored === undefined) return false;
    await this.#storage.commit(await this.#removal(stored.key, stored.secret));
    return true;
  }

  async #removal(key: string, { accessor }: SecretId): Promise<Write[]> {
    return [
      { key, delete: true },
      { key: await this.#accessorKey(accessor), delete: true },
    ];
  }

  async #tried(writes: Write[], checks: { key: string; revision: number }[]): Promise<boolean> {
    try {
      await this.#storage.commit(writes, checks);
      return true;
    } catch (error) {
      if (isFailure(error, 'storage.conflict')) return false;
      throw error;
    }
  }

  #alive({ expiresAt }: SecretId): boolean {
    return expiresAt === undefined || expiresAt > this.#clock.now();
  }

  #hashOf(secretId: string): Promise<string> {
    return this.#hash(`secret-id/${secretId}`);
  }

  async #accessorKey(accessor: string): Promise<string> {
    return ACCESSORS + (await this.#hash(`accessor/${accessor}`));
  }
}
