import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeToken } from './generateroot.ts';

const ALPHABET = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.'];
const text = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 1, maxLength: 64 });

const encoded = (token: string, otp: string): string =>
  Buffer.from(Buffer.from(token).map((byte, at) => byte ^ (otp.charCodeAt(at) || 0)))
    .toString('base64')
    .replace(/=+$/, '');

test('a token comes back from under its pad', () => {
  fc.assert(
    fc.property(text, fc.infiniteStream(fc.constantFrom(...ALPHABET)), (token, stream) => {
      const otp = [...stream.take(token.length)].join('');
      expect(decodeToken(`${encoded(token, otp)}\n`, otp)).toBe(token);
    }),
  );
});

test('a pad of another length opens nothing', () => {
  expect(decodeToken(encoded('hvs.abc', '1234567'), '123456')).toBeUndefined();
  expect(decodeToken('not base64!', '1234567')).toBeUndefined();
});

test('what a wrong pad makes of it never reaches a terminal as control characters', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
      const found = decodeToken(Buffer.from(bytes).toString('base64'), 'x'.repeat(bytes.length));
      if (found !== undefined) expect(found).toMatch(/^[\x21-\x7e]+$/);
    }),
  );
});
