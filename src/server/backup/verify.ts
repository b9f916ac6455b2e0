/**
 * Verifying a backup: it is restored into a store of its own and that is compared with what the archive, the set-hash in it and
 * the keys of the server say. Reading the file alone would show that it is what was written, not that a server comes of it.
 */

import { createHash } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Backend, Write } from '../../storage/storage.ts';
import type { Barrier } from '../barrier/barrier.ts';
import { KEYRING, PLAIN, SET_HASH } from '../barrier/records.ts';
import type { Verification } from '../barrier/verify.ts';
import { type ArchiveCount, type ArchiveEntry, type ArchiveHeader, openArchive } from './archive.ts';

/** A store that is thrown away after use. */
export interface Scratch {
  readonly backend: Backend;
  remove(): Promise<void>;
}

export interface Checked extends ArchiveCount {
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  readonly header: ArchiveHeader;
  /** Whether its keyring opens with the root key of today, or is of a day before a rekey. */
  readonly keyring: 'opens' | 'older';
}

/** What the server seals the key of an archive for. */
export const KEY_PURPOSE = 'backup key';
/** What goes into the scratch store in one commit: little, because requests wait meanwhile. */
const BATCH = { bytes: 1024 * 1024, entries: 1000 };

/**
 * @param source the file, read once
 * @throws Failure backup.broken where it is not whole or not of this store, backup.unverified where the store in it is not
 */
export async function verifyArchive(
  barrier: Barrier,
  name: string,
  source: AsyncIterable<Uint8Array>,
  scratch: Scratch,
  signal: AbortSignal,
): Promise<Checked> {
  const sum = createHash('sha256');
  const archive = await openArchive(name, summed(source, sum));
  const key = barrier.openFor(KEY_PURPOSE, archive.header.key.ring);
  try {
    if (key === undefined) throw failure('backup.foreign', { name });
    const count = await fill(scratch.backend, plainOf(archive.header), archive.entries(key), name, signal);
    const keyring = judged(name, count, await barrier.verify(signal, scratch.backend));
    return { ...count, keyring, header: archive.header, sha256: sum.digest('hex') };
  } finally {
    await archive.close();
    wipe(key);
  }
}

/**
 * Puts all entries of an archive into an empty store, in as many commits as it takes.
 * @param plain what the header says that the plain records are
 * @throws Failure backup.broken where its entries are not those of a store
 */
export async function fill(
  backend: Pick<Backend, 'commit'>,
  plain: ReadonlyMap<string, Uint8Array>,
  entries: AsyncIterable<ArchiveEntry>,
  name: string,
  signal: AbortSignal,
): Promise<ArchiveCount> {
  let writes: Write[] = [];
  let holding = 0;
  let count = 0;
  let size = 0;
  const needed = new Set([KEYRING, SET_HASH, ...PLAIN]);
  for await (const { key, value } of entries) {
    signal.throwIfAborted();
    const told = plain.get(key);
    if (told !== undefined && !Buffer.from(told).equals(value)) throw mixed(name);
    needed.delete(key);
    writes.push({ key, value });
    count++;
    size += Buffer.byteLength(key) + value.length;
    holding += value.length;
    if (holding < BATCH.bytes && writes.length < BATCH.entries) continue;
    await backend.commit(writes);
    writes = [];
    holding = 0;
  }
  for (const missing of needed)
    throw failure('backup.broken', { name, reason: `its store has no ${missing}` });
  await backend.commit(writes);
  return { entries: count, bytes: size };
}

/** A rekey came between the header and the scan: the shares of neither day would open all of it. */
const mixed = (name: string) =>
  failure('backup.broken', { name, reason: 'the keys of the server were replaced while it was made' });

/** The records by which the root key of an archive is had. */
export const plainOf = ({ seal }: ArchiveHeader): ReadonlyMap<string, Uint8Array> =>
  new Map([
    ['core/seal-config', seal.config],
    ['core/root-key-wrapped', seal.wrapped],
  ]);

/** @throws Failure backup.unverified */
function judged(name: string, { entries }: ArchiveCount, found: Verification): 'opens' | 'older' {
  const unwhole = (reason: string) => failure('backup.unverified', { name, reason });
  if (found.set === 'unreadable') throw unwhole('its set-hash does not open');
  // The set-hash covers the bytes of the keyring as well, whether or not the root key of today opens it.
  const damaged = found.damaged.filter((key) => key !== KEYRING);
  if (damaged.length > 0) throw unwhole(`${damaged.length} entries do not open, the first is ${damaged[0]}`);
  if (found.set === 'differs')
    throw unwhole(
      `an entry was lost, added or rolled back: ${found.entries} there, ${found.expected} expected`,
    );
  // The set-hash is about all entries but itself.
  if (found.entries + 1 !== entries) throw unwhole('entries are there twice');
  return found.damaged.length === 0 ? 'opens' : 'older';
}

async function* summed(
  source: AsyncIterable<Uint8Array>,
  sum: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const piece of source) {
    sum.update(piece);
    yield piece;
  }
}
