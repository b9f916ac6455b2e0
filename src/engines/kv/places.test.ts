/** What the engine's own tests and its model do not come to: an entry that is wiped, torn or cut. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import type { Entry } from '../../storage/storage.ts';
import { besideOf, changing, laidIn, outOfRun, runKeyOf } from './places.ts';
import { addVersion, DEFAULT_CONFIG, newSecret, numbersOf, type Secret } from './secret.ts';

const KEY = 'meta/app';

/** What lies in a store after these values were written, and the secret. */
function written(values: readonly string[]): {
  secret: Secret;
  entry: Entry;
  store: ReadonlyMap<string, Entry>;
} {
  const store = new Map<string, Entry>();
  let secret = newSecret('id', 0);
  for (const value of values) {
    const before = store.get(KEY);
    ({ secret } = addVersion(secret, DEFAULT_CONFIG, secret.current + 1));
    for (const write of changing(KEY, before && laidIn(before), secret, { value }, []))
      if ('value' in write)
        store.set(write.key, { key: write.key, value: write.value, revision: secret.current });
      else if (!store.delete(write.key)) throw new Error(`nothing lies at ${write.key}`);
  }
  const entry = store.get(KEY);
  if (entry === undefined) throw new Error('no values');
  return { secret, entry, store };
}

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    return isFailure(error) ? error.code : String(error);
  }
  return undefined;
};

describe('the entry of a secret', () => {
  test('has its values one after the other, the newest first', () => {
    const laid = laidIn(written(['{"a":1}', '{"ä":"ö"}', '{"a":3}']).entry);
    expect(laid.places).toEqual({ beside: [7, 11, 7], runs: [] });
    expect([1, 2, 3, 4].map((number) => besideOf(laid, number)?.toString())).toEqual([
      '{"a":1}',
      '{"ä":"ö"}',
      '{"a":3}',
      undefined,
    ]);
  });

  test.each([10, 400, 1000, 5000])(
    'leads to its older values of %d bytes, and to no run of which all are too old',
    (length) => {
      const valueNumber = (number: number): string => `${number}`.padStart(length, 'x');
      for (const count of [1, 9, 10, 11, 40, 41, 42, 43]) {
        const { secret, entry, store } = written(
          Array.from({ length: count }, (_, at) => valueNumber(at + 1)),
        );
        const laid = laidIn(entry);
        const runs = new Set<string>();
        for (const number of numbersOf(secret)) {
          const key = runKeyOf(laid, number);
          const run = key === undefined ? undefined : store.get(key);
          if (run !== undefined) runs.add(run.key);
          const found = run === undefined ? besideOf(laid, number) : outOfRun(laid, number, run);
          expect(found && Buffer.from(found).toString()).toBe(valueNumber(number));
        }
        expect([...store.keys()].sort()).toEqual([KEY, ...runs].sort());
        expect(laid.places.runs.length).toBe(runs.size);
      }
    },
  );

  test('that was wiped since it was read is neither read nor written on', () => {
    const { secret, entry } = written(['{"a":1}', '{"a":2}']);
    const laid = laidIn(entry);
    entry.value.fill(0);
    expect(codeOf(() => besideOf(laid, 1))).toBe('server.sealed');
    const { secret: next } = addVersion(secret, DEFAULT_CONFIG, 9);
    expect(codeOf(() => changing(KEY, laid, next, { value: '{}' }, []))).toBe('server.sealed');
  });

  test.each([
    ['nothing', ''],
    ['a record alone', '{}'],
    ['no places', '{}\n[1'],
    ['no record', 'x\n{"beside":[],"runs":[]}\n'],
    ['places that are none', '{}\nx\n'],
  ])('of %s is told as damaged', (_, text) => {
    expect(codeOf(() => laidIn({ key: KEY, value: utf8(text), revision: 1 }))).toBe('storage.corrupt');
  });
});
