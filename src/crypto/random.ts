/** Randomness from the operating system, in the forms that names and keys need. */

import { randomBytes, randomFillSync, randomUUID } from 'node:crypto';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Bytes from here on would make the first letters likelier than the last. */
const UNBIASED = 256 - (256 % BASE62.length);

/** What is drawn at once: asking for a dozen bytes costs as much as asking for some thousands. */
const POOL_BYTES = 4096;
/** Longer draws go past the pool. */
const POOLED_BYTES = 256;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/**
 * Fills `target` with random bytes, for what is small and wanted often: nonces and tokens. No byte is given twice, and none
 * that was given stays in the pool.
 */
export function fillRandom<T extends Uint8Array>(target: T): T {
  const { length } = target;
  if (length > POOLED_BYTES) return randomFillSync(target);
  if (used + length > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const end = used + length;
  pool.copy(target, 0, used, end);
  pool.fill(0, used, end);
  used = end;
  return target;
}

/** `length` letters and digits, each with the same chance: 5.95 bits each. */
export function base62(length: number): string {
  let text = '';
  while (text.length < length) {
    const bytes = fillRandom(Buffer.allocUnsafe(length - text.length + 8));
    for (const byte of bytes)
      if (byte < UNBIASED && text.length < length) text += BASE62.charAt(byte % BASE62.length);
    bytes.fill(0);
  }
  return text;
}

/** A random UUID (RFC 9562, version 4). */
export const uuid = (): string => randomUUID();

/** `length` random bytes in memory of their own, which `wipe` can clear. */
export function randomKey(length: number): Buffer {
  return randomBytes(length);
}
