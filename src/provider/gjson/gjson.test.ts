import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textOf } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { parseOrdered } from '../../base/json.ts';
import { bytesOf } from '../property.ts';
import { gjson } from './gjson.ts';
import { matches } from './query.ts';

interface Vector {
  readonly document: number;
  readonly path: string;
  readonly outcome: 'found' | 'missing';
  readonly text?: string;
  /** Why our outcome is another one. */
  readonly departure?: string;
}

const vectors: { documents: string[]; cases: Vector[] } = JSON.parse(
  readFileSync(new URL('../../../test/vectors/gjson.json', import.meta.url), 'utf8'),
);

/** JSON is compared as JSON: the original keeps the white space of its source. */
const same = (text: string): string => {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
};

describe('the original and we find the same', () => {
  const documents = vectors.documents.map((text) => parseOrdered(text));
  test.each(vectors.cases)('$path', ({ document, path, outcome, text, departure }) => {
    const found = gjson(documents[document] ?? null, path);
    if (departure !== undefined || outcome === 'missing') {
      expect(found === undefined || /^(\[\]|\{\})?$/.test(textOf(bytesOf(found)) ?? '?')).toBe(true);
      if (outcome === 'missing') expect(found).toBeUndefined();
      return;
    }
    expect(found).toBeDefined();
    expect(same(textOf(bytesOf(found ?? null)) ?? '')).toBe(same(text ?? ''));
  });
});

test('the vectors hold enough of both outcomes to mean something', () => {
  const count = (outcome: string) =>
    vectors.cases.filter((c) => c.outcome === outcome && c.departure === undefined).length;
  expect(count('found')).toBeGreaterThan(150);
  expect(count('missing')).toBeGreaterThan(30);
});

test('numbers are found to the digit', () => {
  const found = gjson(parseOrdered('{"a":[{"n":12345678901234567890}]}'), 'a.#.n');
  expect(textOf(bytesOf(found ?? null))).toBe('[12345678901234567890]');
});

test('a path that doubles its value with each step is stopped', () => {
  const path = Array.from({ length: 40 }, () => '[@this,@this]').join('|');
  let thrown: unknown;
  try {
    gjson(parseOrdered('{"a":"secret"}'), path);
  } catch (error) {
    thrown = error;
  }
  expect(isFailure(thrown, 'provider.path_too_costly')).toBe(true);
});

test('whatever the path is, it finds something, nothing, or is too costly: it never breaks', () => {
  const document = parseOrdered(vectors.documents[0] ?? '{}');
  const piece = fc.constantFrom(
    '.',
    '|',
    '#',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '"',
    '\\',
    '@this',
    '@tostr',
    '*',
    '?',
    '==',
    '!',
    '~',
    ',',
    ':',
    'name',
    'friends',
    '0',
    '%',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25, size: 'max' }), (pieces) => {
      try {
        gjson(document, pieces.join(''));
      } catch (error) {
        expect(isFailure(error, 'provider.path_too_costly')).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a pattern of many stars meets a long text in bounded steps', () => {
  expect(matches('a'.repeat(20_000), `${'*a'.repeat(50)}*b`)).toBe(false);
  expect(matches('abc', 'a*c')).toBe(true);
  expect(matches('a*c', 'a\\*c')).toBe(true);
  expect(matches('abc', 'a\\*c')).toBe(false);
});
