/** Keys from keys, and marks by keys: HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869), and a keyed hash for many short messages. */

import { createHmac, hash, hkdfSync } from 'node:crypto';
import { KEY_BYTES } from './aead.ts';

/** HMAC-SHA256 over the parts, one after the other; where their borders matter the caller must frame them. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** What SHA-256 takes at a time (FIPS 180-4, section 1). */
const BLOCK_BYTES = 64;
const HASH_BYTES = 32;
/** A key that has a block of its own, and two lengths. */
const FRONT_BYTES = BLOCK_BYTES + 8;
/** What most messages fit in. */
const room = Buffer.alloc(16 * 1024);

/**
 * A pseudorandom function of a name and a value: SHA-256 over a block that is the key and zeros, both lengths, and both.
 * Since the lengths come first, no message begins another one; over such messages the cascade of a hash, with a key as its first
 * block, is pseudorandom where its compression function is (Bellare, Canetti, Krawczyk: Pseudorandom Functions Revisited,
 * FOCS 1996). HMAC needs no lengths, and costs two to three times as much for half a kilobyte.
 * @param key 32 bytes
 * @returns 32 letters, one for each byte: as bytes they would cost as much again
 */
export function keyedHash(key: Uint8Array, name: string, value: Uint8Array): string {
  const nameBytes = Buffer.byteLength(name);
  const length = FRONT_BYTES + nameBytes + value.length;
  const message = length <= room.length ? room : Buffer.alloc(length);
  message.set(key.subarray(0, KEY_BYTES));
  message.writeUInt32BE(nameBytes, BLOCK_BYTES);
  message.writeUInt32BE(value.length, BLOCK_BYTES + 4);
  message.write(name, FRONT_BYTES);
  message.set(value, FRONT_BYTES + nameBytes);
  const sum = hash('sha256', message.subarray(0, length), 'binary');
  // The key stays where it can be wiped, and nowhere else.
  message.fill(0, 0, KEY_BYTES);
  return sum;
}

/**
 * HMAC-SHA256 (RFC 2104) in hexadecimal, of many short texts under one key: with the two blocks of the key at hand, two calls of
 * the hash take half as long as an HMAC object. The blocks stay in memory as long as what is given.
 */
export function hmacTexts(key: Uint8Array): (text: string) => string {
  const short = key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key;
  const block = (pad: number): Buffer =>
    Buffer.alloc(BLOCK_BYTES).map((_, at) => (short[at] ?? 0) ^ pad) as Buffer;
  const inner = block(0x36);
  const outer = Buffer.concat([block(0x5c), Buffer.alloc(HASH_BYTES)]);
  return (text) => {
    const length = BLOCK_BYTES + Buffer.byteLength(text);
    const message = length <= room.length ? room : Buffer.alloc(length);
    message.set(inner);
    message.write(text, BLOCK_BYTES);
    outer.write(hash('sha256', message.subarray(0, length), 'binary'), BLOCK_BYTES, 'binary');
    // Neither the key nor what may be a secret stays where others write.
    message.fill(0, 0, length);
    return hash('sha256', outer, 'hex');
  };
}

/** `length` bytes (at most 8160) derived from `secret`; another `info` gives an unrelated key. */
export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, length));
}
