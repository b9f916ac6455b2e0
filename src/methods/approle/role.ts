/**
 * A role, and finding it by its name or by its role id. Secret ids hang on the role's `uuid`, which no other role ever has:
 * a role that is made again under the same name does not bring the old ones back.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { derived, near } from '../../storage/near.ts';
import type { Entry, Storage, Write } from '../../storage/storage.ts';
import { NO_TOKEN_FIELDS, type TokenFields } from '../token-fields.ts';
import type { Hash } from './hash.ts';

export interface Role {
  readonly uuid: string;
  readonly roleId: string;
  /** A login needs a secret id. */
  readonly bindSecretId: boolean;
  readonly secretIdCidrs: readonly string[];
  /** 0: as often as one likes. */
  readonly secretIdUses: number;
  /** Milliseconds; 0: for ever. */
  readonly secretIdTtlMs: number;
  readonly localSecretIds: boolean;
  readonly token: TokenFields;
}

export const newRole = (uuid: string, roleId: string): Role => ({
  uuid,
  roleId,
  bindSecretId: true,
  secretIdCidrs: [],
  secretIdUses: 0,
  secretIdTtlMs: 0,
  localSecretIds: false,
  token: NO_TOKEN_FIELDS,
});

export interface Found {
  readonly role: Role;
  readonly revision: number;
}

const FOLDER = 'role/';
const TRIES = 8;
export const roleKey = (name: string): string => FOLDER + name;
const idKey = (hash: string): string => `role-id/${hash}`;

export class Roles {
  readonly #storage: Storage;
  readonly #hash: Hash;

  constructor(storage: Storage, hash: Hash) {
    this.#storage = storage;
    this.#hash = hash;
  }

  names(): Promise<string[]> {
    return this.#storage.list(FOLDER);
  }

  async get(name: string): Promise<Found | undefined> {
    const entry = await this.#storage.get(roleKey(name));
    return entry && readRole(entry);
  }

  /** @throws Failure approle.unknown_role */
  async known(name: string): Promise<Found> {
    const found = await this.get(name);
    if (found === undefined) throw failure('approle.unknown_role', { name: printable(name) });
    return found;
  }

  /** The role that a role id stands for, from memory where it was read before. Reads as much for one that stands for none. */
  async byRoleId(roleId: string): Promise<{ name: string; role: Role } | undefined> {
    const entry = await near(this.#storage, idKey(await this.#hash(`role-id/${roleId}`)));
    const name = (entry && textOf(entry.value)) ?? '';
    const role = await near(this.#storage, roleKey(name === '' ? 'no/such/role' : name));
    const found = role && derived(role, readRole);
    return found?.role.roleId === roleId ? { name, role: found.role } : undefined;
  }

  /**
   * Writes what `change` makes of the role as it is; nobody's change is lost, and no two roles share a role id.
   * @throws Failure approle.invalid, and what `change` throws
   */
  async change(name: string, change: (before: Role | undefined) => Role): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await this.get(name);
      const role = change(found?.role);
      const writes: Write[] = [{ key: roleKey(name), value: utf8(stringify(role)) }];
      const checks = [{ key: roleKey(name), revision: found?.revision ?? 0 }];
      if (found?.role.roleId !== role.roleId) {
        const taken = idKey(await this.#hash(`role-id/${role.roleId}`));
        if ((await this.#storage.get(taken)) !== undefined)
          throw failure('approle.invalid', { reason: 'role_id already in use' });
        writes.push({ key: taken, value: utf8(name) });
        checks.push({ key: taken, revision: 0 });
        if (found !== undefined)
          writes.push({ key: idKey(await this.#hash(`role-id/${found.role.roleId}`)), delete: true });
      }
      try {
        await this.#storage.commit(writes, checks);
        return;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
    throw failure('storage.conflict', { key: roleKey(name) });
  }

  /** @returns the role as it was, whose secret ids no login takes any more */
  async delete(name: string): Promise<Role | undefined> {
    for (;;) {
      const found = await this.get(name);
      if (found === undefined) return undefined;
      try {
        await this.#storage.commit(
          [
            { key: roleKey(name), delete: true },
            { key: idKey(await this.#hash(`role-id/${found.role.roleId}`)), delete: true },
          ],
          [{ key: roleKey(name), revision: found.revision }],
        );
        return found.role;
      } catch (error) {
        if (!isFailure(error, 'storage.conflict')) throw error;
      }
    }
  }
}

function readRole({ value, revision }: Entry): Found | undefined {
  const text = textOf(value);
  return text === undefined ? undefined : { role: JSON.parse(text) as Role, revision };
}

const printable = (name: string): string => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 128);
