import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base64Path } from './base64path.ts';

const encoded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const spelled = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

describe('the end of a path in base64', () => {
  test('is one segment, however its slashes were sent', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (rest) => {
        // 0x30: a DER sequence, whose base64 begins with "M".
        const bytes = Uint8Array.from([0x30, ...rest]);
        const text = encoded(bytes);
        const ways = [text, encodeURIComponent(text), text.replaceAll('/', '%2f'), text.replace(/=+$/, '')];
        for (const way of ways)
          expect(base64Path(`pki/ocsp/${way}`)?.segments).toEqual(['pki', 'ocsp', spelled(bytes)]);
      }),
    );
  });

  test.each([
    ['a/ocsp/ocsp/MAA%2F', ['a', 'ocsp', 'ocsp', 'MAA_']],
    ['ocsp/ocsp/MAA%2F', ['ocsp', 'ocsp', 'MAA_']],
    ['pki/unified-ocsp/MAA%2F', ['pki', 'unified-ocsp', 'MAA_']],
  ])('%s is found behind the mount', (raw, segments) => {
    expect(base64Path(raw)?.segments).toEqual(segments);
  });

  test.each([
    'pki/ocsp/MAA%252F',
    'pki/ocsp/MA A%2F',
    'pki/ocsp/MAA-%2F',
    'pki/ocsp/MAA%2F..%2F..%2Fsys',
    'pki/ocsp/MAA%00',
    'pki/ocsp/MAA%2',
    'pki/ocsp/x%2Fy',
    'pki/../ocsp/MAA%2F',
    'pki%2Focsp/MAA%2F',
    'pki//ocsp/MAA%2F',
    'secret/data/a%2Fb',
    'ocsp/MAA%2F',
    'pki/OCSP/MAA%2F',
    'pki/ocsp/',
    '',
  ])('%j has none', (raw) => {
    expect(base64Path(raw)).toBeUndefined();
  });
});
