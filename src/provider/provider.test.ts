import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../base/bytes.ts';
import { isFailure } from '../base/errors.ts';
import { parseOrdered } from '../base/json.ts';
import { convertKeys } from './convert.ts';
import { checkNullBytes, decodeValue } from './decode.ts';
import { validKeys } from './keys.ts';
import { bytesOf, extract, lookup, parseObjectValue } from './property.ts';
import type { Value } from './provider.ts';
import { type RewriteStep, rewrite } from './rewrite.ts';

const CANARY = 'canary-s3cr3t';

function failureOf(call: () => unknown) {
  try {
    call();
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

const secret = (text: string): Value => {
  const value = parseObjectValue(text);
  if (value === undefined) throw new Error('not an object');
  return value;
};
const map = (given: Record<string, string>) => new Map(Object.entries(given).map(([k, v]) => [k, utf8(v)]));
const shown = (values: ReadonlyMap<string, Uint8Array>) =>
  Object.fromEntries([...values].map(([k, v]) => [k, textOf(v)]));

describe('properties', () => {
  const value = secret(
    `{"api-key":"${CANARY}","a.b":"exact","a":{"b":"deep"},"n":1e21,"big":9007199254740993,"x":null}`,
  );

  test.each([
    ['a.b', 'exact'],
    ['a', '{"b":"deep"}'],
    ['a.@keys.0', 'b'],
    ['n', '1000000000000000000000'],
    ['big', '9007199254740993'],
    ['x', ''],
  ])('%s is %s', (property, wanted) => expect(textOf(lookup(value, property, 'k'))).toBe(wanted));

  test('a member of a member is found by a name with dots, where no path leads anywhere', () => {
    const metadata = secret('{"annotations":{"example.com/owner":"amy","a.b":"dotted","a":{"b":"deep"}}}');
    expect(textOf(lookup(metadata, 'annotations.example.com/owner', 'k'))).toBe('amy');
    expect(textOf(lookup(metadata, 'annotations.a.b', 'k'))).toBe('deep');
    expect(failureOf(() => lookup(metadata, 'annotations.example.org', 'k')).code).toBe(
      'provider.property_missing',
    );
  });

  test('no property is the whole, in its order and to the digit', () => {
    const text = '{"z":1.10,"10":12345678901234567890,"a":"b"}';
    expect(textOf(lookup(secret(text), '', 'k'))).toBe(text);
  });

  test('a missing property names the entry and the nearest key, never a value', () => {
    const failure = failureOf(() => lookup(value, 'apiKey', 'ci-cd/github'));
    expect(failure.message).toBe(
      'cannot find secret data for key: "apiKey" in ci-cd/github; did you mean "api-key"?',
    );
    expect(`${failure.message}${failure.stack}${JSON.stringify(failure.data)}`).not.toContain(CANARY);
  });

  test('a property of something that is no JSON is missing and not quoted', () => {
    const failure = failureOf(() => lookup({ bytes: utf8(CANARY) }, 'a', 'k'));
    expect(failure.code).toBe('provider.property_missing');
    expect(failure.message).not.toContain(CANARY);
    expect(failureOf(() => extract({ bytes: utf8(CANARY) }, undefined, 'k')).code).toBe(
      'provider.not_an_object',
    );
  });

  test('binary values pass untouched', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(lookup({ bytes }, undefined, 'k')).toEqual(bytes);
      }),
    );
  });

  test('numbers are printed as Go prints a float64 without an exponent', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (n) => {
        const text = textOf(bytesOf(parseOrdered(JSON.stringify(n)))) ?? '';
        expect(text).toMatch(/^-?\d+(\.\d*[1-9])?$/);
        expect(Number(text) + 0).toBe(n + 0);
      }),
    );
  });
});

describe('decoding', () => {
  test('every strategy gives back what was encoded, and Auto what is no base64 as it is', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const b = Buffer.from(bytes);
        const url = b.toString('base64url');
        const padded = url.padEnd(Math.ceil(url.length / 4) * 4, '=');
        expect(Buffer.from(decodeValue(utf8(b.toString('base64')), 'Base64', 'k'))).toEqual(b);
        expect(Buffer.from(decodeValue(utf8(padded), 'Base64URL', 'k'))).toEqual(b);
        expect(Buffer.from(decodeValue(utf8(padded), 'Auto', 'k'))).toEqual(b);
        expect(decodeValue(bytes, 'None', 'k')).toEqual(bytes);
      }),
    );
    expect(textOf(decodeValue(utf8('not base64!'), 'Auto', 'k'))).toBe('not base64!');
  });

  test.each(['Base64', 'Base64URL'] as const)(
    '%s of something else names the entry, not the value',
    (strategy) => {
      const failure = failureOf(() => decodeValue(utf8(`${CANARY}!`), strategy, 'PASSWORD'));
      expect(failure.message).toBe(`the value of PASSWORD is not ${strategy}`);
    },
  );

  test('unpadded base64 is refused, as upstream refuses it', () => {
    expect(failureOf(() => decodeValue(utf8('YWI'), 'Base64', 'k')).code).toBe('provider.decoding');
  });

  test('a null byte fails only where the policy says so', () => {
    checkNullBytes(new Uint8Array([0]), 'Ignore', 'k');
    checkNullBytes(new Uint8Array([1]), 'Fail', 'k');
    expect(failureOf(() => checkNullBytes(new Uint8Array([65, 0]), 'Fail', 'k')).code).toBe(
      'provider.null_byte',
    );
  });
});

describe('names', () => {
  test('each invalid character is replaced by the strategy', () => {
    expect(Object.keys(shown(convertKeys(map({ 'a/b c': '' }), 'Default')))).toEqual(['a_b_c']);
    expect(Object.keys(shown(convertKeys(map({ 'a/é': '' }), 'Unicode')))).toEqual(['a_U002f__U00e9_']);
  });

  test('two names that become one are refused, not lost', () => {
    expect(failureOf(() => convertKeys(map({ 'a/b': '1', 'a b': '2' }), '')).message).toBe(
      'secret name collision during conversion: a_b',
    );
  });

  test('a name too long or with a foreign character is refused in the words of upstream, an empty one dropped', () => {
    expect([...validKeys(map({ '': 'x', 'a.b-c_1': 'y' })).keys()]).toEqual(['a.b-c_1']);
    expect(failureOf(() => validKeys(map({ 'a/b': 'x' }))).message).toBe(
      "invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): key has invalid character /, only alphanumeric, '-', '.' and '_' are allowed: a/b",
    );
    expect(failureOf(() => validKeys(map({ ['a'.repeat(254)]: 'x' }))).message).toContain(
      'key has length 254 but max is 253',
    );
  });

  test('what is converted is valid, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), (key) => {
        const strategy = 'Unicode';
        expect(validKeys(convertKeys(new Map([[key, utf8('')]]), strategy)).size).toBe(1);
      }),
    );
  });
});

describe('rewriting', () => {
  const render = (template: string, data: { value: string }) => template.replace('{{ .value }}', data.value);
  const run = (given: Record<string, string>, ...steps: RewriteStep[]) =>
    shown(rewrite(map(given), steps, render));
  const regexp = (source: string, target: string): RewriteStep => ({ regexp: { source, target } });

  test.each([
    ['^(\\w+)/(?P<last>.*)$', '${last}.$1', 'team/db', 'db.team'],
    ['b', '$$', 'abc', 'a$c'],
    ['(a)', '$1x', 'ab', 'b'],
    ['x*', '-', 'abc', '-a-b-c-'],
    ['a*', '-', 'baac', '-b-c-'],
    ['(a)|b', '[$1]', 'ab', '[a][]'],
    ['é', 'e', 'café', 'cafe'],
  ])('%s -> %s makes of %s %s', (source, target, from, to) =>
    expect(Object.keys(run({ [from]: '1' }, regexp(source, target)))).toEqual([to]),
  );

  test('a pattern that is none is refused; one that would take for ever elsewhere does not here', () => {
    expect(failureOf(() => run({ a: '1' }, regexp('(', ''))).code).toBe('provider.rewrite');
    const key = `${'a'.repeat(200)}!`;
    expect(Object.keys(run({ [key]: '1' }, regexp('^(a+)+$', 'x')))).toEqual([key]);
  });

  test('where two names become one, the same one wins each time', () => {
    expect(run({ b: '2', a: '1' }, regexp('.', 'x'))).toEqual({ x: '2' });
    expect(run({ a: '1', b: '2' }, regexp('.', 'x'))).toEqual({ x: '2' });
  });

  test('a transform is a template over the name; steps follow one another', () => {
    expect(run({ a: '1' }, { transform: { template: 'P_{{ .value }}' } }, regexp('^P_', 'Q'))).toEqual({
      Qa: '1',
    });
  });

  test('merge takes the rest in the order of names and then the priority, later ones winning', () => {
    const merge = { priority: ['a'], conflictPolicy: 'Ignore' as const };
    expect(run({ a: '{"k":"a","x":1}', c: '{"k":"c"}', b: '{"k":"b","y":{"z":[1]}}' }, { merge })).toEqual({
      k: 'a',
      x: '1',
      y: '{"z":[1]}',
    });
  });

  test('merge as JSON keeps its inputs and adds the whole', () => {
    expect(run({ a: '{"k":1}', b: '{"l":2.50}' }, { merge: { strategy: 'JSON', into: 'all' } })).toEqual({
      a: '{"k":1}',
      b: '{"l":2.50}',
      all: '{"k":1,"l":2.50}',
    });
  });

  test.each([
    [{ a: '{"k":1}', b: '{"k":2}' }, {}, 'the key "k" is in both "a" and "b"'],
    [{ a: CANARY }, {}, 'the value of "a" is not a JSON object'],
    [
      { 'api-key': '{}' },
      { priority: ['apiKey'] },
      'the key "apiKey" of `priority` was not found; did you mean "api-key"?',
    ],
    [{ a: '{}' }, { strategy: 'JSON' as const }, 'the strategy JSON needs `into`'],
  ])('merge of %j by %j says why it cannot', (given, merge, reason) => {
    const failure = failureOf(() => run(given as Record<string, string>, { merge }));
    expect(failure.message).toBe(`rewrite: merge: ${reason}`);
    expect(String(failure.stack)).not.toContain(CANARY);
  });

  test('a priority that is not there may be let go', () => {
    expect(run({ a: '{"k":1}' }, { merge: { priority: ['z'], priorityPolicy: 'IgnoreNotFound' } })).toEqual({
      k: '1',
    });
  });
});
