import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nearest, nearestName } from './nearest.ts';

test.each([
  ['apiKey', ['api-key', 'api-token'], 'api-key'],
  ['API_KEY', ['key', 'api.key'], 'api.key'],
  ['password', ['username', 'admin-password'], 'admin-password'],
  ['pasword', ['password', 'username'], 'password'],
  ['b', ['x', 'a'], 'a'],
  ['host', ['port', 'username'], undefined],
  ['a'.repeat(129), ['a'.repeat(129)], undefined],
  ['x', [], undefined],
])('%s among %j is %s', (wanted, names, expected) => {
  expect(nearestName(wanted, names)).toBe(expected);
});

test('a message names the nearest, else what there is, else that there is nothing', () => {
  expect(nearest('apiKey', ['api-key'])).toBe('; did you mean "api-key"?');
  expect(nearest('host', ['port', 'username'])).toBe('; it has: port, username');
  expect(
    nearest(
      'zzzzzz',
      Array.from({ length: 9 }, (_, i) => `key${i}`),
    ),
  ).toMatch(/key7, …$/);
  expect(nearest('host', [])).toBe('; it has no keys');
});

test('a name that is there in another spelling is always found', () => {
  const name = fc.stringMatching(/^[a-z]{3,20}$/);
  fc.assert(
    fc.property(name, fc.array(name), (wanted, others) => {
      const found = nearestName(wanted.toUpperCase(), [...others, wanted]);
      expect(found?.toLowerCase()).toBe(wanted);
    }),
  );
});
