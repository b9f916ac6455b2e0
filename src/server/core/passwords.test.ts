import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryBackend } from '../../storage/memory.ts';
import { DEFAULT_PASSWORDS, makePassword, PasswordPolicies, parsePasswordPolicy } from './passwords.ts';

const policyText = `
length = 12
rule "charset" {
  charset = "abc"
}
rule "charset" {
  charset = "0123456789"
  min-chars = 4
}
`;

test('the text of upstream is read', () => {
  expect(parsePasswordPolicy(policyText)).toMatchObject({
    length: 12,
    rules: [{ charset: ['a', 'b', 'c'], least: 0 }, { least: 4 }],
  });
});

test('every password meets every rule, whatever the policy', () => {
  const rule = fc.record({
    charset: fc.uniqueArray(fc.constantFrom(...'abcdefXYZ0189-_!é'), { minLength: 1, maxLength: 8 }),
    least: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 20, max: 100 }),
      (rules, length) => {
        const password = [...makePassword({ rules, length })];
        expect(password).toHaveLength(length);
        for (const { charset, least } of rules)
          expect(password.filter((character) => charset.includes(character)).length).toBeGreaterThanOrEqual(
            least,
          );
        expect(password.every((character) => rules.some(({ charset }) => charset.includes(character)))).toBe(
          true,
        );
      },
    ),
  );
});

test('each place may hold each kind of character: what is required does not stand in front', () => {
  const first = new Set(Array.from({ length: 400 }, () => kind(makePassword(DEFAULT_PASSWORDS)[0] ?? '')));
  expect(first).toEqual(new Set(['lower', 'upper', 'digit', 'other']));
});

const kind = (character: string): string =>
  /[a-z]/.test(character)
    ? 'lower'
    : /[A-Z]/.test(character)
      ? 'upper'
      : /\d/.test(character)
        ? 'digit'
        : 'other';

test.each([
  ['no length', 'rule "charset" { charset = "ab" }'],
  ['a length too short', 'length = 3\nrule "charset" { charset = "ab" }'],
  ['a length too long', 'length = 101\nrule "charset" { charset = "ab" }'],
  ['no rules', 'length = 20'],
  ['an empty charset', 'length = 20\nrule "charset" { charset = "" }'],
  ['a charset that cannot be printed', 'length = 20\nrule "charset" { charset = "a\\n" }'],
  ['another kind of rule', 'length = 20\nrule "dictionary" { charset = "ab" }'],
  [
    'rules that ask for more than there is room',
    'length = 5\nrule "charset" { charset = "ab" min-chars = 6 }',
  ],
  ['negative min-chars', 'length = 5\nrule "charset" { charset = "ab"\nmin-chars = -1 }'],
  ['a fraction', 'length = 5.5\nrule "charset" { charset = "ab" }'],
  ['an unknown member', 'length = 20\nentropy = 3\nrule "charset" { charset = "ab" }'],
])('%s is refused', (_, text) => {
  expect(() => parsePasswordPolicy(text)).toThrow();
});

test('policies are kept byte for byte, and one that is not there makes no password', async () => {
  const policies = new PasswordPolicies(new MemoryBackend());
  await policies.write('strict', policyText);
  expect(await policies.text('strict')).toBe(policyText);
  expect(await policies.names()).toEqual(['strict']);
  expect(await policies.make('strict')).toMatch(/^[abc0-9]{12}$/);
  expect(await policies.make()).toHaveLength(20);
  await expect(policies.make('none')).rejects.toMatchObject({ code: 'password.unknown' });
  for (const name of ['../x', 'a/b', '']) await expect(policies.write(name, policyText)).rejects.toThrow();
});
