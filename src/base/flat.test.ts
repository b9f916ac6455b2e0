import fc from 'fast-check';
import { expect, test } from 'vitest';
import { flat } from './flat.ts';

test('a text in one piece is what would be read of it as UTF-8', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (parts) => {
      const text = parts.reduce((whole, part) => whole + part, '');
      expect(new TextEncoder().encode(flat(text))).toEqual(new TextEncoder().encode(text));
    }),
  );
});
