import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, hex, utf8 } from '../base/bytes.ts';
import { OVERHEAD_BYTES, openBytes, sealBytes } from './aead.ts';
import { hkdf, hmac, hmacTexts, keyedHash } from './kdf.ts';
import { base62, fillRandom, randomKey, uuid } from './random.ts';
import { combineShares, refuseShares, splitSecret } from './shamir.ts';
import { wipe } from './wipe.ts';

const bytes = (text: string): Uint8Array => fromHex(text)!;

describe('AES-256-GCM', () => {
  test('opens the published vectors of McGrew and Viega, cases 13, 14 and 16', () => {
    const zero = new Uint8Array(32);
    const none = new Uint8Array(0);
    expect(openBytes(zero, bytes(`${'00'.repeat(12)}530f8afbc74536b9a963b4f1c4cb738b`), none)).toHaveLength(
      0,
    );
    const one = `${'00'.repeat(12)}cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919`;
    expect(hex(openBytes(zero, bytes(one), none)!)).toBe('00'.repeat(16));
    const key = bytes('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308');
    const sealed = bytes(
      'cafebabefacedbaddecaf888' +
        '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
        '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662' +
        '76fc6ece0f4e1768cddf8853bb2d551b',
    );
    expect(hex(openBytes(key, sealed, bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2'))!)).toBe(
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    );
  });

  test('gives back what was sealed, and nothing once any single bit has changed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array({ maxLength: 20 }),
        fc.nat(),
        (plain, bound, where) => {
          const key = randomKey(32);
          const sealed = sealBytes(key, plain, bound);
          expect(sealed.length).toBe(plain.length + OVERHEAD_BYTES);
          expect(openBytes(key, sealed, bound)).toEqual(Buffer.from(plain));
          const bit = where % (sealed.length * 8);
          sealed[bit >> 3] = sealed[bit >> 3]! ^ (1 << (bit & 7));
          expect(openBytes(key, sealed, bound)).toBeUndefined();
        },
      ),
      { numRuns: 200 },
    );
  });

  test('does not open under another key or another binding, nor what is too short to hold a tag', () => {
    const key = randomKey(32);
    const sealed = sealBytes(key, utf8('x'), utf8('a'));
    expect(openBytes(randomKey(32), sealed, utf8('a'))).toBeUndefined();
    expect(openBytes(key, sealed, utf8('b'))).toBeUndefined();
    for (let length = 0; length < sealed.length; length++)
      expect(openBytes(key, sealed.subarray(0, length), utf8('a'))).toBeUndefined();
  });

  test('never uses a nonce twice', () => {
    const key = randomKey(32);
    const nonces = new Set(
      Array.from({ length: 500 }, () => hex(sealBytes(key, utf8(''), utf8('')).subarray(0, 12))),
    );
    expect(nonces.size).toBe(500);
  });
});

test('HMAC gives what RFC 4231 says in cases 1 and 2', () => {
  expect(hex(hmac(bytes('0b'.repeat(20)), utf8('Hi '), utf8('There')))).toBe(
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  );
  expect(hex(hmac(utf8('Jefe'), utf8('what do ya want for nothing?')))).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('HKDF gives what RFC 5869 says in cases 1 and 3', () => {
  const secret = bytes('0b'.repeat(22));
  expect(hex(hkdf(secret, bytes('000102030405060708090a0b0c'), bytes('f0f1f2f3f4f5f6f7f8f9'), 42))).toBe(
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  );
  expect(hex(hkdf(secret, new Uint8Array(0), new Uint8Array(0), 42))).toBe(
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  );
});

describe('Shamir', () => {
  const counts = Array.from({ length: 10 }, (_, i) => i + 1).flatMap((n) =>
    Array.from({ length: n }, (_, i) => [n, i + 1] as const).filter(
      ([shares, t]) => refuseShares(shares, t) === undefined,
    ),
  );

  test('any threshold of the shares gives the secret back, one fewer or one forged does not', async () => {
    expect(counts.length).toBe(46);
    for (const [n, t] of counts) {
      const secret = randomKey(32);
      const shares = await splitSecret(secret, n, t);
      expect(shares).toHaveLength(n);
      expect(new Set(shares.map(hex)).size).toBe(n);
      const start = Math.floor(Math.random() * n);
      const chosen = Array.from({ length: t }, (_, i) => shares[(start + i) % n]!);
      expect(Buffer.from((await combineShares(chosen))!)).toEqual(secret);
      if (t === 1) continue;
      expect(Buffer.from((await combineShares(chosen.slice(1)))!)).not.toEqual(secret);
      const forged = chosen.map((share) => Uint8Array.from(share));
      forged[0]![3] = forged[0]![3]! ^ 1;
      expect(Buffer.from((await combineShares(forged))!)).not.toEqual(secret);
    }
  });

  test('a share is one byte longer than the secret and ends in an x from 1 to 255; a single one is the secret', async () => {
    const secret = randomKey(32);
    const shares = await splitSecret(secret, 255, 2);
    expect(new Set(shares.map((share) => share[32])).size).toBe(255);
    expect(shares.every((share) => share.length === 33 && share[32] !== 0)).toBe(true);
    expect(Buffer.from((await splitSecret(secret, 1, 1))[0]!)).toEqual(secret);
  });

  test('gives nothing for shares that cannot belong together', async () => {
    const [a, b] = await splitSecret(randomKey(32), 2, 2);
    expect(await combineShares([])).toBeUndefined();
    expect(await combineShares([a!, a!])).toBeUndefined();
    expect(await combineShares([a!, b!.subarray(1)])).toBeUndefined();
  });

  test.each([
    [0, 1, 'shares must be at least one'],
    [256, 2, 'shares must be less than 256'],
    [3, 0, 'threshold must be at least one'],
    [3, 1, 'threshold must be greater than one for multiple shares'],
    [2, 3, 'threshold cannot be larger than shares'],
    [2.5, 2, 'shares must be at least one'],
    [3, Number.NaN, 'threshold must be at least one'],
  ])('refuses %d shares with a threshold of %d', async (n, t, reason) => {
    expect(refuseShares(n, t)).toBe(reason);
    await expect(splitSecret(randomKey(32), n, t)).rejects.toThrow(reason);
  });
});

test('random bytes are drawn once each, whatever is asked for and in whatever order', () => {
  const nonces = new Set<string>();
  let ones = 0;
  for (let i = 0; i < 20_000; i++) {
    const length = [12, 32, 40, 256, 300][i % 7 === 0 ? i % 5 : 0] ?? 12;
    const drawn = fillRandom(Buffer.alloc(length));
    nonces.add(drawn.toString('hex'));
    for (const byte of drawn.subarray(0, 12)) ones += (byte & 1) + (byte >> 7);
  }
  expect(nonces.size).toBe(20_000);
  // 480 000 fair bits: five standard deviations are 1732.
  expect(Math.abs(ones - 240_000)).toBeLessThan(1800);
  expect(fillRandom(new Uint8Array(0))).toHaveLength(0);
});

test('base62 gives exactly the length asked for, of all 62 characters, evenly', () => {
  for (const length of [0, 1, 24, 95]) expect(base62(length)).toMatch(new RegExp(`^[0-9A-Za-z]{${length}}$`));
  const counts = new Map<string, number>();
  for (const letter of base62(62_000)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  expect(counts.size).toBe(62);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(250);
});

test('a UUID is of version 4 and does not repeat', () => {
  expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuid()).not.toBe(uuid());
});

test('wipe leaves only zeros', () => {
  const key = randomKey(32);
  wipe(key, undefined);
  expect(key.every((byte) => byte === 0)).toBe(true);
});

describe('a keyed hash', () => {
  const bytesOf = (letters: string): Buffer => Buffer.from(letters, 'latin1');
  const key = randomKey(32);

  test('is SHA-256 over a block of the key, both lengths and both, however long they are', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 40 });
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 900 }),
      fc.integer({ min: 16_000, max: 17_000 }).map((length) => new Uint8Array(length).fill(length)),
    );
    fc.assert(
      fc.property(name, value, (name, value) => {
        const lengths = Buffer.alloc(8);
        lengths.writeUInt32BE(Buffer.byteLength(name));
        lengths.writeUInt32BE(value.length, 4);
        const whole = Buffer.concat([key, Buffer.alloc(32), lengths, utf8(name), value]);
        expect(bytesOf(keyedHash(key, name, value))).toEqual(createHash('sha256').update(whole).digest());
      }),
    );
  });

  test('tells where the name ends, and one key from another', () => {
    const of = (name: string, value: string, by = key): string => keyedHash(by, name, utf8(value));
    expect(
      new Set([of('a', 'bc'), of('ab', 'c'), of('abc', ''), of('', 'abc'), of('a', 'bc', randomKey(32))])
        .size,
    ).toBe(5);
    expect(of('a', 'bc')).toBe(of('a', 'bc'));
  });
});

test('HMAC-SHA256 of texts is that of RFC 2104, however long the key and the text', () => {
  const key = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(
      key,
      fc.array(fc.string({ unit: 'binary', maxLength: 200 }), { maxLength: 5 }),
      (key, texts) => {
        const of = hmacTexts(key);
        for (const text of texts) expect(of(text)).toBe(hex(hmac(key, utf8(text))));
      },
    ),
  );
  const of = hmacTexts(utf8('key'));
  for (const text of [
    '',
    'a lone surrogate \ud800',
    'é'.repeat(8160),
    'x'.repeat(16_384 - 64),
    'x'.repeat(20_000),
  ])
    expect(of(text)).toBe(hex(hmac(utf8('key'), utf8(text))));
});
