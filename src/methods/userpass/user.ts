/** A user: what the password must be, and what a login gets. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Storage } from '../../storage/storage.ts';
import type { TokenFields } from '../token-fields.ts';

export interface User {
  /** bcrypt. Never told to anybody. */
  readonly passwordHash: string;
  readonly token: TokenFields;
}

const FOLDER = 'user/';
const TRIES = 8;
const keyOf = (name: string): string => FOLDER + name;

export const userNames = (storage: Storage): Promise<string[]> => storage.list(FOLDER);

export async function readUser(storage: Storage, name: string): Promise<User | undefined> {
  return (await load(storage, name))?.user;
}

/**
 * Writes what `change` makes of the user as it is; nobody's change is lost.
 * @throws Failure storage.conflict where others write all the time, and what `change` throws
 */
export async function changeUser(
  storage: Storage,
  name: string,
  change: (before: User | undefined) => User,
): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const found = await load(storage, name);
    const value = utf8(stringify(change(found?.user)));
    try {
      await storage.commit(
        [{ key: keyOf(name), value }],
        [{ key: keyOf(name), revision: found?.revision ?? 0 }],
      );
      return;
    } catch (error) {
      if (!isFailure(error, 'storage.conflict')) throw error;
    }
  }
  throw failure('storage.conflict', { key: keyOf(name) });
}

export const deleteUser = (storage: Storage, name: string): Promise<number> =>
  storage.commit([{ key: keyOf(name), delete: true }]);

async function load(storage: Storage, name: string): Promise<{ user: User; revision: number } | undefined> {
  const entry = await storage.get(keyOf(name));
  const text = entry && textOf(entry.value);
  return entry === undefined || text === undefined
    ? undefined
    : { user: JSON.parse(text) as User, revision: entry.revision };
}
