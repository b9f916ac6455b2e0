/**
 * ECDSA over a hash that was made elsewhere (FIPS 186-5 section 6.4), which Node gives no call for: its own always hashes once
 * more. The one secret-dependent multiplication, k times G, is OpenSSL's; what is left with secrets is a few
 * multiplications modulo n, blinded by a random factor, because BigInt takes longer for some numbers than for others.
 * Verification works on public values alone. Signatures here are r and s, each as long as n, one after the other.
 */

import { createECDH, createHmac, type ECDH, type Hmac, type KeyObject } from 'node:crypto';
import type { Ecdsa } from './algorithms.ts';
import { inverse, modulo, toBytes, toNumber } from './number.ts';
import { randomKey } from './random.ts';
import { wipe } from './wipe.ts';

/** y² = x³ - 3x + b over the field of p, with a generator of order n (NIST SP 800-186 section 3.2.1). */
interface Curve {
  readonly p: bigint;
  readonly n: bigint;
  readonly g: Affine;
  readonly bits: number;
  readonly bytes: number;
}
interface Affine {
  readonly x: bigint;
  readonly y: bigint;
}
/** Jacobian coordinates: x = X/Z², y = Y/Z³; Z = 0 is the point at infinity. */
interface Jacobian {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
}

const CURVES: Readonly<Record<Ecdsa['curve'], Curve>> = {
  prime256v1: {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    g: {
      x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    },
    bits: 256,
    bytes: 32,
  },
  secp384r1: {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    g: {
      x: 0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
      y: 0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
    },
    bits: 384,
    bytes: 48,
  },
  secp521r1: {
    p: 2n ** 521n - 1n,
    n: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    g: {
      x: 0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
      y: 0x011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
    },
    bits: 521,
    bytes: 66,
  },
};

/** @returns r and s, `signatureBytes` in all */
export const signHash = (algorithm: Ecdsa, key: KeyObject, hash: Uint8Array): Buffer =>
  signed(algorithm, key, hash, (point) => point.generateKeys());

/**
 * A signature that is the same each time (RFC 6979): for what is made again and must not change, such as the certificate in
 * a Secret that is rendered anew.
 * @param digest OpenSSL's name of the hash function that made `hash`
 * @returns r and s, `signatureBytes` in all
 */
export function signHashAlike(algorithm: Ecdsa, key: KeyObject, hash: Uint8Array, digest: string): Buffer {
  const nonces = noncesOf(CURVES[algorithm.curve], key, hash, digest);
  return signed(algorithm, key, hash, (point) => {
    const nonce = nonces.next().value;
    point.setPrivateKey(nonce);
    wipe(nonce);
    return point.getPublicKey();
  });
}

function signed(
  { curve: name }: Ecdsa,
  key: KeyObject,
  hash: Uint8Array,
  choose: (ephemeral: ECDH) => Buffer,
): Buffer {
  const curve = CURVES[name];
  const { n } = curve;
  const z = truncated(curve, hash);
  const d = numberOf(key.export({ format: 'jwk' }).d);
  for (;;) {
    const ephemeral = createECDH(name);
    const point = choose(ephemeral);
    const nonce = ephemeral.getPrivateKey();
    const k = toNumber(nonce);
    wipe(nonce);
    const r = toNumber(point.subarray(1, 1 + (point.length - 1) / 2)) % n;
    const b = below(n);
    // s = (z + r·d) / k, with b on both sides of the fraction.
    const s = (inverse((b * k) % n, n) * ((b * z + r * ((b * d) % n)) % n)) % n;
    if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r, curve.bytes), toBytes(s, curve.bytes)]);
  }
}

/** The nonces of RFC 6979 section 3.2: the first is used, the others stand by in case it gives no signature. */
function* noncesOf(
  curve: Curve,
  key: KeyObject,
  hash: Uint8Array,
  digest: string,
): Generator<Buffer, never, void> {
  const mac = (secret: Uint8Array, ...parts: readonly Uint8Array[]): Buffer =>
    parts.reduce<Hmac>((all, part) => all.update(part), createHmac(digest, secret)).digest();
  const secret = toBytes(numberOf(key.export({ format: 'jwk' }).d), curve.bytes);
  const message = toBytes(truncated(curve, hash), curve.bytes);
  let k: Buffer = Buffer.alloc(hash.length);
  let v: Buffer = Buffer.alloc(hash.length, 1);
  for (const round of [0, 1]) {
    k = mac(k, v, Uint8Array.of(round), secret, message);
    v = mac(k, v);
  }
  wipe(secret);
  for (;;) {
    const parts: Buffer[] = [];
    for (let have = 0; have < curve.bytes; have += v.length) {
      v = mac(k, v);
      parts.push(v);
    }
    const drawn = Buffer.concat(parts).subarray(0, curve.bytes);
    const nonce = toNumber(drawn) >> BigInt(curve.bytes * 8 - curve.bits);
    if (nonce > 0n && nonce < curve.n) yield toBytes(nonce, curve.bytes);
    k = mac(k, v, Uint8Array.of(0));
    v = mac(k, v);
  }
}

/** @param signature r and s; of any other length it is not one */
export function verifyHash(
  { curve: name }: Ecdsa,
  key: KeyObject,
  hash: Uint8Array,
  signature: Uint8Array,
): boolean {
  const curve = CURVES[name];
  const { n } = curve;
  if (signature.length !== 2 * curve.bytes) return false;
  const r = toNumber(signature.subarray(0, curve.bytes));
  const s = toNumber(signature.subarray(curve.bytes));
  if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
  const jwk = key.export({ format: 'jwk' });
  const q = { x: numberOf(jwk.x), y: numberOf(jwk.y) };
  const w = inverse(s, n);
  const sum = combined(curve, (truncated(curve, hash) * w) % n, curve.g, (r * w) % n, q);
  if (sum.z === 0n) return false;
  const zInverse = inverse(sum.z, curve.p);
  return modulo(sum.x * zInverse * zInverse, curve.p) % n === r;
}

export const signatureBytes = ({ curve }: Ecdsa): number => 2 * CURVES[curve].bytes;

/** r and s as the DER that ASN.1 users expect (RFC 3279 section 2.2.3). */
export function toDer(signature: Uint8Array): Buffer {
  const half = signature.length / 2;
  const both = Buffer.concat([derInteger(signature.subarray(0, half)), derInteger(signature.subarray(half))]);
  return Buffer.concat([Buffer.from([0x30]), derLength(both.length), both]);
}

/** r and s, or undefined where it is not exactly the DER that `toDer` writes. */
export function fromDer(algorithm: Ecdsa, der: Uint8Array): Buffer | undefined {
  const { bytes } = CURVES[algorithm.curve];
  const integers: Buffer[] = [];
  let at = der[1] === 0x81 ? 3 : 2;
  while (integers.length < 2 && der[at] === 0x02) {
    const length = der[at + 1] ?? 0;
    const value = Buffer.from(der.subarray(at + 2, at + 2 + length));
    const start = value[0] === 0 ? 1 : 0;
    if (value.length - start > bytes) return undefined;
    integers.push(Buffer.concat([Buffer.alloc(bytes - value.length + start), value.subarray(start)]));
    at += 2 + length;
  }
  if (integers.length !== 2) return undefined;
  const signature = Buffer.concat(integers);
  // One signature, one spelling: whatever reads differently when written again is refused.
  return toDer(signature).equals(der) ? signature : undefined;
}

function derInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const bare = bytes.subarray(start);
  const value = (bare[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bare]) : bare;
  return Buffer.concat([Buffer.from([0x02]), derLength(value.length), value]);
}

const derLength = (length: number): Buffer =>
  length < 0x80 ? Buffer.from([length]) : Buffer.from([0x81, length]);

/** u·G + v·Q, both at once. */
function combined(curve: Curve, u: bigint, g: Affine, v: bigint, q: Affine): Jacobian {
  const lift = ({ x, y }: Affine): Jacobian => ({ x, y, z: 1n });
  const one = lift(g);
  const two = lift(q);
  const both = add(curve, one, two);
  let sum: Jacobian = { x: 1n, y: 1n, z: 0n };
  for (let bit = BigInt(curve.bits) - 1n; bit >= 0n; bit--) {
    sum = double(curve, sum);
    const hasU = ((u >> bit) & 1n) === 1n;
    const hasV = ((v >> bit) & 1n) === 1n;
    if (hasU && hasV) sum = add(curve, sum, both);
    else if (hasU) sum = add(curve, sum, one);
    else if (hasV) sum = add(curve, sum, two);
  }
  return sum;
}

function double({ p }: Curve, { x, y, z }: Jacobian): Jacobian {
  if (z === 0n || y === 0n) return { x: 1n, y: 1n, z: 0n };
  const delta = (z * z) % p;
  const gamma = (y * y) % p;
  const beta = (x * gamma) % p;
  const alpha = (3n * (x - delta) * (x + delta)) % p;
  const x3 = modulo(alpha * alpha - 8n * beta, p);
  return {
    x: x3,
    y: modulo(alpha * (4n * beta - x3) - 8n * gamma * gamma, p),
    z: modulo(2n * y * z, p),
  };
}

function add(curve: Curve, a: Jacobian, b: Jacobian): Jacobian {
  if (a.z === 0n) return b;
  if (b.z === 0n) return a;
  const { p } = curve;
  const az = (a.z * a.z) % p;
  const bz = (b.z * b.z) % p;
  const u = (a.x * bz) % p;
  const s = (a.y * bz * b.z) % p;
  const h = modulo(b.x * az - u, p);
  const r = modulo(b.y * az * a.z - s, p);
  if (h === 0n) return r === 0n ? double(curve, a) : { x: 1n, y: 1n, z: 0n };
  const h2 = (h * h) % p;
  const h3 = (h * h2) % p;
  const v = (u * h2) % p;
  const x = modulo(r * r - h3 - 2n * v, p);
  return { x, y: modulo(r * (v - x) - s * h3, p), z: (a.z * b.z * h) % p };
}

/** The leftmost bits of the hash, as many as n has. */
function truncated({ bits, n }: Curve, hash: Uint8Array): bigint {
  const surplus = hash.length * 8 - bits;
  const number = toNumber(hash);
  return (surplus > 0 ? number >> BigInt(surplus) : number) % n;
}

/** A random number from 1 to n - 1: 64 bits more than n has, so that none is noticeably likelier. */
function below(n: bigint): bigint {
  return (toNumber(randomKey(74)) % (n - 1n)) + 1n;
}

const numberOf = (text: string | undefined): bigint => toNumber(Buffer.from(text ?? '', 'base64url'));
