import { expect, test } from 'vitest';
import { manifestsOf } from '../../platform/manifests.ts';
import { trialOf } from './trial.ts';

const seeds = [
  { path: 'secret/app/admin', key: 'hashed', hash: 'bcrypt' },
  { path: 'secret/app/admin', key: 'password', hash: 'none' },
].map(({ path, key, hash }) => ({
  entry: {
    path,
    key,
    variable: '',
    encoding: 'hex' as const,
    hash: hash as 'bcrypt' | 'none',
    constraints: {},
  },
  given: undefined,
}));

const externalSecret = (name: string, spec: object) =>
  manifestsOf({
    file: 'm',
    line: 1,
    value: {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ExternalSecret',
      metadata: { name, namespace: 'team' },
      spec,
    },
  });
const entry = (key: string, property: string) => ({ secretKey: 'x', remoteRef: { key, property } });

test.each(['secret/app/admin', 'secret/data/app/admin', 'app/admin'])(
  'what one seeded value fills is worth a try: %s',
  (key) => {
    const found = trialOf(
      externalSecret('one', { target: { name: 'filled' }, data: [entry(key, 'password')] }),
      seeds,
    );
    expect(found).toEqual({ path: 'secret/app/admin', key: 'password', namespace: 'team', secret: 'filled' });
  },
);

test.each([
  ['a hash, which nobody types', { data: [entry('app/admin', 'hashed')] }],
  ['a template, which hides it', { target: { template: {} }, data: [entry('app/admin', 'password')] }],
  [
    'a Secret of somebody else',
    { target: { creationPolicy: 'Merge' }, data: [entry('app/admin', 'password')] },
  ],
  ['what is made once', { refreshPolicy: 'CreatedOnce', data: [entry('app/admin', 'password')] }],
  ['what never changes', { target: { immutable: true }, data: [entry('app/admin', 'password')] }],
  ['a path that was not seeded', { data: [entry('other', 'password')] }],
  ['several values', { data: [entry('app/admin', 'password'), entry('app/admin', 'password')] }],
  ['nothing that can be read', { data: ['x'] }],
])('%s is not', (_, spec) => {
  expect(trialOf(externalSecret('one', spec), seeds)).toBeUndefined();
});
