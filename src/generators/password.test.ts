import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textOf } from '../base/bytes.ts';
import { passwordSpec } from '../operator/api/generators/schemas.ts';
import { testEnv } from '../provider/testing.ts';
import { password, passwordGenerator } from './password.ts';

const env = testEnv({ store: 'Password team/app' });
const none = async () => {
  throw new Error('a password leaves nothing behind');
};
const made = async (spec: object): Promise<Record<string, string>> => {
  const fields = await passwordGenerator.generate(passwordSpec.parse(spec), env, none);
  return Object.fromEntries([...fields].map(([key, bytes]) => [key, textOf(bytes) ?? '']));
};
const count = (text: string, of: RegExp): number => [...text].filter((c) => of.test(c)).length;

test('a password without settings has 24 characters: a quarter digits, a quarter symbols, none of them twice', async () => {
  const { password: text = '' } = await made({});
  expect(text).toHaveLength(24);
  expect(count(text, /[0-9]/)).toBe(6);
  expect(count(text, /[a-zA-Z]/)).toBe(12);
  expect(new Set(text).size).toBe(24);
  expect((await made({}))['password']).not.toBe(text);
});

test('each key gets a password of its own', async () => {
  const fields = await made({ secretKeys: ['a', 'b'] });
  expect(Object.keys(fields)).toEqual(['a', 'b']);
  expect(fields['a']).not.toBe(fields['b']);
});

test.each([
  ['hex', /^[0-9a-f]{48}$/],
  ['base64', /^[A-Za-z0-9+/]{32}$/],
  ['base64url', /^[A-Za-z0-9_-]{32}$/],
  ['base32', /^[A-Z2-7]{39}=$/],
])('the encoding %s writes it as Go does, padding and all', async (encoding, shape) => {
  expect((await made({ encoding }))['password']).toMatch(shape);
});

test('what is encoded is the password, and nothing else', async () => {
  const spec = { length: 1, digits: 0, symbols: 1, symbolCharacters: '?' };
  expect(await made(spec)).toEqual({ password: '?' });
  expect(await made({ ...spec, encoding: 'hex' })).toEqual({ password: '3f' });
  expect(await made({ ...spec, encoding: 'base64' })).toEqual({ password: 'Pw==' });
  expect(await made({ ...spec, encoding: 'base64url' })).toEqual({ password: 'Pw==' });
  expect(await made({ ...spec, encoding: 'base32' })).toEqual({ password: 'H4======' });
});

describe('rules that no password keeps are told in the words that people search for', () => {
  test.each([
    [{ length: 4, digits: 3, symbols: 2 }, 'number of digits and symbols must be less than total length'],
    [
      { length: 60, digits: 0, symbols: 0 },
      'number of letters exceeds available letters and repeats are not allowed',
    ],
    [
      { length: 30, digits: 11, symbols: 0 },
      'number of digits exceeds available digits and repeats are not allowed',
    ],
    [
      { length: 10, digits: 0, symbols: 3, symbolCharacters: '--_' },
      'number of symbols exceeds available symbols and repeats are not allowed',
    ],
    [{ secretKeys: ['a', 'a'] }, 'secretKeys must be non-empty and unique'],
  ])('%j', async (spec, reason) => {
    await expect(made(spec)).rejects.toThrow(`Password team/app: ${reason}`);
  });
});

test('whatever rules can be kept are kept', () => {
  const rules = fc.record({
    digits: fc.nat(10),
    symbols: fc.nat(20),
    letters: fc.nat(26),
    noUpper: fc.boolean(),
    allowRepeat: fc.boolean(),
    characters: fc.constantFrom(undefined, '-_', '!§ß', '#'),
  });
  fc.assert(
    fc.property(rules, ({ digits, symbols, letters, noUpper, allowRepeat, characters }) => {
      const pool = [...(characters ?? '~!@#$%^&*()_+`-={}|[]\\:"<>?,./')];
      const few = allowRepeat ? symbols : Math.min(symbols, pool.length);
      const length = digits + few + letters;
      fc.pre(length > 0);
      const text = password(
        passwordSpec.parse({
          length,
          digits,
          symbols: few,
          noUpper,
          allowRepeat,
          ...(characters === undefined ? {} : { symbolCharacters: characters }),
        }),
        'x',
      );
      const letter = noUpper ? /[a-z]/ : /[a-zA-Z]/;
      expect([...text]).toHaveLength(length);
      expect(count(text, /[0-9]/)).toBe(digits);
      expect(count(text, letter)).toBe(letters);
      expect([...text].filter((c) => pool.includes(c))).toHaveLength(few);
      if (!allowRepeat) expect(new Set(text).size).toBe(length);
    }),
  );
});

test('every place of a password can hold every kind of character: none is known from where it stands', () => {
  const spec = passwordSpec.parse({ length: 4, digits: 1, symbols: 1 });
  const digitAt = new Set<number>();
  for (let i = 0; i < 400; i++) digitAt.add(password(spec, 'x').search(/[0-9]/));
  expect([...digitAt].sort()).toEqual([0, 1, 2, 3]);
});
