import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sameJson } from './equal.ts';

test('two values of JSON are the same exactly where their texts are, but for the order of members', () => {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value).map(([key, member]): [string, unknown] => [key, sorted(member)]);
    return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  const textOf = (value: unknown): string => JSON.stringify(sorted(value));
  const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)));
  fc.assert(fc.property(json, json, (a, b) => sameJson(a, b) === (textOf(a) === textOf(b))));
  fc.assert(fc.property(json, (a) => sameJson(a, structuredClone(a))));
});

test.each([
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
  [{ a: undefined }, {}, true],
  [{ a: null }, {}, false],
  [[1, 2], [2, 1], false],
  [[], {}, false],
  ['1', 1, false],
])('%j and %j: %s', (a, b, same) => expect(sameJson(a, b)).toBe(same));
