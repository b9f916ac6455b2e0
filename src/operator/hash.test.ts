import { expect, test } from 'vitest';
import { utf8 } from '../base/bytes.ts';
import { createdBy, dataHash, resourceVersion, sha3 } from './hash.ts';

test('data is hashed as Go prints a map of byte slices', () => {
  expect(dataHash(new Map([['foo', utf8('bar')]]))).toBe(sha3('map[foo:[98 97 114]]'));
  expect(dataHash(new Map())).toBe(sha3('map[]'));
  expect(
    dataHash(
      new Map([
        ['b', utf8('')],
        ['a', utf8('x')],
      ]),
    ),
  ).toBe(sha3('map[a:[120] b:[]]'));
});

test('the synced version moves with labels, annotations and generation, and with nothing else', () => {
  const object = {
    apiVersion: 'v1',
    kind: 'X',
    metadata: { name: 'x', generation: 3, labels: { b: '2', a: '1' } },
  };
  const version = resourceVersion(object);
  expect(version).toBe(`3-${sha3('{annotations:map[] labels:map[a:1 b:2]}')}`);
  expect(resourceVersion({ ...object, metadata: { ...object.metadata, resourceVersion: '9' } })).toBe(
    version,
  );
  expect(
    resourceVersion({ ...object, metadata: { ...object.metadata, annotations: { 'force-sync': '1' } } }),
  ).not.toBe(version);
});

test('the created-by label is a hash of the namespaced name', () => {
  expect(createdBy('default', 'foo')).toBe('5634524f81ffd28d5559acdfea844235c0d3fc2499aca5a96810d10e');
});
