import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseOrdered, stringify } from '../../base/json.ts';
import { jsonPath, PathError } from './jsonpath.ts';

const DOCUMENT =
  '{"result":{"s":"v","n":12,"f":1.5,"b":true,"z":null,"a b":"sp","dot.ted":"d","o":{"x":{"y":"deep"}}},' +
  '"list":[{"name":"a","value":"1","n":1},{"name":"b","value":"2","n":5},{"name":"c","n":9}],' +
  '"nums":[10,20,30,40],"empty":[]}';
const document = parseOrdered(DOCUMENT);
const found = (path: string): string => stringify(jsonPath(document, path));
const refused = (path: string, from = document): string => {
  try {
    jsonPath(from, path);
  } catch (error) {
    if (error instanceof PathError) return error.message;
    throw error;
  }
  throw new Error(`${path} was read`);
};

describe('JSON paths', () => {
  // What github.com/PaesslerAG/jsonpath v0.1.1 gave for the same document.
  test.each([
    ['$.result.s', '"v"'],
    ['result.s', '"v"'],
    ['$ .result . s', '"v"'],
    ['$.result.z', 'null'],
    ['$["result"]["a b"]', '"sp"'],
    ['$.result["a\\u0020b"]', '"sp"'],
    ['$.list[0].name', '"a"'],
    ['$["list"][1]', '{"name":"b","value":"2","n":5}'],
    ['$.list[*].name', '["a","b","c"]'],
    ['$.list.*.name', '["a","b","c"]'],
    ['$..name', '["a","b","c"]'],
    ['$..n', '[12,1,5,9]'],
    ['$..["name"]', '["a","b","c"]'],
    ['$..list[0].name', '["a"]'],
    ['$..[0].name', '["a"]'],
    ['$.result.o..y', '["deep"]'],
    ['$..o.x.y', '["deep"]'],
    ['$.list[0,2].name', '["a","c"]'],
    ['$.list[1,0].name', '["b","a"]'],
    ['$.list[0:2].name', '["a","b"]'],
    ['$.list[::2].name', '["a","c"]'],
    ['$.list[1:].name', '["b","c"]'],
    ['$.list[:1]', '[{"name":"a","value":"1","n":1}]'],
    ['$.list[-2:].name', '["b","c"]'],
    ['$.nums[::-1]', '[40,30,20,10]'],
    ['$.nums[1:3]', '[20,30]'],
    ['$.nums["0"]', '10'],
    ['$.result["s","n"]', '["v",12]'],
    ['$.empty', '[]'],
    ['$.list[?(@.name=="b")].value', '["2"]'],
    ['$.list[?@.name=="b"].value', '["2"]'],
    ["$.list[?(@.name=='b')].value", '["2"]'],
    ['$.list[?(@["name"]=="b")].n', '[5]'],
    ['$.list[?(@.value)].name', '["a","b"]'],
    ['$.list[?(@.n==5.0)].name', '["b"]'],
    ['$.list[?(@.name==1)].name', '[]'],
    ['$.list[?(@.missing==1)].name', '[]'],
    ['$.list[?($.result.n==12)].name', '["a","b","c"]'],
    ['$.list[?(true)].name', '["a","b","c"]'],
    ['$.result[?(@=="v")]', '["v"]'],
  ])('%s finds %s, as the original does', (path, want) => expect(found(path)).toBe(want));

  test('the whole document keeps its order', () => expect(found('$')).toBe(DOCUMENT));

  // What the original cannot read, and people write.
  test.each([
    ["$['result']['a b']", '"sp"'],
    ["$.result['dot.ted']", '"d"'],
    ["$.result['s','n']", '["v",12]'],
    ['$.list[?(@.n>4)].name', '["b","c"]'],
    ['$.list[?(@.n>=5 && @.name!="c")].name', '["b"]'],
    ['$.list[?(@.n<2 || @.name=="c")].name', '["a","c"]'],
    ['$.list[?(!@.value)].name', '["c"]'],
    ['$.nums[3:0:-1]', '[40,30,20]'],
  ])('%s finds %s, which is more than the original', (path, want) => expect(found(path)).toBe(want));

  test.each([
    ['$.result.none', 'unknown key none'],
    ['$.result.s.x', 'unknown key x'],
    ['$.nums.length', 'unknown key length'],
    ['$.list[9].name', 'index 9 out of bounds'],
    ['$.list[-1].name', 'index -1 out of bounds'],
    ['$.empty[0]', 'index 0 out of bounds'],
    ['$.', 'unexpected its end at character 3'],
    ['', 'unexpected its end at character 1'],
    ['$.result.a-b', 'unexpected "-" at character 11'],
    ['$.nums.0', 'unexpected "0" at character 8'],
    ['$.list[?(@.n+1==6)].name', 'unexpected "+" at character 13'],
    ['1+1', 'unexpected "1" at character 1'],
    ['$.list[', 'unexpected its end at character 8'],
    ['$["a', 'unexpected """ at character 3'],
  ])('%s is refused: %s', (path, reason) => expect(refused(path)).toBe(reason));

  test('digits that a double would change come out as they are', () => {
    const value = parseOrdered('{"n": 12345678901234567890}');
    expect(stringify(jsonPath(value, '$.n'))).toBe('12345678901234567890');
    expect(stringify(jsonPath(value, '$[?(@ > 5)]'))).toBe('[12345678901234567890]');
  });

  test('a path that multiplies is stopped, and so is one that is nested without end', () => {
    const wide = parseOrdered(`[${Array.from({ length: 1000 }, (_, i) => `[${i}]`).join(',')}]`);
    expect(refused('$..*[?($..*)]', wide)).toBe('it looks at too many values');
    expect(refused(`$[?${'('.repeat(500)}`)).toBe('nested deeper than 32');
    expect(refused(`$${'.a'.repeat(5000)}`)).toBe('longer than 4096 characters');
  });

  test('any text is a path or is refused, and the name of any member finds it', () => {
    const pieces = fc.constantFrom(
      '$',
      '@',
      '.',
      '..',
      '[',
      ']',
      '?',
      '(',
      ')',
      '*',
      '"a"',
      "'",
      '1',
      ':',
      '==',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 3 })), { maxLength: 12 }), (parts) => {
        try {
          jsonPath(document, parts.join(''));
        } catch (error) {
          if (!(error instanceof PathError)) throw error;
        }
      }),
    );
    fc.assert(
      fc.property(fc.string(), (name) => {
        const value = parseOrdered(JSON.stringify({ [name]: 'here' }));
        expect(jsonPath(value, `$[${JSON.stringify(name)}]`)).toBe('here');
      }),
    );
  });
});
