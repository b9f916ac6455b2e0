/** Keys from a seed: the same each time, another for another seed, and such as OpenSSL takes. */

import { createPublicKey, sign, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { dsaFrom, ed25519From, p256From, rsaFrom } from './derived.ts';
import { power } from './number.ts';

const seed = (byte: number): Buffer => Buffer.alloc(32, byte);

describe('a key from a seed', () => {
  const kinds = {
    'RSA of 2048 bits': (from: Buffer) => rsaFrom(from, 2048),
    'P-256': p256From,
    Ed25519: ed25519From,
  };
  for (const [name, make] of Object.entries(kinds))
    test(`is the same each time, and another for another seed: ${name}`, { timeout: 60_000 }, () => {
      const der = (byte: number): string =>
        make(seed(byte)).export({ type: 'pkcs8', format: 'der' }).toString('hex');
      expect(der(1)).toBe(der(1));
      expect(der(2)).not.toBe(der(1));
      const key = make(seed(1));
      const hash = name === 'Ed25519' ? null : 'sha256';
      expect(verify(hash, seed(9), createPublicKey(key), sign(hash, seed(9), key))).toBe(true);
    });

  test('of RSA has two primes of half its length, of which the first is the greater', {
    timeout: 60_000,
  }, () => {
    const { n, p, q } = rsaFrom(seed(3), 2048).export({ format: 'jwk' });
    const number = (text = ''): bigint => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
    expect(number(p) * number(q)).toBe(number(n));
    expect(number(n).toString(2)).toHaveLength(2048);
    expect(number(p)).toBeGreaterThan(number(q));
  });

  test('of DSA has a generator of the right order', { timeout: 60_000 }, () => {
    const [p = 0n, q = 0n, g = 0n, y = 0n, x = 0n] = dsaFrom(seed(4));
    expect([p.toString(2).length, q.toString(2).length]).toEqual([2048, 256]);
    expect((p - 1n) % q).toBe(0n);
    expect(g).not.toBe(1n);
    expect(power(g, q, p)).toBe(1n);
    expect(power(g, x, p)).toBe(y);
  });

  // These are what people's Secrets hold: a change of the way would give each of them another key.
  test('never becomes another one with a new version', { timeout: 60_000 }, () => {
    const n = rsaFrom(seed(5), 2048).export({ format: 'jwk' }).n ?? '';
    expect([
      n.slice(0, 24),
      p256From(seed(5)).export({ format: 'jwk' }).x,
      ed25519From(seed(5)).export({ format: 'jwk' }).x,
    ]).toEqual(PINNED);
  });
});
const PINNED = [
  'zZgVoz6DjPgj1k0IAgT-qKga',
  't9xMWa11TybFBAr8QJMvuvOchzx0tGoQMUgeE3iNccY',
  'bs_Kq-u_3AN5ewXW280qC9JmYZJbLA2RCy0DTkUf-os',
];
