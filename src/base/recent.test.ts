import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Held, Recent } from './recent.ts';

const LIMIT = 20;

test('what was used since the hand came by stays, what was not goes', () => {
  const recent = new Recent<string>(3);
  for (const key of ['a', 'b', 'c']) recent.set(key, key.toUpperCase());
  expect(recent.get('a')).toBe('A');
  recent.set('d', 'D');
  expect([...recent.values()]).toEqual(['A', 'C', 'D']);
  // Whoever is used in each round of the hand is never dropped.
  for (let number = 0; number < 100; number++) {
    expect(recent.get('a')).toBe('A');
    recent.set(`${number}`, `${number}`);
  }
  expect([...recent.values()]).toEqual(['A', '98', '99']);
});

test('what is held is as if it had been looked up, and lets go of what is kept no more', () => {
  type Step = {
    readonly do: 'set' | 'get' | 'again' | 'grow' | 'delete' | 'clear';
    readonly key: string;
    weight: number;
  };
  const steps: fc.Arbitrary<Step[]> = fc.array(
    fc.record({
      do: fc.constantFrom('set', 'set', 'get', 'again', 'again', 'grow', 'delete', 'clear'),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
      weight: fc.integer({ min: 1, max: 12 }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      // The same is asked of both: of one by key, of the other by what is held.
      const byKey = new Recent<object>(LIMIT);
      const byHeld = new Recent<object>(LIMIT);
      const newest = new Map<string, object>();
      const held = new Map<string, Held<object>>();
      for (const { do: what, key, weight } of all) {
        const value = newest.get(key);
        if (what === 'set') {
          const made = {};
          newest.set(key, made);
          byKey.set(key, made, weight);
          byHeld.set(key, made, weight);
        } else if (what === 'grow' && value !== undefined) {
          byKey.grow(key, value, 1);
          byHeld.grow(key, value, 1);
        } else if (what === 'delete') {
          byKey.delete(key);
          byHeld.delete(key);
        } else if (what === 'clear') {
          byKey.clear();
          byHeld.clear();
        } else {
          const known = held.get(key);
          const again = known && byHeld.again(known);
          const found = again === undefined ? byHeld.find(key) : known;
          if (found !== undefined) held.set(key, found);
          expect(found?.value).toBe(byKey.get(key));
          if (found !== undefined) expect(found.value).toBe(value);
        }
        expect(byHeld.weight).toBe(byKey.weight);
        const kept = new Set(byHeld.values());
        expect(kept).toEqual(new Set(byKey.values()));
        for (const { value: still } of held.values()) if (still !== undefined) expect(kept).toContain(still);
      }
    }),
  );
});

test('its bound is kept', () => {
  const recent = new Recent<number>(LIMIT);
  for (let number = 0; number < 1000; number++) {
    recent.set(`${number % 37}`, number, (number % 10) + 1);
    expect(recent.weight).toBeLessThanOrEqual(LIMIT);
    recent.grow(`${number % 37}`, number, 5);
    expect(recent.weight).toBeLessThanOrEqual(LIMIT);
    expect(recent.weight).toBeGreaterThan(LIMIT / 4);
  }
});

test('nothing is kept where there is no room, or what takes half of it', () => {
  const none = new Recent<string>(0);
  none.set('a', 'A');
  expect(none.get('a')).toBeUndefined();
  const some = new Recent<string>(10);
  some.set('a', 'A', 6);
  expect(some.get('a')).toBeUndefined();
});
