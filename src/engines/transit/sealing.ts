/**
 * Encryption under a version of a named key. A ciphertext is "vault:vN:" and base64 of nonce, ciphertext, tag (or of the RSA-OAEP
 * ciphertext). A derived key has one key for each context: HKDF-SHA256 of the version's, without salt, the context as info.
 *
 * Convergent encryption (version 3 of the scheme): HKDF gives 32 bytes more, and the nonce is the first 12 bytes of the
 * HMAC-SHA256 of the plaintext under those; so equal plaintext in an equal context gives equal ciphertext. With associated data
 * the HMAC is over both, under a key of its own: one nonce over one plaintext with two kinds of associated data would give away GCM's
 * authentication key. The nonce travels in front, so any server that knows the scheme still decrypts.
 */

import { base64 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { Aead } from '../../crypto/algorithms.ts';
import { NONCE_BYTES, oaepRoom, openAead, openRsa, sealAead, sealRsa } from '../../crypto/cipher.ts';
import { hkdf, hmac } from '../../crypto/kdf.ts';
import { wipe } from '../../crypto/wipe.ts';
import { algorithm, type Key, versionToUse } from './key.ts';
import type { OpenKey } from './opened.ts';
import { decoded, parseVersioned, versioned } from './text.ts';

const NOTHING = new Uint8Array(0);
const NONCE_KEY_BYTES = 32;

export interface ToSeal {
  readonly plain: Uint8Array;
  readonly context: Uint8Array;
  readonly bound: Uint8Array;
  /** 0: the latest. */
  readonly version: number;
}

/** @throws Failure transit.unsupported, transit.version, transit.context, transit.field */
export async function seal(
  open: OpenKey,
  { plain, context, bound, version: asked }: ToSeal,
  random: (bytes: number) => Uint8Array,
): Promise<{ readonly ciphertext: string; readonly version: number }> {
  const { key } = open;
  const kind = checkEncrypts(key, 'encryption', bound);
  const version = versionToUse(key, asked, 'encryption');
  const { secret } = await open.material(version);
  if (kind.kind === 'rsa') {
    if (plain.length > oaepRoom(kind))
      throw failure('transit.field', { reason: 'message too long for RSA key size' });
    return { ciphertext: versioned(version, base64(sealRsa(secret, plain))), version };
  }
  const keys = derivedKeys(key, kind, secret, context);
  try {
    const nonce = keys.nonce === undefined ? random(NONCE_BYTES) : convergentNonce(keys.nonce, plain, bound);
    return { ciphertext: versioned(version, base64(sealAead(kind, keys.key, nonce, plain, bound))), version };
  } finally {
    wipe(keys.both);
  }
}

/**
 * The plaintext, the caller's to wipe.
 * @throws Failure transit.unsupported, transit.ciphertext, transit.too_old, transit.context, transit.no_match
 */
export async function unseal(
  open: OpenKey,
  {
    ciphertext,
    context,
    bound,
  }: { readonly ciphertext: string; readonly context: Uint8Array; readonly bound: Uint8Array },
): Promise<Buffer> {
  const { key } = open;
  const kind = checkEncrypts(key, 'decryption', bound);
  const { version, encoded } = parseVersioned(ciphertext, 'ciphertext');
  if (version > key.latest) throw failure('transit.ciphertext', { reason: 'version is too new' });
  if (version < key.minDecryption) throw failure('transit.too_old');
  const sealed = sealedBytes(encoded);
  if (key.versions[version]?.publicOnly === true)
    throw failure('transit.version', {
      reason: 'requested version for decryption does not contain a private part',
    });
  const { secret } = await open.material(version);
  if (kind.kind === 'rsa') {
    const plain = openRsa(secret, sealed);
    if (plain === undefined) throw failure('transit.ciphertext', { reason: 'unable to decrypt' });
    return plain;
  }
  const keys = derivedKeys(key, kind, secret, context);
  try {
    const plain = openAead(kind, keys.key, sealed, bound);
    if (plain === undefined) throw failure('transit.no_match');
    return plain;
  } finally {
    wipe(keys.both);
  }
}

function sealedBytes(encoded: string): Uint8Array {
  try {
    return decoded(encoded, 'ciphertext');
  } catch {
    throw failure('transit.ciphertext', { reason: 'could not decode base64' });
  }
}

function checkEncrypts(key: Key, operation: 'encryption' | 'decryption', bound: Uint8Array) {
  const kind = algorithm(key);
  if (kind.kind !== 'aead' && kind.kind !== 'rsa')
    throw failure('transit.unsupported', { operation: `message ${operation}`, type: key.type });
  if (kind.kind === 'rsa' && bound.length > 0)
    throw failure('transit.field', {
      reason: `associated_data provided for non-AEAD cipher suite ${key.type}`,
    });
  return kind;
}

interface Keys {
  readonly key: Uint8Array;
  /** Under which the nonce of convergent encryption is made. */
  readonly nonce: Uint8Array | undefined;
  /** What is to be wiped. */
  readonly both: Uint8Array | undefined;
}

/** @throws Failure transit.context */
function derivedKeys(key: Key, { keyBytes }: Aead, secret: Uint8Array, context: Uint8Array): Keys {
  if (!key.derived) return { key: secret, nonce: undefined, both: undefined };
  const both = contextual(secret, context, key.convergent ? keyBytes + NONCE_KEY_BYTES : keyBytes);
  return {
    key: both.subarray(0, keyBytes),
    nonce: key.convergent ? both.subarray(keyBytes) : undefined,
    both,
  };
}

/**
 * A key of `length` bytes for one context, the caller's to wipe.
 * @throws Failure transit.context
 */
export function contextual(secret: Uint8Array, context: Uint8Array, length: number): Buffer {
  if (context.length === 0) throw failure('transit.context');
  return hkdf(secret, NOTHING, context, length);
}

function convergentNonce(key: Uint8Array, plain: Uint8Array, bound: Uint8Array): Buffer {
  if (bound.length === 0) return hmac(key, plain).subarray(0, NONCE_BYTES);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bound.length));
  // A key of its own: a plaintext that spells out the frame must not meet the nonce of what is framed.
  const framing = hmac(key, FRAMING);
  try {
    return hmac(framing, length, bound, plain).subarray(0, NONCE_BYTES);
  } finally {
    wipe(framing);
  }
}

const FRAMING = Buffer.from('nonces over associated data');
