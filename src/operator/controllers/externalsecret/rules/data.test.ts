import { expect, test } from 'vitest';
import { textOf, utf8 } from '../../../../base/bytes.ts';
import { externalSecretSpec } from '../../../api/externalsecret.ts';
import type { Answer } from '../../../plan.ts';
import type { Env } from '../observed.ts';
import { assemble, needsOf } from './data.ts';

const env: Env = { render: () => utf8(''), renderKey: () => '' };
const spec = externalSecretSpec.parse({
  secretStoreRef: { name: 'web' },
  target: { deletionPolicy: 'Merge' },
  dataFrom: [{ extract: { key: 'app', property: 'all' } }],
  data: [
    { secretKey: 'user', remoteRef: { key: 'app', property: 'user' } },
    { secretKey: 'again', remoteRef: { key: 'app', property: 'user' } },
    { secretKey: 'gone', remoteRef: { key: 'app', property: 'gone' } },
  ],
});
const exact = (text: string): Answer => ({ read: { value: { bytes: utf8(text) } }, exact: true });

test('a store that is asked for each property is told all of them, each once, in one need', () => {
  expect(needsOf(spec).map((need) => need.properties)).toEqual([['all', 'user', 'gone']]);
});

test('what it answers to a property is the value, in which nothing is looked for again', () => {
  const each = new Map<string, Answer>([
    ['all', exact('{"a":"1","all":"decoy"}')],
    ['user', exact('{"user":"decoy"}')],
    ['gone', { missing: true }],
  ]);
  const made = assemble(spec, new Map([[needsOf(spec)[0]?.id ?? '', { each }]]), env);
  if ('failed' in made) throw made.failed.cause;
  expect(Object.fromEntries([...made.data].map(([key, bytes]) => [key, textOf(bytes)]))).toEqual({
    a: '1',
    all: 'decoy',
    user: '{"user":"decoy"}',
    again: '{"user":"decoy"}',
  });
  expect(made.notes.map((note) => note.message)).toEqual([
    'secret does not exist at provider using spec.data[2] (key=app)',
  ]);
});
