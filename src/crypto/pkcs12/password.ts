/**
 * Keys from the password of a key store: the derivation of PKCS #12 itself (RFC 7292 appendix B) and PBKDF2 (RFC 8018). Whoever
 * wrote a key store says how often to iterate, so each derivation is paid for before it begins.
 */

import { createHash, pbkdf2Sync } from 'node:crypto';

/** A password in the two forms that the standards ask for. */
export interface Password {
  readonly utf8: Uint8Array;
  /** UTF-16, big-endian, with two zeros at the end; or nothing at all, as some write an empty password. */
  readonly wide: Uint8Array;
}

/**
 * Pays for a derivation before it is made. @param iterations of one hash, or so many of HMAC as take as long
 * @throws where it is too much
 */
export type Pay = (iterations: number) => void;

/** @param utf8 the password's bytes */
export function passwordOf(utf8: Uint8Array): Password {
  const wide = Buffer.from(`${Buffer.from(utf8).toString('utf8')}\0`, 'utf16le').swap16();
  return { utf8, wide };
}

/** What a derived key is for (RFC 7292 appendix B.3). */
export const PURPOSE = { key: 1, iv: 2, mac: 3 } as const;

/** Bytes that a hash takes at a time. */
const BLOCK: Readonly<Record<string, number>> = {
  sha1: 64,
  sha224: 64,
  sha256: 64,
  sha384: 128,
  sha512: 128,
};
const DIGEST: Readonly<Record<string, number>> = { sha1: 20, sha224: 28, sha256: 32, sha384: 48, sha512: 64 };

/** RFC 7292 appendix B.2. @param hash a key of `BLOCK` */
export function derive(
  hash: string,
  password: Password,
  salt: Uint8Array,
  iterations: number,
  purpose: (typeof PURPOSE)[keyof typeof PURPOSE],
  bytes: number,
  pay: Pay,
): Buffer {
  const block = BLOCK[hash] ?? 64;
  const rounds = Math.ceil(bytes / (DIGEST[hash] ?? 20));
  const diversifier = Buffer.alloc(block, purpose);
  const input = Buffer.concat([repeated(salt, block), repeated(password.wide, block)]);
  pay(rounds * (iterations + input.length / block));
  const parts: Buffer[] = [];
  for (let round = 0; round < rounds; round++) {
    let digest = createHash(hash).update(diversifier).update(input).digest();
    for (let i = 1; i < iterations; i++) digest = createHash(hash).update(digest).digest();
    parts.push(digest);
    const addend = repeated(digest, block).subarray(0, block);
    for (let at = 0; at < input.length; at += block) addPlusOne(input.subarray(at, at + block), addend);
  }
  return Buffer.concat(parts).subarray(0, bytes);
}

/** As often as it takes to fill whole blocks; nothing stays nothing. */
function repeated(bytes: Uint8Array, block: number): Buffer {
  return bytes.length === 0
    ? Buffer.alloc(0)
    : Buffer.alloc(block * Math.ceil(bytes.length / block), Buffer.from(bytes));
}

/** Adds a number of the same length, and one; what does not fit is dropped. */
function addPlusOne(target: Buffer, addend: Uint8Array): void {
  let carry = 1;
  for (let i = target.length - 1; i >= 0; i--) {
    const sum = (target[i] ?? 0) + (addend[i] ?? 0) + carry;
    target[i] = sum & 0xff;
    carry = sum >> 8;
  }
}

/** HMAC hashes twice for each iteration, but within one call. */
const PBKDF2_AT_ONCE = 4;

/** @param hash as OpenSSL calls it */
export function pbkdf2(
  hash: string,
  password: Password,
  salt: Uint8Array,
  iterations: number,
  bytes: number,
  pay: Pay,
): Buffer {
  pay((iterations * Math.ceil(bytes / (DIGEST[hash] ?? 20))) / PBKDF2_AT_ONCE);
  return pbkdf2Sync(password.utf8, salt, iterations, bytes, hash);
}
