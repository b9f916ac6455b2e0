import { afterEach, expect, test } from 'vitest';
import type { KubeObject } from '../../../kube/kube.ts';
import {
  clusterStore,
  eventually,
  externalSecret,
  one,
  readyOfObject,
  secretData,
  secretStore,
  startWorld,
  type World,
} from '../../testing/cluster.ts';

const worlds: World[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
});

function start(): World {
  const world = startWorld();
  worlds.push(world);
  world.store.put('database/creds/readonly', { username: 'u1', password: 'p1' });
  return world;
}

const databaseSecret = (spec: object = {}, name = 'postgres'): KubeObject => ({
  apiVersion: 'external-secrets.io/v1alpha1',
  kind: 'DatabaseSecret',
  metadata: { name, namespace: 'team' },
  spec: { backend: 'store', vaultMountPath: 'database', vaultRole: 'readonly', ...spec },
});
const ready = ({ kube }: World, name = 'postgres') => readyOfObject(kube, 'DatabaseSecret', 'team', name);
const says = (world: World, status: string, reason: string) =>
  eventually(`it says ${status} ${reason}`, () => {
    const condition = ready(world);
    return condition?.status === status && condition.reason === reason ? condition : undefined;
  });

test('it makes a Secret of its own name, and its condition is that of the ExternalSecret behind it', async () => {
  const world = start();
  world.kube.put(databaseSecret());
  const waiting = await says(world, 'False', 'SecretSyncedError');
  expect(waiting.message).toContain('could not get SecretStore "store"');
  world.kube.put(secretStore('store', 'team'));
  await says(world, 'True', 'SecretSynced');
  expect(secretData(world.kube, 'team', 'postgres')).toEqual({ username: 'u1', password: 'p1' });
  const child = world.kube.read('ExternalSecret', 'team', 'postgres');
  expect(child?.metadata.ownerReferences).toMatchObject([
    { kind: 'DatabaseSecret', name: 'postgres', controller: true },
  ]);
});

test('without a store of the namespace, the one of the cluster is meant, and the nearer one when it comes', async () => {
  const world = start();
  world.kube.put(clusterStore('store'));
  world.kube.put(databaseSecret());
  await says(world, 'True', 'SecretSynced');
  const kind = (): string | undefined => {
    const spec = world.kube.read('ExternalSecret', 'team', 'postgres')?.['spec'] as
      | { readonly secretStoreRef: { readonly kind: string } }
      | undefined;
    return spec?.secretStoreRef.kind;
  };
  expect(kind()).toBe('ClusterSecretStore');
  world.kube.put(secretStore('store', 'team'));
  await eventually('the nearer one is named', () => kind() === 'SecretStore');
});

test('the target, the mount and the interval are what the spec says, and a change is followed', async () => {
  const world = start();
  world.store.put('team/db/creds/writer', { username: 'w', password: 'x' });
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(databaseSecret({ target: { name: 'login' }, refreshInterval: '10m' }));
  await eventually('it is there', () => secretData(world.kube, 'team', 'login')?.['username'] === 'u1');
  world.kube.put(
    databaseSecret({ target: { name: 'login' }, vaultMountPath: '/team/db/', vaultRole: 'writer' }),
  );
  await eventually('it follows', () => secretData(world.kube, 'team', 'login')?.['username'] === 'w');
});

test('an ExternalSecret of that name that is somebody else’s is left alone', async () => {
  const world = start();
  world.store.put('app', { password: 'theirs' });
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('postgres', 'team', one('pass', 'app', 'password')));
  await eventually('theirs is synced', () => secretData(world.kube, 'team', 'postgres')?.['pass']);
  world.kube.put(databaseSecret());
  expect((await says(world, 'False', 'ExternalSecretExists')).message).toContain(
    'give one of the two another name',
  );
  expect(secretData(world.kube, 'team', 'postgres')).toEqual({ pass: 'theirs' });
});

test.each([
  [{ vaultRole: 'a/../b' }, 'spec.vaultRole'],
  [{ backend: undefined }, 'spec.backend'],
  [{ vaultMountPath: 'a//b' }, 'spec.vaultMountPath'],
])('%j is refused, and nothing is made', async (spec, field) => {
  const world = start();
  world.kube.put(databaseSecret(spec));
  expect((await says(world, 'False', 'InvalidSpec')).message).toContain(field);
  expect(world.kube.all('ExternalSecret')).toEqual([]);
});

test('with it go the ExternalSecret and the Secret', async () => {
  const world = start();
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(databaseSecret());
  await says(world, 'True', 'SecretSynced');
  world.kube.remove('DatabaseSecret', 'team', 'postgres');
  await eventually('the ExternalSecret is gone', () => world.kube.all('ExternalSecret').length === 0);
  await eventually('the Secret is gone', () => secretData(world.kube, 'team', 'postgres') === undefined);
});
