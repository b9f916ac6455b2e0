import { afterEach, describe, expect, test } from 'vitest';
import { failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import { clusterStore, eventually, startWorld, type World } from '../../testing/cluster.ts';

const worlds: World[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
});
function start(): World {
  const world = startWorld({ push: false });
  worlds.push(world);
  return world;
}

const namespace = (name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});
const TEAMS = { namespaceSelectors: [{ matchLabels: { team: 'yes' } }] };
const CHILD = {
  secretStoreRef: { name: 'store', kind: 'ClusterSecretStore' },
  data: [{ secretKey: 'p', remoteRef: { key: 'app', property: 'p' } }],
};

const ces = (spec: object = {}, annotations: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ClusterExternalSecret',
  metadata: { name: 'all', annotations },
  spec: { externalSecretSpec: CHILD, ...TEAMS, ...spec },
});

const child = (world: World, at: string, name = 'all') => world.kube.read('ExternalSecret', at, name);
const there = (world: World, at: string, name = 'all') =>
  eventually(`the child in ${at}`, () => child(world, at, name));
const gone = (world: World, at: string, name = 'all') =>
  eventually(`no child in ${at}`, () => child(world, at, name) === undefined);
const statusOf = (world: World, kind = 'ClusterExternalSecret') =>
  (world.kube.read(kind, undefined, 'all')?.['status'] ?? {}) as Record<string, unknown>;
const provisioned = (world: World, ...names: string[]) =>
  eventually(
    `provisioned: ${names}`,
    () => JSON.stringify(statusOf(world)['provisionedNamespaces'] ?? []) === JSON.stringify(names),
  );
const finalizersOf = (world: World, at: string) =>
  world.kube.read('Namespace', undefined, at)?.metadata.finalizers ?? [];
const OURS = 'externalsecrets.external-secrets.io/ces-all';

async function provisionedTwo(spec: object = {}): Promise<World> {
  const world = start();
  for (const at of ['a', 'b']) world.kube.put(namespace(at, { team: 'yes' }));
  world.kube.put(namespace('c'));
  world.kube.put(ces(spec));
  await provisioned(world, 'a', 'b');
  return world;
}

describe('a ClusterExternalSecret', () => {
  test('has a child in each namespace that it selects, owned by it and written as it is written there', async () => {
    const world = await provisionedTwo({ externalSecretMetadata: { labels: { from: 'all' } } });
    const { uid } = world.kube.read('ClusterExternalSecret', undefined, 'all')?.metadata ?? {};
    expect(child(world, 'a')).toMatchObject({
      apiVersion: 'external-secrets.io/v1',
      metadata: {
        labels: { from: 'all' },
        ownerReferences: [
          { kind: 'ClusterExternalSecret', name: 'all', uid, controller: true, blockOwnerDeletion: true },
        ],
      },
    });
    expect(child(world, 'a')?.['spec']).toEqual(CHILD);
    expect(child(world, 'c')).toBeUndefined();
    expect(statusOf(world)).toEqual({
      externalSecretName: 'all',
      provisionedNamespaces: ['a', 'b'],
      conditions: [{ type: 'Ready', status: 'True' }],
    });
    expect(world.kube.read('ClusterExternalSecret', undefined, 'all')?.metadata.finalizers).toEqual([
      'externalsecrets.external-secrets.io/clusterexternalsecret-cleanup',
    ]);
    expect(finalizersOf(world, 'a')).toEqual([OURS]);
    expect(finalizersOf(world, 'c')).toEqual([]);
  });

  test('its children are what ExternalSecrets are', async () => {
    const world = await provisionedTwo();
    world.store.put('app', { p: 'secret' });
    world.kube.put(clusterStore('store'));
    await eventually('both Secrets', () =>
      ['a', 'b'].every((at) => world.kube.read('Secret', at, 'all') !== undefined),
    );
  });

  test('follows the labels of namespaces at once, both ways, and leaves no finalizer behind', async () => {
    const world = await provisionedTwo();
    world.kube.put(namespace('c', { team: 'yes' }));
    await there(world, 'c');
    world.kube.put(namespace('a', { team: 'no' }));
    await gone(world, 'a');
    await provisioned(world, 'b', 'c');
    await eventually('a is free', () => finalizersOf(world, 'a').length === 0);
  });

  test('namespaces are meant by name as well, and by the older single selector', async () => {
    const world = start();
    for (const at of ['a', 'b', 'c']) world.kube.put(namespace(at, { [`is-${at}`]: 'yes' }));
    world.kube.put(
      ces({
        namespaceSelectors: [],
        namespaces: ['a'],
        namespaceSelector: { matchLabels: { 'is-b': 'yes' } },
      }),
    );
    await provisioned(world, 'a', 'b');
  });

  test('leaves somebody else’s ExternalSecret alone, says so, and goes on when it is gone', async () => {
    const world = start();
    world.kube.put(namespace('a', { team: 'yes' }));
    world.kube.put(namespace('b', { team: 'yes' }));
    const foreign = {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ExternalSecret',
      metadata: { name: 'all', namespace: 'a' },
      spec: {},
    };
    world.kube.put(foreign);
    world.kube.put(ces());
    await provisioned(world, 'b');
    expect(statusOf(world)).toMatchObject({
      failedNamespaces: [{ namespace: 'a', reason: 'external secret already exists in namespace' }],
      conditions: [{ type: 'Ready', status: 'False', message: 'one or more namespaces failed' }],
    });
    expect(child(world, 'a')?.['spec']).toEqual({});
    expect(finalizersOf(world, 'a')).toEqual([]);
    world.kube.remove('ExternalSecret', 'a', 'all');
    await provisioned(world, 'a', 'b');
    expect(statusOf(world)['failedNamespaces']).toBeUndefined();
  });

  test('a new name takes the old children away', async () => {
    const world = await provisionedTwo();
    world.kube.put(ces({ externalSecretName: 'renamed' }));
    await there(world, 'a', 'renamed');
    await gone(world, 'a');
    await gone(world, 'b');
    expect(statusOf(world)['externalSecretName']).toBe('renamed');
  });

  test('a child that was edited or deleted by hand is put right, and a wish to sync reaches all', async () => {
    const world = await provisionedTwo();
    const edited = child(world, 'a') as KubeObject;
    world.kube.put({
      ...edited,
      metadata: { ...edited.metadata, labels: { by: 'hand' } },
      spec: { ...CHILD, refreshInterval: '1s' },
    });
    await eventually(
      'it is right again',
      () => JSON.stringify(child(world, 'a')?.['spec']) === JSON.stringify(CHILD),
    );
    expect(child(world, 'a')?.metadata.labels).toEqual({});
    world.kube.remove('ExternalSecret', 'b', 'all');
    await eventually(
      'it is back',
      () => child(world, 'b')?.metadata.deletionTimestamp === undefined && child(world, 'b'),
    );
    world.kube.put(ces({}, { 'external-secrets.io/force-sync': '7' }));
    await eventually(
      'the wish arrived',
      () => child(world, 'b')?.metadata.annotations?.['external-secrets.io/force-sync'] === '7',
    );
  });

  test('lets a namespace go that is being deleted', async () => {
    const world = await provisionedTwo();
    world.kube.remove('Namespace', undefined, 'a');
    await eventually(
      'the namespace is gone',
      () => world.kube.read('Namespace', undefined, 'a') === undefined,
    );
    await provisioned(world, 'b');
  });

  test('takes everything along when it is deleted', async () => {
    const world = await provisionedTwo();
    world.kube.remove('ClusterExternalSecret', undefined, 'all');
    await eventually(
      'it is gone',
      () => world.kube.read('ClusterExternalSecret', undefined, 'all') === undefined,
    );
    await gone(world, 'a');
    await gone(world, 'b');
    expect([finalizersOf(world, 'a'), finalizersOf(world, 'b')]).toEqual([[], []]);
  });

  test('one namespace that refuses keeps nothing from the others, and is tried again', async () => {
    const world = start();
    for (const at of ['a', 'b']) world.kube.put(namespace(at, { team: 'yes' }));
    let refusing = true;
    world.kube.fault = ({ op, kind, name }) => {
      if (refusing && op === 'patch' && kind === 'Namespace' && name === 'a')
        throw failure('kube.denied', { request: 'PATCH namespaces a', reason: 'forbidden' });
    };
    world.kube.put(ces());
    await provisioned(world, 'b');
    expect(JSON.stringify(statusOf(world)['failedNamespaces'])).toContain('[kube.denied]');
    refusing = false;
    await provisioned(world, 'a', 'b');
  }, 15_000);

  test('a selector that cannot be read is told, and nothing is taken away for it', async () => {
    const world = await provisionedTwo();
    world.kube.put(
      ces({ namespaceSelectors: [{ matchExpressions: [{ key: 'x', operator: 'Like', values: ['y'] }] }] }),
    );
    await eventually('it is told', () =>
      JSON.stringify(statusOf(world)['failedNamespaces'])?.includes('unknown'),
    );
    expect(child(world, 'a')).toBeDefined();
  });
});

describe('a ClusterPushSecret', () => {
  test('has a PushSecret in each namespace that it selects, and holds no namespace', async () => {
    const world = start();
    world.kube.put(namespace('a', { team: 'yes' }));
    const spec = { secretStoreRefs: [{ name: 'store' }], selector: { secret: { name: 'app' } } };
    world.kube.put({
      apiVersion: 'external-secrets.io/v1alpha1',
      kind: 'ClusterPushSecret',
      metadata: { name: 'all' },
      spec: { pushSecretSpec: spec, pushSecretName: 'each', ...TEAMS },
    });
    const made = await eventually('the child', () => world.kube.read('PushSecret', 'a', 'each'));
    expect(made).toMatchObject({
      apiVersion: 'external-secrets.io/v1alpha1',
      spec,
      metadata: {
        ownerReferences: [
          { apiVersion: 'external-secrets.io/v1alpha1', kind: 'ClusterPushSecret', name: 'all' },
        ],
      },
    });
    await eventually(
      'its status',
      () =>
        JSON.stringify(statusOf(world, 'ClusterPushSecret')) ===
        JSON.stringify({
          pushSecretName: 'each',
          provisionedNamespaces: ['a'],
          conditions: [{ type: 'Ready', status: 'True' }],
        }),
    );
    expect(finalizersOf(world, 'a')).toEqual([]);
    world.kube.remove('ClusterPushSecret', undefined, 'all');
    await eventually(
      'the child went with it',
      () => world.kube.read('PushSecret', 'a', 'each') === undefined,
    );
  });
});
