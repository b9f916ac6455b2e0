import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Demands, type Place, ReadIndex } from './demand.ts';

test('a demand that failed is given back, and what came in meanwhile stands', () => {
  const demands = new Demands();
  demands.add('es', 'a', 7);
  demands.add('es', 'b', 1);
  const taken = demands.take('es');
  expect(demands.take('es')).toBeUndefined();
  demands.add('es', 'a', 1);
  demands.restore('es', taken);
  expect(Object.fromEntries(demands.take('es')?.versions ?? [])).toEqual({ a: 1, b: 1 });
});

test('a version that never comes is not insisted on for ever', () => {
  const demands = new Demands();
  demands.add('es', 'a', 7);
  for (let i = 0; i < 5; i++) demands.restore('es', demands.take('es'));
  expect(Object.fromEntries(demands.take('es')?.versions ?? [])).toEqual({ a: 0 });
});

test('the index finds exactly who reads a path, whatever was set and removed before', () => {
  const path = fc.constantFrom('a', 'a/b', 'a/b/c', 'b', 'b/c');
  const place: fc.Arbitrary<Place> = fc.record({
    server: fc.constantFrom('s1', 's2'),
    path,
    prefix: fc.boolean(),
  });
  const step = fc.record({
    key: fc.constantFrom('k1', 'k2', 'k3'),
    places: fc.option(fc.array(place, { maxLength: 3 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), path, (steps, asked) => {
      const index = new ReadIndex();
      const model = new Map<string, readonly Place[]>();
      for (const { key, places } of steps) {
        if (places === undefined) {
          index.remove(key);
          model.delete(key);
        } else {
          index.set(key, places);
          model.set(key, places);
        }
      }
      const reads = (place: Place): boolean =>
        place.server === 's1' && (place.prefix ? asked.startsWith(place.path) : asked === place.path);
      const expected = [...model].filter(([, places]) => places.some(reads)).map(([key]) => key);
      expect([...index.at('s1', asked)].sort()).toEqual(expected.sort());
      const all = [...model].filter(([, places]) => places.some((place) => place.server === 's1'));
      expect([...index.of('s1')].sort()).toEqual(all.map(([key]) => key).sort());
    }),
  );
});
