/**
 * Keys that travel: AES key wrap with padding (RFC 5649), and the envelope that brings a key of any length to the holder of an
 * RSA key: an AES-256 key under RSA-OAEP, and the key under that.
 */

import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { HashName } from './algorithms.ts';
import { openRsa, sealRsa } from './cipher.ts';
import { publicKeyOf } from './keys.ts';
import { randomKey } from './random.ts';
import { wipe } from './wipe.ts';

/** The first half of the alternative initial value; OpenSSL puts the length in by itself (RFC 5649 section 3). */
const AIV = Buffer.from('a65959a6', 'hex');

const CIPHERS: Readonly<Record<number, string>> = {
  16: 'id-aes128-wrap-pad',
  24: 'id-aes192-wrap-pad',
  32: 'id-aes256-wrap-pad',
};

function cipherOf(kek: Uint8Array): string {
  const name = CIPHERS[kek.length];
  if (name === undefined) throw new RangeError('a wrapping key has 16, 24 or 32 bytes');
  return name;
}

/** @param kek 16, 24 or 32 bytes */
export function wrapKey(kek: Uint8Array, key: Uint8Array): Buffer {
  const cipher = createCipheriv(cipherOf(kek), kek, AIV);
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/** The key, or undefined where `kek` or a single bit is another. */
export function unwrapKey(kek: Uint8Array, wrapped: Uint8Array): Buffer | undefined {
  // RFC 5649 section 4.2: at least two semiblocks. OpenSSL is not asked about anything else.
  if (wrapped.length < 16 || wrapped.length % 8 !== 0) return undefined;
  try {
    const decipher = createDecipheriv(cipherOf(kek), kek, AIV);
    return Buffer.concat([decipher.update(wrapped), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** @param rsa the holder's key, private or public DER */
export function sealKey(rsa: Uint8Array, key: Uint8Array, hash: HashName): Buffer {
  const kek = randomKey(32);
  try {
    return Buffer.concat([sealRsa(rsa, kek, hash), wrapKey(kek, key)]);
  } finally {
    wipe(kek);
  }
}

/** The key that `sealKey` sealed for this RSA key, or undefined. @param rsa PKCS #8 DER */
export function openKey(rsa: Uint8Array, sealed: Uint8Array, hash: HashName): Buffer | undefined {
  const modulus = (publicKeyOf(rsa).asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  if (modulus === 0 || sealed.length <= modulus) return undefined;
  const kek = openRsa(rsa, sealed.subarray(0, modulus), hash);
  try {
    return kek?.length === 32 ? unwrapKey(kek, sealed.subarray(modulus)) : undefined;
  } finally {
    wipe(kek);
  }
}
