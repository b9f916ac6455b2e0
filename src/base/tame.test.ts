import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tame } from './tame.ts';

test('escapes, line breaks and turned text become spaces', () => {
  expect(tame('\u001b[31mred\r\nnext\u202eturned\u2028end\u0000')).toBe('[31mred next turned end');
});

test('what is longer than its bound says that it was cut', () => {
  expect(tame('aaaa', 3)).toBe('aaa…');
  expect(tame('aaa', 3)).toBe('aaa');
});

test('nothing that is left is a control character, whatever came in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      expect(tame(text, 100)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      expect(tame(text, 100).length).toBeLessThanOrEqual(101);
    }),
  );
});
