/** Signatures and HMACs under a version of a named key. What is not signed with this key never says why in detail. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { base64, base64url } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { HASH_NAMES, type HashAlgorithm, hashNamed } from '../../crypto/algorithms.ts';
import { publicText } from '../../crypto/keys.ts';
import { misfit, type Scheme, sign, verify } from '../../crypto/signature.ts';
import { wipe } from '../../crypto/wipe.ts';
import { abilities, algorithm, type Key, versionToUse } from './key.ts';
import type { OpenKey } from './opened.ts';
import { contextual } from './sealing.ts';
import { decoded, fromBase64url, parseVersioned, versioned } from './text.ts';

/** @throws Failure transit.field with the names that are known */
export function hashOf(name: string): HashAlgorithm {
  const hash = hashNamed(name);
  if (hash === undefined)
    throw failure('transit.field', { reason: `unsupported hash algorithm; known: ${HASH_NAMES.join(', ')}` });
  return hash;
}

const ED25519_SEED_BYTES = 32;

/** @throws Failure transit.unsupported, transit.version, transit.context, transit.field */
export async function signed(
  open: OpenKey,
  message: Uint8Array,
  context: Uint8Array,
  asked: number,
  scheme: Scheme,
): Promise<{ readonly signature: string; readonly version: number; readonly publicKey?: string }> {
  const { key } = open;
  checkSigns(key, message, scheme);
  const version = versionToUse(key, asked, 'signing');
  if (key.versions[version]?.publicOnly === true)
    throw failure('transit.version', {
      reason: 'requested version for signing does not contain a private part',
    });
  const { secret } = await open.material(version);
  const own = key.derived ? contextual(secret, context, ED25519_SEED_BYTES) : undefined;
  try {
    const bytes = sign(algorithm(key), own ?? secret, message, scheme);
    const signature = versioned(version, scheme.encoding === 'jws' ? base64url(bytes) : base64(bytes));
    const publicKey = own && publicText(algorithm(key), own);
    return publicKey === undefined ? { signature, version } : { signature, version, publicKey };
  } finally {
    wipe(own);
  }
}

/** @throws Failure transit.unsupported, transit.signature, transit.too_old, transit.context, transit.field */
export async function verified(
  open: OpenKey,
  message: Uint8Array,
  context: Uint8Array,
  text: string,
  scheme: Scheme,
): Promise<boolean> {
  const { key } = open;
  checkSigns(key, message, scheme);
  const { version, encoded } = parseVersioned(text, 'signature');
  checkVersion(key, version, 'signature');
  const signature = scheme.encoding === 'jws' ? fromBase64url(encoded) : standard(encoded);
  if (signature === undefined)
    throw failure('transit.signature', { what: 'signature', reason: 'could not decode base64' });
  const { secret } = await open.material(version);
  const own = key.derived ? contextual(secret, context, ED25519_SEED_BYTES) : undefined;
  try {
    return verify(algorithm(key), own ?? secret, message, signature, scheme);
  } finally {
    wipe(own);
  }
}

/** @throws Failure transit.version */
export async function macOf(
  open: OpenKey,
  message: Uint8Array,
  asked: number,
  hash: HashAlgorithm,
): Promise<string> {
  const version = versionToUse(open.key, asked, 'HMAC');
  return versioned(version, base64(await mac(open, version, message, hash)));
}

/** @throws Failure transit.signature, transit.too_old */
export async function macMatches(
  open: OpenKey,
  message: Uint8Array,
  text: string,
  hash: HashAlgorithm,
): Promise<boolean> {
  const { version, encoded } = parseVersioned(text, 'HMAC');
  checkVersion(open.key, version, 'HMAC');
  const given = standard(encoded);
  if (given === undefined)
    throw failure('transit.signature', { what: 'HMAC', reason: 'could not decode base64' });
  const expected = await mac(open, version, message, hash);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function mac(
  open: OpenKey,
  version: number,
  message: Uint8Array,
  hash: HashAlgorithm,
): Promise<Buffer> {
  const { secret, hmac } = await open.material(version);
  const key = open.key.type === 'hmac' ? secret : hmac;
  // A public key alone was brought in, and with it nothing secret: its "HMAC" would be anybody's.
  if (key.length === 0)
    throw failure('transit.version', {
      reason: 'requested version for HMAC does not contain a private part',
    });
  return createHmac(hash.digest, key).update(message).digest();
}

function checkSigns(key: Key, message: Uint8Array, scheme: Scheme): void {
  if (!abilities(key).signing)
    throw failure('transit.unsupported', { operation: 'message signing', type: key.type });
  const reason = misfit(algorithm(key), message, scheme);
  if (reason !== undefined) throw failure('transit.field', { reason });
}

function checkVersion(key: Key, version: number, what: 'signature' | 'HMAC'): void {
  if (version > key.latest) throw failure('transit.signature', { what, reason: 'version is too new' });
  if (version < key.minDecryption) throw failure('transit.too_old');
}

function standard(encoded: string): Uint8Array | undefined {
  try {
    return decoded(encoded, 'signature');
  } catch {
    return undefined;
  }
}
