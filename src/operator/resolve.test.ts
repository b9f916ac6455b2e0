import { expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { resolveRef } from './resolve.ts';

const what = { kind: 'Secret', name: 'token' };
const own = { store: { kind: 'SecretStore', name: 's' }, namespace: 'team' } as const;
const cluster = { store: { kind: 'ClusterSecretStore', name: 's' } } as const;

test('a namespaced store reaches its own namespace and no other', () => {
  expect(resolveRef(own, {}, what)).toBe('team');
  expect(resolveRef(own, { namespace: '' }, what)).toBe('team');
  expect(resolveRef(own, { namespace: 'team' }, what)).toBe('team');
  for (const namespace of ['other', 'team/', 'TEAM', ' team', '../team']) {
    expect(() => resolveRef(own, { namespace }, what)).toThrow(
      'namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore',
    );
  }
});

test('who uses a namespaced store does not change where it reaches', () => {
  expect(resolveRef({ ...own, referent: 'attacker' }, {}, what)).toBe('team');
});

test('a ClusterSecretStore reaches what it names, else where it is used from', () => {
  expect(resolveRef(cluster, { namespace: 'vault' }, what)).toBe('vault');
  expect(resolveRef({ ...cluster, referent: 'team' }, {}, what)).toBe('team');
  try {
    resolveRef(cluster, {}, what);
    expect.unreachable();
  } catch (error) {
    expect(isFailure(error, 'operator.ref_referent')).toBe(true);
  }
});
