/**
 * Key pairs made from a seed: the same seed gives the same key. For keys that must come out the same whenever they are made anew,
 * where there is no place to keep them. A seed is 32 secret bytes; each part of a key is drawn from it under a name of its own.
 */

import { checkPrimeSync, createECDH, createPrivateKey, type KeyObject } from 'node:crypto';
import { hkdf } from './kdf.ts';
import { privateKeyOf } from './keys.ts';
import { inverse, modulo, power, toBytes, toNumber } from './number.ts';
import { wipe } from './wipe.ts';

type Draw = (name: string, bytes: number) => Buffer;

const drawsOf =
  (seed: Uint8Array, purpose: string): Draw =>
  (name, bytes) =>
    hkdf(seed, Buffer.alloc(0), Buffer.from(`holdfast ${purpose} ${name}`), bytes);

/** An Ed25519 key (RFC 8032). */
export function ed25519From(seed: Uint8Array): KeyObject {
  const secret = drawsOf(seed, 'ed25519')('secret', 32);
  try {
    return privateKeyOf(secret);
  } finally {
    wipe(secret);
  }
}

/** Order of the curve P-256 (NIST SP 800-186 section 3.2.1.3). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** A key of the curve P-256, by FIPS 186-5 appendix A.2.1: 64 bits more than the order has, so that no key is noticeably likelier. */
export function p256From(seed: Uint8Array): KeyObject {
  const scalar = (toNumber(drawsOf(seed, 'p256')('secret', 40)) % (P256_ORDER - 1n)) + 1n;
  const secret = toBytes(scalar, 32);
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(secret);
  const point = curve.getPublicKey();
  const key = {
    kty: 'EC',
    crv: 'P-256',
    d: secret.toString('base64url'),
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  };
  wipe(secret);
  return createPrivateKey({ key, format: 'jwk' });
}

const EXPONENT = 65537n;

/** An RSA key (FIPS 186-5 appendix A.1.3). @param bits of the modulus, a multiple of 16 */
export function rsaFrom(seed: Uint8Array, bits: number): KeyObject {
  const draw = drawsOf(seed, `rsa-${bits}`);
  const fits = (candidate: bigint): boolean => (candidate - 1n) % EXPONENT !== 0n;
  const one = primeFrom(draw, 'p', bits / 2, fits);
  const two = primeFrom(draw, 'q', bits / 2, (candidate) => candidate !== one && fits(candidate));
  const [p, q] = one > two ? [one, two] : [two, one];
  const n = p * q;
  const d = inverse(EXPONENT, ((p - 1n) * (q - 1n)) / greatestCommon(p - 1n, q - 1n));
  const text = (value: bigint, length = bits / 16): string => toBytes(value, length).toString('base64url');
  const key = {
    kty: 'RSA',
    n: text(n, bits / 8),
    e: 'AQAB',
    d: text(d, bits / 8),
    p: text(p),
    q: text(q),
    dp: text(d % (p - 1n)),
    dq: text(d % (q - 1n)),
    qi: text(inverse(q, p)),
  };
  return createPrivateKey({ key, format: 'jwk' });
}

const greatestCommon = (a: bigint, b: bigint): bigint => (b === 0n ? a : greatestCommon(b, a % b));

/** A DSA key of 2048 and 256 bits (FIPS 186-4 section 4.2): the numbers p, q, g, y and x. Obsolete; nothing here signs with it. */
export function dsaFrom(seed: Uint8Array): readonly bigint[] {
  const draw = drawsOf(seed, 'dsa');
  const q = primeFrom(draw, 'q', 256, () => true);
  const p = congruentPrime(draw, 2048, q);
  let g = 1n;
  for (let h = 2n; g === 1n; h++) g = power(h, (p - 1n) / q, p);
  const x = (toNumber(draw('x', 40)) % (q - 1n)) + 1n;
  return [p, q, g, power(g, x, p), x];
}

/** How far a search goes on from its start before it takes another: 32 times the usual distance between primes of 2048 bits. */
const SPAN = 2 ** 16;

/** The first prime from a drawn start on that fits; its two highest bits are set, so that two of them multiply to full length. */
function primeFrom(draw: Draw, name: string, bits: number, fits: (candidate: bigint) => boolean): bigint {
  for (let attempt = 0; ; attempt++) {
    const top = 3n << BigInt(bits - 2);
    const start = toNumber(draw(`${name} ${attempt}`, bits / 8)) | top | 1n;
    const end = 1n << BigInt(bits);
    for (const offset of survivors(start, 2n)) {
      const candidate = start + offset;
      if (candidate < end && fits(candidate) && checkPrimeSync(candidate)) return candidate;
    }
  }
}

/** The first prime from a drawn start on that is one more than a multiple of 2q. */
function congruentPrime(draw: Draw, bits: number, q: bigint): bigint {
  for (let attempt = 0; ; attempt++) {
    const drawn = toNumber(draw(`p ${attempt}`, bits / 8)) | (1n << BigInt(bits - 1));
    const start = drawn - modulo(drawn - 1n, 2n * q);
    for (const offset of survivors(start, 2n * q)) {
      const candidate = start + offset;
      if (candidate >> BigInt(bits - 1) === 1n && checkPrimeSync(candidate)) return candidate;
    }
  }
}

/** Odd primes below the span; made when they are first wanted. */
let smallPrimes: readonly number[] | undefined;

function primesBelow(limit: number): number[] {
  const composite = new Uint8Array(limit);
  const found: number[] = [];
  for (let n = 3; n < limit; n += 2) {
    if (composite[n] === 1) continue;
    found.push(n);
    for (let multiple = n * n; multiple < limit; multiple += 2 * n) composite[multiple] = 1;
  }
  return found;
}

/** Offsets of the numbers from `start` on, `step` apart, that no small prime divides: one in ten of them. */
function* survivors(start: bigint, step: bigint): Generator<bigint> {
  smallPrimes ??= primesBelow(SPAN);
  const composite = new Uint8Array(SPAN / 2);
  for (const prime of smallPrimes) {
    const stride = Number(step % BigInt(prime));
    if (stride === 0) continue;
    // start + i·stride = 0 modulo the prime; numbers below 2^16, so that their products are exact.
    const rest = (prime - Number(start % BigInt(prime))) % prime;
    for (let i = (rest * smallInverse(stride, prime)) % prime; i < composite.length; i += prime)
      composite[i] = 1;
  }
  for (let i = 0; i < composite.length; i++) if (composite[i] === 0) yield BigInt(i) * step;
}

function smallInverse(value: number, prime: number): number {
  let [a, b] = [value, prime];
  let [x, y] = [1, 0];
  while (a > 1) {
    const quotient = Math.floor(b / a);
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return x < 0 ? x + prime : x;
}
