/** Randomness from the operating system, in the forms that names and keys need. */

import { randomBytes, randomUUID } from 'node:crypto';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Bytes from here on would make the first letters likelier than the last. */
const UNBIASED = 256 - (256 % BASE62.length);

/** `length` letters and digits, each with the same chance: 5.95 bits each. */
export function base62(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length + 8)) {
      if (byte < UNBIASED && text.length < length) text += BASE62.charAt(byte % BASE62.length);
    }
  }
  return text;
}

/** A random UUID (RFC 9562, version 4). */
export const uuid = (): string => randomUUID();

/** `length` random bytes in memory of their own, which `wipe` can clear. */
export function randomKey(length: number): Buffer {
  return randomBytes(length);
}
