/** An archive in memory, as a restore in place needs it: one commit puts all of it in place of everything, or nothing. */

import { failure } from '../../base/errors.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Entry } from '../../storage/storage.ts';
import type { Barrier } from '../barrier/barrier.ts';
import { KEYRING, PLAIN } from '../barrier/records.ts';
import { SNAPSHOT_LIMIT, type Snapshot } from '../snapshot/snapshot.ts';
import { type OpenArchive, openArchive } from './archive.ts';
import { keyByRoot, type Means, rootKeyOf } from './unlock.ts';
import { KEY_PURPOSE } from './verify.ts';

/**
 * Reads a whole archive, proven to its end.
 * @param means what opens it where this store did not make it
 * @param means.force take one of another store, or one whose store is damaged
 * @throws Failure backup.broken, backup.foreign, backup.keys, backup.unverified, snapshot.too_large
 */
export async function gather(
  barrier: Barrier,
  name: string,
  source: AsyncIterable<Uint8Array>,
  means: Means & { readonly force: boolean },
  signal: AbortSignal,
): Promise<Snapshot> {
  const archive = await openArchive(name, source);
  const { key, own } = await keyOf(barrier, name, archive, means);
  try {
    const entries = new Map<string, Uint8Array>();
    let size = 0;
    for await (const entry of archive.entries(key)) {
      signal.throwIfAborted();
      size += entry.key.length + entry.value.length;
      if (size > SNAPSHOT_LIMIT) throw failure('snapshot.too_large', { limit: SNAPSHOT_LIMIT });
      entries.set(entry.key, entry.value);
    }
    for (const needed of [KEYRING, ...PLAIN])
      if (!entries.has(needed))
        throw failure('backup.broken', { name, reason: `its store has no ${needed}` });
    if (own && !means.force) await refuseDamaged(barrier, name, entries, signal);
    return { entries, own };
  } finally {
    wipe(key);
  }
}

async function keyOf(
  barrier: Barrier,
  name: string,
  { header, close }: OpenArchive,
  means: Means & { readonly force: boolean },
): Promise<{ readonly key: Uint8Array; readonly own: boolean }> {
  const key = barrier.openFor(KEY_PURPOSE, header.key.ring);
  if (key !== undefined) return { key, own: true };
  try {
    if (!means.force) throw failure('backup.foreign', { name });
    const rootKey = await rootKeyOf(name, header, means);
    try {
      return { key: keyByRoot(name, header, rootKey), own: false };
    } finally {
      wipe(rootKey);
    }
  } catch (error) {
    // Nobody will read on: the file is let go.
    await close();
    throw error;
  }
}

async function refuseDamaged(
  barrier: Barrier,
  name: string,
  entries: ReadonlyMap<string, Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const copy = {
    async *scan(): AsyncGenerator<Entry, void, void> {
      for (const [key, value] of entries) yield { key, value, revision: 0 };
    },
  };
  const found = await barrier.verify(signal, copy);
  const damaged = found.damaged.filter((key) => key !== KEYRING);
  if (damaged.length === 0 && found.set === 'matches') return;
  throw failure('backup.unverified', {
    name,
    reason: 'its store was damaged when it was made; -force takes it',
  });
}
