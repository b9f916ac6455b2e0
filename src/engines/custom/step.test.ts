import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkStep, outgoing, type Step } from './step.ts';
import { readTemplate, render } from './template.ts';

const step = (change: Partial<Step>): Step => ({
  method: 'POST',
  path: '/accounts',
  headers: {},
  body: '',
  expect: [],
  ...change,
});
const source = { address: 'https://source.example:8443/base', headers: {} };
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('..', '.', '/', '%2e%2e', '?a=b', '#', '"', '\\'),
);
/** Texts that are ones in UTF-8 as well, as all that is configured is. */
const wellFormed = anyText.map((text) => Buffer.from(text).toString());

test('whatever stands in a place of a path, the request goes below the folder that the path names, or not at all', () => {
  fc.assert(
    fc.property(wellFormed, (value) => {
      const one = step({ path: '/accounts/{{key}}/renew?for={{key}}' });
      let url: string;
      try {
        url = outgoing(one, source, () => value, 'k').url;
      } catch (error) {
        expect(error).toMatchObject({ code: 'custom.render' });
        return;
      }
      const parsed = new URL(url);
      expect(parsed.href).toBe(url);
      expect(parsed.origin).toBe('https://source.example:8443');
      const [, base, accounts, name, renew, ...more] = parsed.pathname.split('/');
      expect([base, accounts, renew, more]).toEqual(['base', 'accounts', 'renew', []]);
      expect(decodeURIComponent(name ?? '')).toBe(value);
      expect([...parsed.searchParams]).toHaveLength(1);
      expect(parsed.hash).toBe('');
    }),
    { numRuns: 2000 },
  );
});

test('whatever stands in a place of a body, it is one string there and nothing more', () => {
  fc.assert(
    fc.property(wellFormed, (value) => {
      const one = step({ body: '{"a":{"name":"x-{{key}}-y"},"b":[1,"{{key}}"]}' });
      const { body = '' } = outgoing(one, source, () => value, 'k');
      expect(JSON.parse(body)).toEqual({ a: { name: `x-${value}-y` }, b: [1, value] });
    }),
    { numRuns: 2000 },
  );
});

test('whatever stands in a place of a header, it is one line of printable ASCII, or the request is not made', () => {
  fc.assert(
    fc.property(wellFormed, (value) => {
      const one = step({ headers: { 'x-name': 'a {{key}} b' } });
      const printable = /^[ -~]*$/.test(value);
      if (printable) expect(outgoing(one, source, () => value, 'k').headers['x-name']).toBe(`a ${value} b`);
      else expect(() => outgoing(one, source, () => value, 'k')).toThrow('no valid request');
    }),
    { numRuns: 2000 },
  );
});

test('a body that passed keeps its shape for every value', () => {
  const literal = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    'a',
    '1',
    '{{key}}',
    '{{ttl}}',
    '\\',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(literal, { maxLength: 12 }), wellFormed, (parts, value) => {
      const one = step({ body: parts.join('') });
      try {
        checkStep('create', one, ['key', 'ttl']);
      } catch {
        return;
      }
      const { body } = outgoing(one, source, (place) => (place === 'ttl' ? '60' : value), 'k');
      if (body !== undefined) JSON.parse(body);
    }),
    { numRuns: 5000 },
  );
});

test('the key of a credential is in each request, whatever the headers say', () => {
  const { headers } = outgoing(step({ headers: { Accept: 'text/plain' } }), source, () => '', 'the-key');
  expect(headers).toEqual({ accept: 'text/plain', 'idempotency-key': 'the-key' });
});

test('an empty value is no name: a path would name the whole folder', () => {
  expect(() => outgoing(step({ path: '/accounts/{{key}}' }), source, () => '', 'k')).toThrow(
    'no valid request',
  );
});

test.each([
  ['plain', 'plain'],
  ['{{a}}', '<a>'],
  ['{{ a }}-{{secret.B_1}}', '<a>-<secret.B_1>'],
  ['{"x":{"y":"{{a}}"}}', '{"x":{"y":"<a>"}}'],
  ['}}', '}}'],
  ['{{A}}', undefined],
  ['{{a b}}', undefined],
  ['{{', undefined],
  ['{{{a}}}', '{<a>}'],
  ['{{a.b.c}}', undefined],
])('the template %j is rendered to %j', (text, rendered) => {
  const template = readTemplate(text);
  expect(template && render(template, (name) => `<${name}>`, 'plain')).toBe(rendered);
});
