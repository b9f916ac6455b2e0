/**
 * Keys of the algorithms in `algorithms.ts` as bytes: raw for symmetric ones, the 32-byte seed for Ed25519 (RFC 8032), PKCS #8
 * DER for the others. Bytes, not KeyObjects, because bytes can be wiped; what OpenSSL copies for one operation is out of reach.
 */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  type KeyPairKeyObjectResult,
} from 'node:crypto';
import { base64, view } from '../base/bytes.ts';
import { ABILITIES, type KeyAlgorithm } from './algorithms.ts';
import { randomKey } from './random.ts';
import { wipe } from './wipe.ts';

const ED25519_SEED_BYTES = 32;
/** PKCS #8 and SPKI wrappings of raw Ed25519 keys (RFC 8410 section 7 and 4). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** HMAC keys may be this long. */
export const HMAC_KEY_BYTES = { least: 32, most: 512 } as const;

/** A new key. RSA takes its time, so it is made off the main thread. */
export async function generateKey(algorithm: KeyAlgorithm, hmacBytes = 32): Promise<Buffer> {
  switch (algorithm.kind) {
    case 'aead':
      return randomKey(algorithm.keyBytes);
    case 'hmac':
      return randomKey(hmacBytes);
    case 'ed25519':
      return randomKey(ED25519_SEED_BYTES);
    case 'ecdsa':
      return pkcs8(await pair((done) => generateKeyPair('ec', { namedCurve: algorithm.curve }, done)));
    case 'rsa':
      return pkcs8(await pair((done) => generateKeyPair('rsa', { modulusLength: algorithm.bits }, done)));
  }
}

type Done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void;

const pair = (make: (done: Done) => void): Promise<KeyPairKeyObjectResult> =>
  new Promise((resolve, reject) =>
    make((error, publicKey, privateKey) =>
      error === null ? resolve({ publicKey, privateKey }) : reject(error),
    ),
  );

const pkcs8 = ({ privateKey }: KeyPairKeyObjectResult): Buffer =>
  privateKey.export({ format: 'der', type: 'pkcs8' });

/** The private key in PKCS #8 DER, for one operation of OpenSSL. @param secret bytes of an asymmetric key */
export function privateKeyOf(secret: Uint8Array): KeyObject {
  if (secret.length !== ED25519_SEED_BYTES)
    return createPrivateKey({ key: view(secret), format: 'der', type: 'pkcs8' });
  const der = Buffer.concat([ED25519_PKCS8, secret]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    wipe(der);
  }
}

/** The public half. @param key bytes of an asymmetric key: a private one, or SPKI DER */
export function publicKeyOf(key: Uint8Array): KeyObject {
  if (isSpki(key)) return createPublicKey({ key: view(key), format: 'der', type: 'spki' });
  return createPublicKey(privateKeyOf(key));
}

/** SPKI begins with the algorithm's SEQUENCE; PKCS #8 with a version INTEGER. A seed is neither: it is 32 bytes long. */
function isSpki(key: Uint8Array): boolean {
  if (key.length === ED25519_SEED_BYTES || key[0] !== 0x30) return false;
  const length = key[1] ?? 0;
  return key[length < 0x80 ? 2 : 2 + (length & 0x7f)] === 0x30;
}

const isAsymmetric = (algorithm: KeyAlgorithm): boolean => ABILITIES[algorithm.kind].signing;

/** The public key as SPKI DER, or undefined where the algorithm has none. */
export const spkiOf = (algorithm: KeyAlgorithm, secret: Uint8Array): Buffer | undefined =>
  isAsymmetric(algorithm) ? publicKeyOf(secret).export({ format: 'der', type: 'spki' }) : undefined;

/** The public key as the API tells it: 32 raw bytes in base64 for Ed25519, PEM for the others. */
export function publicText(algorithm: KeyAlgorithm, key: Uint8Array): string | undefined {
  if (!isAsymmetric(algorithm)) return undefined;
  const found = publicKeyOf(key);
  if (algorithm.kind === 'ed25519')
    return base64(found.export({ format: 'der', type: 'spki' }).subarray(ED25519_SPKI.length));
  const pem = found.export({ format: 'pem', type: 'spki' }) as string;
  return algorithm.kind === 'rsa' ? pem : pem.trimEnd();
}

/**
 * The key that somebody brings along, in the form that is kept, or undefined where it is none of this algorithm: raw bytes
 * for a symmetric one, PKCS #8 DER for the others.
 */
export function importedKey(algorithm: KeyAlgorithm, bytes: Uint8Array): Buffer | undefined {
  if (algorithm.kind === 'aead') {
    return bytes.length === algorithm.keyBytes ? Buffer.from(bytes) : undefined;
  }
  if (algorithm.kind === 'hmac') {
    const fits = bytes.length >= HMAC_KEY_BYTES.least && bytes.length <= HMAC_KEY_BYTES.most;
    return fits ? Buffer.from(bytes) : undefined;
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: view(bytes), format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
  if (!isOf(algorithm, key)) return undefined;
  const der = key.export({ format: 'der', type: 'pkcs8' });
  if (algorithm.kind !== 'ed25519') return der;
  const seed = Buffer.from(der.subarray(ED25519_PKCS8.length, ED25519_PKCS8.length + ED25519_SEED_BYTES));
  wipe(der);
  return seed;
}

/** The public key that somebody brings along, as SPKI DER, or undefined where the PEM holds none of this algorithm. */
export function importedPublicKey(algorithm: KeyAlgorithm, pem: string): Buffer | undefined {
  if (!isAsymmetric(algorithm) || !/^\s*-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) return undefined;
  try {
    const key = createPublicKey(pem);
    return isOf(algorithm, key) ? key.export({ format: 'der', type: 'spki' }) : undefined;
  } catch {
    return undefined;
  }
}

function isOf(algorithm: KeyAlgorithm, key: KeyObject): boolean {
  const details = key.asymmetricKeyDetails;
  switch (algorithm.kind) {
    case 'rsa':
      return key.asymmetricKeyType === 'rsa' && details?.modulusLength === algorithm.bits;
    case 'ecdsa':
      return key.asymmetricKeyType === 'ec' && details?.namedCurve === algorithm.curve;
    case 'ed25519':
      return key.asymmetricKeyType === 'ed25519';
    default:
      return false;
  }
}

/** Private key material in a form that people carry away; "" is what the API has always given for the type. */
export type KeyFormat = '' | 'raw' | 'der' | 'pem';

/** @returns undefined where the algorithm has no such format */
export function exportedPrivate(
  algorithm: KeyAlgorithm,
  secret: Uint8Array,
  format: KeyFormat,
): string | undefined {
  if (!isAsymmetric(algorithm)) return format === '' || format === 'raw' ? base64(secret) : undefined;
  if (algorithm.kind === 'ed25519' && (format === '' || format === 'raw')) {
    const both = Buffer.concat([secret, Buffer.from(publicText(algorithm, secret) ?? '', 'base64')]);
    try {
      return base64(both);
    } finally {
      wipe(both);
    }
  }
  const key = privateKeyOf(secret);
  if (format === 'der') return base64(key.export({ format: 'der', type: 'pkcs8' }));
  if (format === 'pem') return key.export({ format: 'pem', type: 'pkcs8' }) as string;
  if (format === 'raw') return undefined;
  return algorithm.kind === 'rsa'
    ? (key.export({ format: 'pem', type: 'pkcs1' }) as string)
    : (key.export({ format: 'pem', type: 'sec1' }) as string).trimEnd();
}

/** @returns undefined where the algorithm has no such format, or no public keys */
export function exportedPublic(
  algorithm: KeyAlgorithm,
  key: Uint8Array,
  format: KeyFormat,
): string | undefined {
  if (!isAsymmetric(algorithm)) return undefined;
  const isRaw = format === '' || format === 'raw';
  if (isRaw && (format === '' || algorithm.kind === 'ed25519')) return publicText(algorithm, key);
  const found = publicKeyOf(key);
  if (format === 'der') return base64(found.export({ format: 'der', type: 'spki' }));
  return format === 'pem' ? (found.export({ format: 'pem', type: 'spki' }) as string) : undefined;
}

/** The bytes that travel when a key is wrapped for elsewhere: raw, or PKCS #8 DER. The caller wipes them. */
export function portableKey(algorithm: KeyAlgorithm, secret: Uint8Array): Buffer {
  return isAsymmetric(algorithm)
    ? privateKeyOf(secret).export({ format: 'der', type: 'pkcs8' })
    : Buffer.from(secret);
}
