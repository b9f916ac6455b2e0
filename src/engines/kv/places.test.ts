/** What the engine's own tests and its model do not come to: an entry that is wiped, torn or cut. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import type { Entry } from '../../storage/storage.ts';
import { besideOf, changing, laidIn } from './places.ts';
import { addVersion, DEFAULT_CONFIG, newSecret, type Secret } from './secret.ts';

const KEY = 'meta/app';

/** An entry as it lies after these values were written, and its secret. */
function written(values: readonly string[]): { secret: Secret; entry: Entry } {
  let secret = newSecret('id', 0);
  let entry: Entry | undefined;
  for (const value of values) {
    ({ secret } = addVersion(secret, DEFAULT_CONFIG, secret.current + 1));
    const [first] = changing(KEY, entry && laidIn(entry), secret, { value }, []);
    if (first === undefined || !('value' in first)) throw new Error('no entry');
    entry = { key: KEY, value: first.value, revision: secret.current };
  }
  if (entry === undefined) throw new Error('no values');
  return { secret, entry };
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
