/**
 * Whether a store is older than its backups. A set-hash goes back with the store: who puts back all of an old medium leaves
 * nothing in it that shows. What shows is outside of it: the store remembers the newest backup that was verified, and the place
 * of the backups has a newer one of this very server.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import type { Barrier } from '../barrier/barrier.ts';
import type { Place } from './place.ts';
import { newest } from './retention.ts';
import { type Shelved, shelved } from './shelf.ts';

const KNOWN = 'sys/backup/';

/** When the newest backup that the store knows of was made (milliseconds since the epoch); 0 where it knows of none. */
export async function knownBackup(barrier: Barrier, target: string): Promise<number> {
  const entry = await barrier.view(KNOWN).get(target);
  return entry === undefined ? 0 : Number(textOf(entry.value)) || 0;
}

/** Has the store remember. */
export async function rememberBackup(barrier: Barrier, target: string, createdAt: number): Promise<void> {
  await barrier.view(KNOWN).commit([{ key: target, value: utf8(String(createdAt)) }]);
}

/** The newest backup that this server made and verified. */
export const latestGood = (all: readonly Shelved[]): Shelved | undefined =>
  newest(all.filter(({ ours, verified }) => ours && verified === 'yes'));

/** Asks the place. @throws Failure backup.place, server.sealed */
export async function behindOf(
  barrier: Barrier,
  { name, place }: { readonly name: string; readonly place: Place },
  signal: AbortSignal,
): Promise<boolean> {
  const latest = latestGood(await shelved(place, name, barrier, signal));
  return latest !== undefined && latest.createdAt > (await knownBackup(barrier, name));
}
