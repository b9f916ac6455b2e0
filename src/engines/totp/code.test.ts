import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBase32, toBase32 } from '../../base/base32.ts';
import { type Algorithm, hotp, isRight, type Scheme, stepAt } from './code.ts';
import { drawing } from './png.ts';
import { qrCode } from './qr.ts';

const vectors = JSON.parse(readFileSync('test/vectors/totp.json', 'utf8')) as {
  hotp: { secret: string; codes: string[] };
  totp: { algorithm: Algorithm; secret: string; codes: Record<string, string> }[];
};
const symbols = JSON.parse(readFileSync('test/vectors/totp-qr.json', 'utf8')) as {
  text: string;
  symbols: { version: number; bytes: number; sha256: string }[];
};
const scheme = (over: Partial<Scheme> = {}): Scheme => ({
  algorithm: 'SHA1',
  digits: 6,
  period: 30,
  skew: 1,
  ...over,
});

describe('codes', () => {
  test.each(vectors.hotp.codes.map((code, count) => [count, code] as const))(
    'count %i of RFC 4226 gives %s',
    (count, code) => {
      expect(hotp(Buffer.from(vectors.hotp.secret), count, scheme())).toBe(code);
    },
  );

  test.each(
    vectors.totp.flatMap(({ algorithm, secret, codes }) =>
      Object.entries(codes).map(([time, code]) => [algorithm, time, code, secret] as const),
    ),
  )('RFC 6238 with %s at second %s gives %s', (algorithm, time, code, secret) => {
    const at = scheme({ algorithm, digits: 8 });
    const now = Number(time) * 1000;
    expect(hotp(Buffer.from(secret), stepAt(now, at), at)).toBe(code);
    expect(isRight(Buffer.from(secret), code, now, at)).toBe(true);
  });

  test('a code is right in its step, and one step to either side where the skew is 1; no further', () => {
    const secret = Buffer.from(vectors.hotp.secret);
    const code = vectors.hotp.codes[5] ?? '';
    const right = (step: number, skew: number) => isRight(secret, code, step * 30_000, scheme({ skew }));
    expect([3, 4, 5, 6, 7].map((step) => right(step, 1))).toEqual([false, true, true, true, false]);
    expect([4, 5, 6].map((step) => right(step, 0))).toEqual([false, true, false]);
  });

  test('in the first period since the epoch there is no step before it to look at', () => {
    expect(isRight(Buffer.from(vectors.hotp.secret), '755224', 0, scheme())).toBe(true);
  });
});

describe('base 32', () => {
  test('the examples of RFC 4648 come out, without their padding', () => {
    const examples = {
      f: 'MY',
      fo: 'MZXQ',
      foo: 'MZXW6',
      foob: 'MZXW6YQ',
      fooba: 'MZXW6YTB',
      foobar: 'MZXW6YTBOI',
    };
    for (const [plain, text] of Object.entries(examples)) expect(toBase32(Buffer.from(plain))).toBe(text);
  });

  test('what goes in comes back, in either case, padded or not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const text = toBase32(bytes);
        const padded = text.padEnd(Math.ceil(text.length / 8) * 8, '=');
        for (const spelling of [text, text.toLowerCase(), padded])
          expect(fromBase32(spelling)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test.each(['A', 'AAA', 'AAAAAA', 'A1', 'A B', 'Aé', 'AA=A', 'AA=======', '=A'])(
    '%j is no base 32',
    (text) => {
      expect(fromBase32(text)).toBeUndefined();
    },
  );
});

describe('QR codes', () => {
  test.each(symbols.symbols)(
    'of $bytes bytes is the symbol of version $version that a reader read',
    (wanted) => {
      const text = symbols.text.repeat(20).slice(0, wanted.bytes);
      const code = qrCode(Buffer.from(text));
      expect(code?.length).toBe(17 + 4 * wanted.version);
      const drawn = code?.map((row) => row.map((dark) => (dark ? '1' : '0')).join('')).join('\n') ?? '';
      expect(createHash('sha256').update(drawn).digest('hex')).toBe(wanted.sha256);
    },
  );

  test('more bytes than the largest symbol holds give none', () => {
    expect(qrCode(randomBytes(2331))?.length).toBe(177);
    expect(qrCode(randomBytes(2332))).toBeUndefined();
  });

  test('a picture has the size that was asked for, and each module where its place in the code is', () => {
    const code = qrCode(Buffer.from('otpauth://totp/a:b?secret=MY')) ?? [];
    for (const pixels of [code.length, code.length + 1, 100, 201]) {
      const png = drawing(code, pixels) ?? Buffer.alloc(0);
      const scale = Math.max(1, Math.floor(pixels / (code.length + 8)));
      const margin = Math.floor((pixels - code.length * scale) / 2);
      const light = lightPixels(png, pixels);
      for (let y = 0; y < pixels; y++)
        for (let x = 0; x < pixels; x++) {
          const dark = code[Math.floor((y - margin) / scale)]?.[Math.floor((x - margin) / scale)] ?? false;
          if (light(x, y) === dark) throw new Error(`${x},${y} of ${pixels} is wrong`);
        }
    }
    expect(drawing(code, code.length - 1)).toBeUndefined();
  });
});

/** Reads the pixels of a PNG of one chunk of data, one bit each. */
function lightPixels(png: Buffer, pixels: number): (x: number, y: number) => boolean {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  expect([png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]]).toEqual([pixels, pixels, 1, 0]);
  const rows = inflateSync(png.subarray(41, 41 + png.readUInt32BE(33)));
  const stride = 1 + Math.ceil(pixels / 8);
  expect(rows.length).toBe(stride * pixels);
  return (x, y) => (((rows[y * stride + 1 + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1) === 1;
}
