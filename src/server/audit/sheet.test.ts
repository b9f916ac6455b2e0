import { expect, test } from 'vitest';
import { Sheet, whole } from './sheet.ts';

test.each([
  [[], '{}'],
  [[',"a":1'], '{"a":1}'],
  [[',"a":1', '', ',"b":"ä"'], '{"a":1,"b":"ä"}'],
])('members %j become an object', (members, object) => {
  const sheet = new Sheet();
  sheet.text('before:');
  const from = sheet.length;
  for (const member of members) sheet.text(member);
  sheet.object(from);
  sheet.text(' after');
  expect(sheet.toString()).toBe(`before:${object} after`);
});

test('a sheet grows with what is put down on it', () => {
  const sheet = new Sheet();
  const long = 'ä'.repeat(100_000);
  sheet.text(long);
  sheet.again(0, 4);
  sheet.bytes(Buffer.from('end'));
  expect(sheet.toString()).toBe(`${long}ääend`);
  expect(sheet.cleared().toString()).toBe('');
});

test('what fails on one sheet leaves nothing on any', () => {
  const sheets = [new Sheet(), new Sheet()];
  for (const sheet of sheets) sheet.text('kept');
  const failing = (): void => {
    sheets[0]?.text('lost');
    throw new Error('no');
  };
  expect(() => whole(sheets, failing)).toThrow('no');
  expect(sheets.map(String)).toEqual(['kept', 'kept']);
});
