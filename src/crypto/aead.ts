/**
 * AES-256-GCM (NIST SP 800-38D) as every room uses it: a fresh random nonce in front, the tag behind. Keys stay in
 * Buffers: a KeyObject holds a copy that nobody can wipe. A key may seal at most 2^32 messages (section 8.3).
 */

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { fillRandom } from './random.ts';

export const KEY_BYTES = 32;
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** How much longer the sealed message is than the plain one. */
export const OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;

const NOTHING = new Uint8Array(0);

/**
 * Seals `plain` under `key` (32 bytes); `bound` must be given again to open it.
 * @param header bytes put in front of the result as they are, not authenticated
 * @returns header, nonce, ciphertext, tag
 */
export function sealBytes(
  key: Uint8Array,
  plain: Uint8Array,
  bound: Uint8Array,
  header: Uint8Array = NOTHING,
): Buffer {
  const sealed = Buffer.allocUnsafe(header.length + OVERHEAD_BYTES + plain.length);
  const start = header.length + NONCE_BYTES;
  sealed.set(header);
  const nonce = fillRandom(sealed.subarray(header.length, start));
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(bound);
  // GCM gives a byte for each byte, and its end nothing but the tag.
  sealed.set(cipher.update(plain), start);
  cipher.final();
  sealed.set(cipher.getAuthTag(), start + plain.length);
  return sealed;
}

/** The message that `sealBytes` made without its header, or undefined when key, bound or a single bit is another. */
export function openBytes(key: Uint8Array, sealed: Uint8Array, bound: Uint8Array): Buffer | undefined {
  if (sealed.length < OVERHEAD_BYTES) return undefined;
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, end));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  }
}
