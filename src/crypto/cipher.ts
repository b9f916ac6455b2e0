/**
 * Encryption under a named key: AEAD with the nonce in front and the tag behind (RFC 5116), or RSA-OAEP (RFC 8017). Opening
 * gives undefined for whatever does not open, and never says why: the reason would help who forges.
 */

import {
  type CipherGCMTypes,
  constants,
  createCipheriv,
  createDecipheriv,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import { type Aead, HASHES, type HashName, type Rsa } from './algorithms.ts';
import { privateKeyOf, publicKeyOf } from './keys.ts';

export const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** ChaCha20-Poly1305 takes the same calls as GCM; Node's types say so only for GCM. */
const asGcm = (cipher: Aead['cipher']): CipherGCMTypes => cipher as CipherGCMTypes;

/** @returns nonce, ciphertext, tag */
export function sealAead(
  { cipher: name }: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  bound: Uint8Array,
): Buffer {
  const cipher = createCipheriv(asGcm(name), key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(bound, { plaintextLength: plain.length });
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** What `sealAead` sealed, or undefined where key, bound bytes or a single bit is another. */
export function openAead(
  { cipher: name }: Aead,
  key: Uint8Array,
  sealed: Uint8Array,
  bound: Uint8Array,
): Buffer | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(asGcm(name), key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(bound, { plaintextLength: end - NONCE_BYTES });
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

/** How many bytes OAEP leaves room for (RFC 8017 section 7.1.1). */
export const oaepRoom = ({ bits }: Rsa, hash: HashName = 'sha2-256'): number =>
  bits / 8 - 2 * HASHES[hash].bytes - 2;

/** `plain` must fit in `oaepRoom`. @param key private (PKCS #8) or public (SPKI) DER */
export const sealRsa = (key: Uint8Array, plain: Uint8Array, hash: HashName = 'sha2-256'): Buffer =>
  publicEncrypt(
    { key: publicKeyOf(key), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: HASHES[hash].digest },
    plain,
  );

/** @param key PKCS #8 DER */
export function openRsa(
  key: Uint8Array,
  sealed: Uint8Array,
  hash: HashName = 'sha2-256',
): Buffer | undefined {
  try {
    return privateDecrypt(
      { key: privateKeyOf(key), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: HASHES[hash].digest },
      sealed,
    );
  } catch {
    return undefined;
  }
}
