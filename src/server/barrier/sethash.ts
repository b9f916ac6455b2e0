/**
 * A keyed hash over the set of all entries: the XOR of one keyed hash per entry, so that a commit costs what it changes. Each
 * name is there once, so nothing cancels out, and who has no key can predict none of the parts. It finds an entry that
 * was lost, added, changed or rolled back; not a store that was rolled back as a whole, hash and all.
 */

import { keyedHash } from '../../crypto/kdf.ts';

const HASH_BYTES = 32;

export interface SetHash {
  readonly sum: Buffer;
  count: number;
}

export const emptySet = (): SetHash => ({ sum: Buffer.alloc(HASH_BYTES), count: 0 });

/** What one entry adds to the set, and takes out of it again: a letter for each byte. */
export const partOf: (key: Uint8Array, name: string, value: Uint8Array) => string = keyedHash;

/** Changes a set in place: one entry more, or one fewer, by its part. Which of the two shows in the count alone. */
export function toggle(set: SetHash, by: 1 | -1, part: string): void {
  const { sum } = set;
  for (let i = 0; i < HASH_BYTES; i++) sum[i] = (sum[i] ?? 0) ^ part.charCodeAt(i);
  set.count += by;
}

export const copyOf = ({ sum, count }: SetHash): SetHash => ({ sum: Buffer.from(sum), count });

export function encodeSet({ sum, count }: SetHash): Buffer {
  const bytes = Buffer.alloc(HASH_BYTES + 8);
  sum.copy(bytes);
  bytes.writeBigUInt64BE(BigInt(count), HASH_BYTES);
  return bytes;
}

export function decodeSet(bytes: Buffer): SetHash | undefined {
  if (bytes.length !== HASH_BYTES + 8) return undefined;
  return {
    sum: Buffer.from(bytes.subarray(0, HASH_BYTES)),
    count: Number(bytes.readBigUInt64BE(HASH_BYTES)),
  };
}

export const sameSet = (a: SetHash, b: SetHash): boolean => a.count === b.count && a.sum.equals(b.sum);
