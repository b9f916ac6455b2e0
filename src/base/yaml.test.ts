/** YAML of strangers: values, and what would take a naive reader minutes or the process. */

import { describe, expect, test } from 'vitest';
import { parseYaml, YamlError } from './yaml.ts';

const LIMITS = { depth: 100, tokens: 150_000, aliases: 50 };
const plain = (value: unknown): unknown =>
  value instanceof Map
    ? Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
    : Array.isArray(value)
      ? value.map(plain)
      : value;
const parse = (text: string, limits = LIMITS): unknown => plain(parseYaml(text, limits));

describe('YAML', () => {
  test('gives its value, of two keys the last one', () => {
    expect(parse('a: 1\nb: [x, {c: ~}]\nd: |\n  one\n  two\n')).toEqual({
      a: 1,
      b: ['x', { c: null }],
      d: 'one\ntwo\n',
    });
    expect(parse('a: 1\na: 2')).toEqual({ a: 2 });
    expect(parse('a: &x [1]\nb: *x')).toEqual({ a: [1], b: [1] });
    expect(parse('# nothing')).toBeUndefined();
    expect(parse('')).toBeUndefined();
  });

  for (const [name, text] of Object.entries({
    'brackets without an end': '['.repeat(200_000),
    'braces without an end': '{"a":'.repeat(200_000),
    'lists within lists': '- '.repeat(200_000),
    'keys within keys': '? '.repeat(200_000),
    'mappings by indentation': Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    'newlines alone': '\n'.repeat(1_000_000),
    'a laugh': `a: &a [x,x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`},*${i === 0 ? 'a' : `b${i - 1}`}]`).join('\n')}`,
    'two documents': 'a: 1\n---\nb: 2',
    'an open quote': 'a: "x',
    tabs: 'a:\n\t- b',
  }))
    test(`is refused without a word of it: ${name}`, () => {
      expect(() => parse(text)).toThrow(YamlError);
    });

  test('nested as deeply as allowed is read', () => {
    expect(() => parse('['.repeat(90) + ']'.repeat(90))).not.toThrow();
    expect(() => parse(Array.from({ length: 90 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'))).not.toThrow();
  });

  test('of many keys is read, each compared with none', () => {
    const text = Array.from({ length: 15_000 }, (_, i) => `k${i}: v`).join('\n');
    expect(Object.keys(parse(text) as object)).toHaveLength(15_000);
  });
});
