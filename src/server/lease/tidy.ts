/** Mends the index of leases: what no crash should leave behind, but a restored or damaged store might. */

import type { Storage, Write } from '../../storage/storage.ts';
import { decode, load } from '../auth/records.ts';
import { hashOf, keyOfHash, type LeaseEntry, UNHELD } from './entry.ts';

/** What was found and mended. */
export interface Tidied {
  /** Index entries that led nowhere. */
  readonly dangling: number;
  /** Leases whose token is gone. */
  readonly orphaned: number;
}

const BATCH = 256;
/** A folder of the index, and how the hash of the lease is found in an entry's value. */
const FOLDERS: readonly { readonly folder: string; readonly hash: (named: string) => string }[] = [
  { folder: 'lease/token/', hash: hashOf },
  { folder: 'lease/mount/', hash: hashOf },
  { folder: 'lease/irrevocable/', hash: hashOf },
  { folder: 'lease/path/', hash: (named) => named },
];

/** @param revokeSoon makes a lease due, by its id */
export async function tidied(storage: Storage, revokeSoon: (id: string) => Promise<void>): Promise<Tidied> {
  let dangling = 0;
  const { signal } = new AbortController();
  for (const { folder, hash } of FOLDERS) {
    let dead: Write[] = [];
    const clear = async (): Promise<void> => {
      dangling += dead.length;
      if (dead.length > 0) await storage.commit(dead);
      dead = [];
    };
    for await (const { key, value } of storage.scan(folder, signal)) {
      if ((await storage.get(keyOfHash(hash(decode<string>(key, value))))) !== undefined) continue;
      dead.push({ key, delete: true });
      if (dead.length === BATCH) await clear();
    }
    await clear();
  }
  let orphaned = 0;
  for await (const { key, value } of storage.scan('lease/id/', signal)) {
    const { id, tokenHash } = decode<LeaseEntry>(key, value);
    if (tokenHash === UNHELD || (await load(storage, `token/id/${tokenHash}`)) !== undefined) continue;
    await revokeSoon(id);
    orphaned++;
  }
  return { dangling, orphaned };
}
