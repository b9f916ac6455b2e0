import { expect, test } from 'vitest';
import type { KubeObject } from '../../kube/kube.ts';
import { SECRETS } from '../api/resources.ts';
import type { Action } from '../plan.ts';
import { differenceOf } from './difference.ts';

const object: KubeObject = {
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: { name: 'app', namespace: 'team' },
};

const secret = (data: Record<string, string>, more: Partial<KubeObject> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'Opaque',
  data,
  ...more,
  metadata: { name: 'app', namespace: 'team', ...more.metadata },
});

const name = { resource: SECRETS, namespace: 'team', name: 'app' };
const status = (is: 'True' | 'False', message = ''): Action => ({
  do: 'status',
  name,
  status: { conditions: [{ type: 'Ready', status: is, reason: 'x', message }] },
});
const write = (what: 'create' | 'update', to: KubeObject): Action => ({
  do: what,
  name,
  object: to,
  manager: 'm',
  failing: 'f',
});

test('keys are told by name and never by value', () => {
  const target = secret({ gone: 'b2xk', same: 'eA==', other: 'b2xk' });
  const wanted = secret(
    { same: 'eA==', other: 'bmV3', more: 'bmV3' },
    { type: 'kubernetes.io/tls', metadata: { name: 'app', labels: { a: '1' } } },
  );
  const found = differenceOf(object, target, { actions: [write('update', wanted), status('True')] });
  expect(found).toEqual({
    namespace: 'team',
    name: 'app',
    verdict: 'change',
    message: '',
    details: [
      'data.gone is removed',
      'data.more is added',
      'data.other is changed',
      'type is Opaque and would be kubernetes.io/tls',
      'label a is added',
    ],
  });
  expect(JSON.stringify(found)).not.toMatch(/b2xk|bmV3/);
});

test.each([
  ['a Secret that is missing', [write('create', secret({ a: '' })), status('True')], 'create'],
  ['nothing to write', [status('True')], 'same'],
  ['only fields that nobody sees', [write('update', secret({})), status('True')], 'same'],
  ['a failure', [status('False', 'could not get secret data from provider')], 'failed'],
  ['what would be made anew', [status('False', 'x [operator.shadow]')], 'skipped'],
  ['a deletion', [{ do: 'delete', name, uid: 'u', failing: 'f' }, status('True')], 'delete'],
] as [string, Action[], string][])('%s', (_, actions, verdict) => {
  expect(differenceOf(object, secret({}), { actions })?.verdict).toBe(verdict);
});

test('what is not decided is not reported', () => {
  expect(differenceOf(object, secret({}), { actions: [] })).toBeUndefined();
});
