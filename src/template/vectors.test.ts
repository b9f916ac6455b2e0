/** Every case of the shared vectors: what Go gives, Holdfast gives, or says why not. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { isFailure } from '../base/errors.ts';
import { type Data, DEFAULT_FUEL, functions, parseTemplate } from './index.ts';

interface Case {
  readonly group: string;
  readonly template: string;
  readonly data: string;
  readonly strings?: boolean;
  readonly outcome: 'ok' | 'parse-error' | 'exec-error';
  readonly want?: string;
  readonly base64?: boolean;
  readonly error?: string;
  readonly go?: string;
  readonly because?: string;
}
const file = new URL('../../test/vectors/template.yaml', import.meta.url);
const vectors = parse(readFileSync(file, 'utf8')) as { data: Record<string, Data>; cases: Case[] };
const env = {
  now: new Date('2026-01-02T03:04:05Z'),
  random: (count: number) => new Uint8Array(count),
  fuel: DEFAULT_FUEL,
};

const dataOf = ({ data, strings }: Case): Data => {
  const value = vectors.data[data] as Data;
  if (strings !== true) return value;
  return new Map(
    Object.entries(value as Record<string, string>).map(([key, text]) => [key, Buffer.from(text)]),
  );
};

function run(each: Case): { outcome: string; text: string } {
  try {
    const bytes = Buffer.from(parseTemplate(each.template, { name: 't' }).render(dataOf(each), env));
    return { outcome: 'ok', text: bytes.toString(each.base64 ? 'base64' : 'utf8') };
  } catch (error) {
    if (!isFailure(error)) throw error;
    // Go gives no column where it cannot parse, and no nearest key.
    if (error.code === 'template.parse') {
      return { outcome: 'parse-error', text: error.message.replace(/^(template: t:\d+):\d+/, '$1') };
    }
    return {
      outcome: error.code === 'template.exec' ? 'exec-error' : error.code,
      text: error.message.replace(/; did you mean .*\?$/, ''),
    };
  }
}

describe('the vectors of templates', () => {
  it('are more than 800, and each that differs from Go says why', () => {
    expect(vectors.cases.length).toBeGreaterThan(800);
    for (const each of vectors.cases)
      expect(each.go === undefined, each.template).toBe(each.because === undefined);
    // Other words for the same error are one thing, another result is another.
    const differs = vectors.cases.filter(
      ({ go, outcome }) => go !== undefined && (outcome === 'ok' || !go.startsWith('template: t:')),
    );
    expect(differs.length).toBeLessThan(vectors.cases.length / 40);
  });

  it('call every function of the table', () => {
    const called = new Set(
      vectors.cases.flatMap((each) => each.template.match(/(?<![.$\w])[a-zA-Z]\w*/g) ?? []),
    );
    expect([...functions.keys()].filter((name) => !called.has(name))).toEqual([]);
  });

  for (const group of new Set(vectors.cases.map((each) => each.group))) {
    it(`give what Go gives: ${group}`, () => {
      for (const each of vectors.cases.filter((one) => one.group === group)) {
        const { outcome, text } = run(each);
        expect({ template: each.template, outcome, text }).toEqual({
          template: each.template,
          outcome: each.outcome,
          text: each.outcome === 'ok' ? each.want : each.error,
        });
      }
    });
  }
});
