import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from './errors.ts';
import { API, asFolder, asLeaf, KeptPath, type Path, parseApiPath, parsePath, parseUrlPath } from './path.ts';

const plain = ({ text, segments, folder }: Path) => ({ text, segments, folder });

/** What a reader made of a text: the path, or the reason it was refused. */
function made(read: () => Path): unknown {
  try {
    return plain(read());
  } catch (error) {
    if (isFailure(error)) return error.code;
    throw error;
  }
}

test.each([
  ['secret/data/app', 'secret/data/app', ['secret', 'data', 'app'], false],
  ['/secret/metadata/', 'secret/metadata/', ['secret', 'metadata'], true],
  ['secret/a%20b', 'secret/a b', ['secret', 'a b'], false],
  ['secret/%C3%A4', 'secret/ä', ['secret', 'ä'], false],
  ['secret/..app', 'secret/..app', ['secret', '..app'], false],
])('%s is read', (raw, text, segments, folder) => {
  expect(plain(parseUrlPath(raw))).toEqual({ text, segments, folder });
});

test.each([
  ['', 'path.empty'],
  ['/', 'path.empty'],
  ['secret//app', 'path.not_canonical'],
  ['secret/./app', 'path.not_canonical'],
  ['secret/../sys/mounts', 'path.not_canonical'],
  ['secret/%2e%2e/sys', 'path.not_canonical'],
  ['secret/%2E./sys', 'path.not_canonical'],
  ['secret%2fapp', 'path.not_canonical'],
  ['secret/%5capp', 'path.not_canonical'],
  ['secret/app%00', 'path.not_canonical'],
  ['secret/%252e%252e', 'path.not_canonical'],
  ['secret/%zz', 'path.not_canonical'],
  ['secret/%ff', 'path.not_canonical'],
  ['secret/a%CC%88', 'path.not_canonical'],
  ['secret/%E2%80%8Bapp', 'path.not_canonical'],
  ['secret/%20app', 'path.not_canonical'],
  ['secret/app%20/x', 'path.not_canonical'],
  [`secret/${'x'.repeat(2048)}`, 'path.too_long'],
  ['x'.repeat(10_000), 'path.too_long'],
])('%s is refused', (raw, code) => {
  expect(made(() => parseUrlPath(raw))).toBe(code);
});

test('a text that is the same encoded and decoded is read as one, however often it comes', () => {
  const segment = fc.string({
    unit: fc.constantFrom(...'abZ09-_~:@=+,./!$&()*; \u00e4\u200b'),
    maxLength: 6,
  });
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 5 }), fc.boolean(), (segments, folder) => {
      const text = segments.join('/') + (folder ? '/' : '');
      const expected = made(() => parsePath(text));
      for (let time = 0; time < 3; time++) {
        expect(made(() => parseUrlPath(text))).toEqual(expected);
        expect(made(() => parseUrlPath(encodeURI(text)))).toEqual(expected);
        expect(made(() => parseApiPath(API + text))).toEqual(expected);
        expect(made(() => parseApiPath(API + encodeURI(text)))).toEqual(expected);
      }
    }),
  );
});

test('a folder and a leaf have each other', () => {
  expect(plain(asFolder(parsePath('a/b')))).toEqual(plain(parsePath('a/b/')));
  expect(plain(asLeaf(parsePath('a/b/')))).toEqual(plain(parsePath('a/b')));
});

test('a path that comes again is kept as one, until others have weighed it out', () => {
  const asked = `${API}secret/data/kept`;
  expect(parseApiPath(asked)).not.toBe(parseApiPath(asked));
  const kept = parseApiPath(asked);
  expect(kept).toBeInstanceOf(KeptPath);
  expect(parseApiPath(asked)).toBe(kept);

  const ofManySegments = (number: number): string => `${API}${'s/'.repeat(1000)}${number}`;
  const askedOften = (number: number): Path =>
    [0, 1, 2].map(() => parseApiPath(ofManySegments(number)))[2] as Path;
  const first = askedOften(0);
  expect(parseApiPath(ofManySegments(0))).toBe(first);
  // Of 35 kB each: 2,000 would be 70 MB.
  for (let number = 1; number < 2000; number++) askedOften(number);
  expect(parseApiPath(ofManySegments(0))).not.toBe(first);
  expect(parseApiPath(asked)).not.toBe(kept);
});
