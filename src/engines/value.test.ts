import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson, RawJson } from '../base/json.ts';
import { parseValue, sentText, valueText } from './value.ts';

const outcome = (work: () => string): string => {
  try {
    return work();
  } catch (error) {
    // Where it stands is another place in a request.
    return error instanceof Error ? error.message.replace(/ at offset \d+/, '') : 'thrown';
  }
};

/** As a request brings it, and as it is read and written again. */
const both = (text: string): [string, string] => [
  outcome(() => {
    const { data } = parseJson(`{"options":{ },"data":${text} }`, ['data']) as { data: RawJson };
    return sentText(data);
  }),
  outcome(() => valueText(parseValue(new RawJson(text)))),
];

test.each([
  ['{"a":1,"a":2}', '{"a":2}'],
  ['{ "b" : 1.10, "a" : 12345678901234567890 }', '{"b":1.10,"a":12345678901234567890}'],
  ['{"10":1,"9":2,"a":3}', '{"10":1,"9":2,"a":3}'],
  ['{"a":-0,"b":1e2,"c":1e+21}', '{"a":-0,"b":1e2,"c":1e+21}'],
  ['{"__proto__":{"x":1},"constructor":null}', '{"__proto__":{"x":1},"constructor":null}'],
  ['{"a":"\\u0041\\ud800","b":"\\/"}', '{"a":"A\\ud800","b":"/"}'],
  ['{}', '{}'],
])('what was sent as %s is stored as %s', (sent, stored) => {
  expect(both(sent)).toEqual([stored, stored]);
});

test.each(['null', '[]', '"{"', '{"a":01}', '{"a":1', `{"a":${'['.repeat(70)}${']'.repeat(70)}}`])(
  'what is no value is refused alike: %s',
  (sent) => {
    const [quick, slow] = both(sent);
    expect(quick).toBe(slow);
    expect(quick).not.toBe(sent);
  },
);

test('what is stored as it was sent is told by reading it once', () => {
  const settled = (text: string): boolean =>
    (parseJson(`{"data":${text}}`, ['data']) as { data: RawJson }).data.settled;
  expect(settled('{"a":[1.10,{"é":"😀"},[]],"b":{"a":-0,"c":{}}}')).toBe(true);
  expect(settled('{"a":[1, 2]}')).toBe(false);
  expect(settled('{"a":{"b":1,"b":1}}')).toBe(false);
  expect(settled('{"a":"\\/"}')).toBe(false);
  expect(settled('{"a":"\ud800"}')).toBe(false);
});

test('the quick way and the slow way to a stored text never differ', () => {
  const spaced = fc.json().map((text) => text.replace(/([,:])/g, '$1 '));
  const twice = fc.tuple(fc.jsonValue(), fc.jsonValue()).map(([a, b]) => {
    return `{"k":${JSON.stringify(a)},"k":${JSON.stringify(b)}}`;
  });
  const object = fc
    .dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())
    .map((value) => JSON.stringify(value));
  const number = fc.double().map((value) => `{"n":${value.toString().replace('e+', 'E')}}`);
  fc.assert(
    fc.property(fc.oneof(fc.json(), spaced, twice, object, number), (text) => {
      const [quick, slow] = both(text);
      expect(quick).toBe(slow);
    }),
    { numRuns: 500 },
  );
});
