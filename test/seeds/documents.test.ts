import { expect, test } from 'vitest';
import { manifestsOf } from './documents.ts';

const FENCE = '```';
const document = [
  'Prose with apiVersion: v1 in it.',
  '---',
  `${FENCE}yaml`,
  '# where it stands',
  '',
  'apiVersion: v1',
  'kind: Secret',
  'metadata: {name: one}',
  'mode: 0600',
  '---',
  '# a policy, in another language',
  '{"Version": "2012-10-17"}',
  '---',
  'apiVersion: v1',
  'kind: Secret',
  'metadata: {name: two}',
  '---',
  '# nothing but a comment',
  FENCE,
  `${FENCE}bash`,
  'apiVersion: v1',
  FENCE,
  `${FENCE}yaml`,
  'replicas: 1',
  'a: [',
  FENCE,
].join('\n');

test('manifests come with the line they begin on and with their own text', () => {
  const { found } = manifestsOf(document);
  expect(found.map(({ line, object }) => `${line} ${object.metadata.name}`)).toEqual(['6 one', '14 two']);
  expect(found[0]?.text).toBe('apiVersion: v1\nkind: Secret\nmetadata: {name: one}\nmode: 0600\n');
});

test('what is no manifest is named with its line, and a comment is nothing', () => {
  expect(manifestsOf(document).passedOver).toEqual([
    { line: 12, why: 'no manifest: it has no apiVersion, kind and name' },
    { line: 24, why: 'no YAML' },
  ]);
});

test('a fence that is never closed ends the document without what it held', () => {
  expect(manifestsOf(`${FENCE}yaml\napiVersion: v1\nkind: A\nmetadata: {name: a}`).found).toEqual([]);
});
