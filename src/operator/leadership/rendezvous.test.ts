import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ownerOf } from './rendezvous.ts';

const keys = Array.from({ length: 3000 }, (_, at) => `ExternalSecret/team-${at % 40}/app-${at}`);

test('the work is spread evenly', () => {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const owner = ownerOf(key, ['a', 'b', 'c']) ?? '';
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
  }
  for (const member of ['a', 'b', 'c']) expect(counts.get(member)).toBeGreaterThan(900);
});

test('one who leaves moves only what was its own, and one who comes takes only for itself', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 6 }), fc.string(), (members, key) => {
      const [gone, ...rest] = members;
      const before = ownerOf(key, members);
      if (before !== gone) expect(ownerOf(key, rest)).toBe(before);
    }),
  );
});

test('the order in which members are told does not matter, and nobody owns where there is nobody', () => {
  for (const key of keys.slice(0, 100))
    expect(ownerOf(key, ['c', 'a', 'b'])).toBe(ownerOf(key, ['a', 'b', 'c']));
  expect(ownerOf('k', [])).toBeUndefined();
});
