/**
 * Signatures under a named key: Ed25519 (RFC 8032), ECDSA (FIPS 186-5), RSA PSS and PKCS #1 v1.5 (RFC 8017), over a message or
 * over a hash that was made elsewhere. Where Node has no call for a ready-made hash, the padding is built here (RSA) or the
 * arithmetic done (`ecdsa.ts`); the private-key operation of RSA stays OpenSSL's.
 */

import {
  constants,
  createHash,
  type KeyObject,
  privateEncrypt,
  publicDecrypt,
  sign as signWith,
  timingSafeEqual,
  verify as verifyWith,
} from 'node:crypto';
import type { HashAlgorithm, KeyAlgorithm } from './algorithms.ts';
import { fromDer, signHash, toDer, verifyHash } from './ecdsa.ts';
import { privateKeyOf, publicKeyOf } from './keys.ts';
import { randomKey } from './random.ts';

export interface Scheme {
  /** Undefined: none at all; only PKCS #1 v1.5 over a hash made elsewhere can do without its name. */
  readonly hash: HashAlgorithm | undefined;
  /** The message is the hash already. */
  readonly prehashed: boolean;
  readonly padding: 'pss' | 'pkcs1v15';
  /** Of PSS: as long as fits (read from the signature when verifying), as long as the hash, or so many bytes. */
  readonly salt: 'auto' | 'hash' | number;
  /** How ECDSA writes r and s: DER, or both in full length (RFC 7518 section 3.4). */
  readonly encoding: 'asn1' | 'jws';
}

/** What keeps a scheme from working with a key and a message, or undefined. Nothing of the message is in it. */
export function misfit(algorithm: KeyAlgorithm, message: Uint8Array, scheme: Scheme): string | undefined {
  if (algorithm.kind === 'ed25519') return undefined;
  const { hash, prehashed } = scheme;
  if (hash === undefined) {
    if (algorithm.kind !== 'rsa' || scheme.padding !== 'pkcs1v15' || !prehashed)
      return 'hash algorithm "none" is only for pkcs1v15 over prehashed input';
    return message.length > algorithm.bits / 8 - 11 ? 'the input is too long for the key' : undefined;
  }
  if (prehashed && message.length !== hash.bytes)
    return `prehashed input must be ${hash.bytes} bytes long, as the hash algorithm makes it`;
  if (algorithm.kind === 'rsa' && scheme.padding === 'pss' && typeof scheme.salt === 'number') {
    const most = mostSalt(algorithm.bits, hash);
    if (scheme.salt < 1 || scheme.salt > most) return `salt_length must be from 1 to ${most}`;
  }
  return undefined;
}

const mostSalt = (bits: number, hash: HashAlgorithm): number => Math.ceil((bits - 1) / 8) - 2 - hash.bytes;

/** @param secret as `keys.ts` keeps it. The caller has asked `misfit`. */
export function sign(
  algorithm: KeyAlgorithm,
  secret: Uint8Array,
  message: Uint8Array,
  scheme: Scheme,
): Buffer {
  const key = privateKeyOf(secret);
  const { hash } = scheme;
  switch (algorithm.kind) {
    case 'ed25519':
      return signWith(null, message, key);
    case 'ecdsa': {
      if (hash === undefined) throw new RangeError('ECDSA needs a hash');
      const dsaEncoding = scheme.encoding === 'jws' ? 'ieee-p1363' : 'der';
      if (!scheme.prehashed) return signWith(hash.digest, message, { key, dsaEncoding });
      const signature = signHash(algorithm, key, message);
      return scheme.encoding === 'jws' ? signature : toDer(signature);
    }
    case 'rsa': {
      if (scheme.padding === 'pkcs1v15') {
        if (hash !== undefined && !scheme.prehashed)
          return signWith(hash.digest, message, { key, padding: constants.RSA_PKCS1_PADDING });
        return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(hash, message));
      }
      if (hash === undefined) throw new RangeError('PSS needs a hash');
      if (scheme.prehashed) {
        const salt = randomKey(saltBytes(scheme.salt, algorithm.bits, hash));
        return privateEncrypt(
          { key, padding: constants.RSA_NO_PADDING },
          pssEncoded(algorithm.bits, hash, message, salt),
        );
      }
      return signWith(hash.digest, message, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: saltBytes(scheme.salt, algorithm.bits, hash),
      });
    }
    default:
      throw new RangeError(`keys of kind ${algorithm.kind} do not sign`);
  }
}

/** @param key private or public, as `keys.ts` keeps it. The caller has asked `misfit`. */
export function verify(
  algorithm: KeyAlgorithm,
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  scheme: Scheme,
): boolean {
  try {
    return verified(algorithm, publicKeyOf(key), message, signature, scheme);
  } catch {
    // OpenSSL throws for some malformed signatures, and says false for others.
    return false;
  }
}

function verified(
  algorithm: KeyAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
  scheme: Scheme,
): boolean {
  const { hash } = scheme;
  switch (algorithm.kind) {
    case 'ed25519':
      return verifyWith(null, message, key, signature);
    case 'ecdsa': {
      if (hash === undefined) return false;
      const dsaEncoding = scheme.encoding === 'jws' ? 'ieee-p1363' : 'der';
      if (!scheme.prehashed) return verifyWith(hash.digest, message, { key, dsaEncoding }, signature);
      const plain = scheme.encoding === 'jws' ? signature : fromDer(algorithm, signature);
      return plain !== undefined && verifyHash(algorithm, key, message, plain);
    }
    case 'rsa': {
      if (scheme.padding === 'pkcs1v15') {
        if (hash !== undefined && !scheme.prehashed)
          return verifyWith(hash.digest, message, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
        const found = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature);
        return found.equals(digestInfo(hash, message));
      }
      if (hash === undefined) return false;
      if (scheme.prehashed) {
        const encoded = publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature);
        return pssMatches(algorithm.bits, hash, message, encoded, scheme.salt);
      }
      return verifyWith(
        hash.digest,
        message,
        {
          key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength:
            scheme.salt === 'auto'
              ? constants.RSA_PSS_SALTLEN_AUTO
              : saltBytes(scheme.salt, algorithm.bits, hash),
        },
        signature,
      );
    }
    default:
      return false;
  }
}

const saltBytes = (salt: Scheme['salt'], bits: number, hash: HashAlgorithm): number =>
  salt === 'auto' ? mostSalt(bits, hash) : salt === 'hash' ? hash.bytes : salt;

/** T of EMSA-PKCS1-v1_5 (RFC 8017 section 9.2); without a named hash, the bytes as they are. */
const digestInfo = (hash: HashAlgorithm | undefined, message: Uint8Array): Buffer =>
  hash === undefined ? Buffer.from(message) : Buffer.concat([hash.prefix, message]);

const EIGHT_ZEROS = Buffer.alloc(8);
const TRAILER = 0xbc;

/** EMSA-PSS-ENCODE (RFC 8017 section 9.1.1). */
function pssEncoded(bits: number, hash: HashAlgorithm, message: Uint8Array, salt: Uint8Array): Buffer {
  const length = bits / 8;
  const h = pssHash(hash, message, salt);
  const db = Buffer.alloc(length - hash.bytes - 1);
  db[db.length - salt.length - 1] = 1;
  db.set(salt, db.length - salt.length);
  mask(db, hash, h);
  db[0] = (db[0] ?? 0) & 0x7f;
  return Buffer.concat([db, h, Buffer.from([TRAILER])]);
}

/** EMSA-PSS-VERIFY (RFC 8017 section 9.1.2). */
function pssMatches(
  bits: number,
  hash: HashAlgorithm,
  message: Uint8Array,
  encoded: Uint8Array,
  salt: Scheme['salt'],
): boolean {
  if (encoded.length !== bits / 8 || encoded.at(-1) !== TRAILER) return false;
  const db = Buffer.from(encoded.subarray(0, encoded.length - hash.bytes - 1));
  const h = encoded.subarray(db.length, db.length + hash.bytes);
  if ((db[0] ?? 0) & 0x80) return false;
  mask(db, hash, h);
  db[0] = (db[0] ?? 0) & 0x7f;
  const one = db.findIndex((byte) => byte !== 0);
  if (one < 0 || db[one] !== 1) return false;
  const found = db.subarray(one + 1);
  if (salt !== 'auto' && found.length !== saltBytes(salt, bits, hash)) return false;
  return timingSafeEqual(pssHash(hash, message, found), h);
}

const pssHash = (hash: HashAlgorithm, message: Uint8Array, salt: Uint8Array): Buffer =>
  createHash(hash.digest).update(EIGHT_ZEROS).update(message).update(salt).digest();

/** XORs MGF1 of the seed onto the bytes (RFC 8017 appendix B.2.1). */
function mask(bytes: Buffer, hash: HashAlgorithm, seed: Uint8Array): void {
  const counter = Buffer.alloc(4);
  for (let at = 0; at < bytes.length; at += hash.bytes) {
    counter.writeUInt32BE(at / hash.bytes);
    const block = createHash(hash.digest).update(seed).update(counter).digest();
    for (let index = 0; index < block.length && at + index < bytes.length; index++)
      bytes[at + index] = (bytes[at + index] ?? 0) ^ (block[index] ?? 0);
  }
}
