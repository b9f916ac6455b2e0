import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matches } from './bound.ts';

test.each([
  ['*', 'anything', true],
  ['*', '', true],
  ['a', 'a', true],
  ['a', 'A', false],
  ['a', 'ab', false],
  ['a*', 'abc', true],
  ['a*', 'ba', false],
  ['*a', 'ba', true],
  ['a*c', 'abc', true],
  ['a*c', 'ac', true],
  ['ab*ba', 'aba', false],
  ['a*b*c', 'aXbYc', true],
  ['a*b*c', 'acb', false],
  ['a**b', 'ab', true],
  ['*-eso', 'team-eso', true],
  ['team.*', 'teamX', false],
  ['', '', true],
  ['', 'a', false],
])('%j takes %j: %s', (glob, name, taken) => {
  expect(matches(glob, name)).toBe(taken);
});

test('is what a regular expression says, for every glob and name', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
  const globs = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 });
  fc.assert(
    fc.property(globs, letters, (glob, name) => {
      const pattern = glob
        .split('*')
        .map((text) => text.replaceAll('.', '\\.'))
        .join('.*');
      expect(matches(glob, name)).toBe(new RegExp(`^${pattern}$`).test(name));
    }),
    { numRuns: 2000 },
  );
});
