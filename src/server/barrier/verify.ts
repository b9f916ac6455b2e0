/** Whether a store is whole: each entry opens, and all together are the set that the last commit left. */

import { compareBytes } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Entry } from '../../storage/storage.ts';
import { PLAIN, SET_HASH } from './records.ts';
import { decodeSet, emptySet, type SetHash, sameSet, toggle } from './sethash.ts';

/** What `verifyEntries` found. The store is whole when `damaged` is empty and `set` is "matches". */
export interface Verification {
  /** How many entries the store holds, without the set-hash record. */
  readonly entries: number;
  /** How many it should hold, where the record tells. */
  readonly expected: number | undefined;
  /** The entries that do not open (at most the first thousand). */
  readonly damaged: readonly string[];
  /** "differs": an entry was lost, added, changed or rolled back, if `damaged` names none. */
  readonly set: 'matches' | 'differs' | 'unreadable';
}

/** Of more than this many damaged entries the names help nobody. */
const NAMED_DAMAGES = 1000;

/**
 * @param entries all of one snapshot, in the order of their keys
 * @param by opens what was sealed under a key, which is then wiped here, or gives undefined where it was not; and tells what an
 *   entry adds to the set
 * @throws Failure storage.unreadable where the medium itself fails, and what `by` throws
 */
export async function verifyEntries(
  entries: AsyncIterable<Entry>,
  signal: AbortSignal,
  by: {
    open(key: string, sealed: Uint8Array): Buffer | undefined;
    part(key: string, stored: Uint8Array): string;
  },
): Promise<Verification> {
  const damaged: string[] = [];
  const found = emptySet();
  let recorded: SetHash | undefined;
  let last: string | undefined;
  for await (const { key, value } of readable(entries, signal)) {
    // Pages that lead in a circle would be read for ever.
    if (last !== undefined && compareBytes(last, key) >= 0)
      throw failure('storage.unreadable', {
        reason: `its entries are out of order after ${JSON.stringify(last)}`,
      });
    last = key;
    const isPlain = PLAIN.includes(key);
    const plain = isPlain ? undefined : by.open(key, value);
    if (key === SET_HASH) recorded = plain && decodeSet(plain);
    else {
      toggle(found, 1, by.part(key, value));
      if (plain === undefined && !isPlain && damaged.length < NAMED_DAMAGES) damaged.push(key);
    }
    wipe(plain);
  }
  const set = recorded === undefined ? 'unreadable' : sameSet(recorded, found) ? 'matches' : 'differs';
  return { entries: found.count, expected: recorded?.count, damaged, set };
}

/** The entries of a scan; what the engine of the medium throws, over pages that are none, is told as what it is. */
async function* readable(entries: AsyncIterable<Entry>, signal: AbortSignal): AsyncGenerator<Entry> {
  try {
    yield* entries;
  } catch (error) {
    if (isFailure(error) || signal.aborted) throw error;
    const reason = error instanceof Error ? error.message.slice(0, 100) : 'unknown error';
    throw failure('storage.unreadable', { reason }, { cause: error });
  }
}
