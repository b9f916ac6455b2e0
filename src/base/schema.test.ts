import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseJson } from './json.ts';
import { anyNames, keyValues } from './schema.ts';

const messageOf = (schema: z.ZodType, given: unknown): string | undefined =>
  schema.safeParse(given).error?.issues[0]?.message;

test.each([
  ['an object', parseJson('{"team":"a","__proto__":"x"}')],
  ['an object that was made of JSON by the runtime', JSON.parse('{"__proto__":"x"}')],
  ['a list of pairs', ['team=a', '__proto__=x']],
  ['one pair', '__proto__=x'],
])('keys and values with a member named __proto__ are refused, never thinned out: %s', (_, given) => {
  expect(messageOf(keyValues(), given)).toBe('no member can be named "__proto__"');
});

test('the name is refused at any depth, and every other name of the prototype is kept', () => {
  const nested = anyNames(z.record(z.string(), z.unknown()));
  expect(messageOf(nested, parseJson('{"a":[{"b":{"__proto__":1}}]}'))).toBe(
    'no member can be named "__proto__"',
  );
  const names = '{"constructor":"a","toString":"b","hasOwnProperty":"c","":"d"}';
  expect(JSON.stringify(keyValues().parse(parseJson(names)))).toBe(names);
});

test('keys and values come as an object, as pairs or as one pair, and may be absent', () => {
  expect(keyValues().parse({ a: 1, b: true })).toEqual({ a: '1', b: 'true' });
  expect(keyValues().parse(['a=1', 'b=x=y', ''])).toEqual({ a: '1', b: 'x=y' });
  expect(keyValues().parse('a=')).toEqual({ a: '' });
  expect(messageOf(keyValues(), 'a')).toBe('expected key=value');
  const optional = z.object({ meta: keyValues().nullish() });
  expect(optional.parse({})).toEqual({});
  expect(optional.parse({ meta: null })).toEqual({ meta: null });
});
