import fc from 'fast-check';
import { expect, it } from 'vitest';
import { unpacked } from './texts.ts';

const list = ['CREATE USER a', 'GRANT b TO a'];

it.each([
  ['a text', ['CREATE USER a; GRANT b TO a'], ['CREATE USER a; GRANT b TO a']],
  ['a list', list, list],
  ['JSON', [JSON.stringify(list)], list],
  ['base64', [btoa('CREATE USER a')], ['CREATE USER a']],
  ['JSON in base64', [btoa(JSON.stringify(list))], list],
  ['JSON without a space in base64', [btoa('["~*","+@read"]')], ['~*', '+@read']],
  ['a word that could be base64', ['COMMIT12'], ['COMMIT12']],
  ['JSON that is no list of texts', ['[1, 2]'], ['[1, 2]']],
  ['nothing', ['', '  '], []],
])('%s is unpacked', (_, written, expected) => {
  expect(unpacked(written)).toEqual(expected);
});

it('no text breaks it', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (written) => {
      for (const text of unpacked(written)) expect(text.trim()).not.toBe('');
    }),
  );
});
