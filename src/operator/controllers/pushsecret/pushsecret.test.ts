import { afterEach, describe, expect, test } from 'vitest';
import { failure } from '../../../base/errors.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { OperatorOptions } from '../../options.ts';
import { eventually, readyOfObject, startWorld, type World } from '../../testing/cluster.ts';
import { FakeKube } from '../../testing/kube.ts';
import { Shelves, shelfProvider } from '../../testing/writer.ts';

const worlds: World[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.stop()));
});

interface Pushing extends World {
  readonly shelves: Shelves;
}

function start(shelves = new Shelves(), kube = new FakeKube()): Pushing {
  const world = startWorld({
    kube,
    providers: [shelfProvider(shelves) as OperatorOptions['providers'][number]],
    push: false,
  });
  worlds.push(world);
  return { ...world, shelves };
}

const store = (
  name: string,
  namespace: string | undefined,
  more: { spec?: object; labels?: Record<string, string> } = {},
): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: namespace === undefined ? 'ClusterSecretStore' : 'SecretStore',
  metadata: {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(more.labels === undefined ? {} : { labels: more.labels }),
  },
  spec: { provider: { webhook: {} }, ...more.spec },
});

const secret = (name: string, data: Record<string, string>, namespace = 'team', labels = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace, labels },
  data: Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  ),
});

const pushSecret = (
  name: string,
  spec: object,
  namespace = 'team',
  annotations: Record<string, string> = {},
): KubeObject => ({
  apiVersion: 'external-secrets.io/v1alpha1',
  kind: 'PushSecret',
  metadata: { name, namespace, annotations },
  spec: {
    refreshInterval: '1h',
    secretStoreRefs: [{ name: 'store' }],
    selector: { secret: { name: 'app' } },
    data: [{ match: { secretKey: 'pass', remoteRef: { remoteKey: 'db' } } }],
    ...spec,
  },
});

const A = 'SecretStore team/store';
const ready = (world: World, name: string, namespace = 'team') =>
  readyOfObject(world.kube, 'PushSecret', namespace, name);
const synced = (world: World, name: string, namespace = 'team') =>
  eventually(`${name} is synced`, () => ready(world, name, namespace)?.status === 'True');
const failing = (world: World, name: string, namespace = 'team') =>
  eventually(`${name} fails`, () => {
    const condition = ready(world, name, namespace);
    return condition?.status === 'False' ? condition : undefined;
  });
const holds = (world: Pushing, at: string, texts: Record<string, string>) =>
  eventually(`${at} holds ${JSON.stringify(texts)}`, () => {
    const held = world.shelves.texts(at);
    return JSON.stringify(held) === JSON.stringify(texts);
  });

async function pushed(spec: object = {}): Promise<Pushing> {
  const world = start();
  world.kube.put(store('store', 'team'));
  world.kube.put(secret('app', { pass: 'first' }));
  world.kube.put(pushSecret('push', spec));
  await synced(world, 'push');
  return world;
}

describe('the way of a Secret into a store', () => {
  test('what it holds is there, and a change of it is there at once', async () => {
    const world = await pushed();
    expect(world.shelves.texts(A)).toEqual({ db: 'first' });
    world.kube.put(secret('app', { pass: 'second' }));
    await holds(world, A, { db: 'second' });
    expect(world.shelves.log).toEqual([`${A} put db`, `${A} put db`]);
  });

  test('what was pushed is taken away once it is no longer meant, also where upstream left a null in the status', async () => {
    const match = { secretKey: 'pass', remoteRef: { remoteKey: 'old' } };
    const world = await pushed({ deletionPolicy: 'Delete', data: [{ match }] });
    expect(world.shelves.texts(A)).toEqual({ old: 'first' });
    world.kube.put({
      ...pushSecret('push', { deletionPolicy: 'Delete' }),
      status: { refreshTime: null, syncedPushSecrets: { 'SecretStore/store': { old: { match } } } },
    });
    await holds(world, A, { db: 'first' });
  });

  test('whatever comes first: the Secret and the store are waited for, and each says that it is missing', async () => {
    const world = start();
    world.kube.put(pushSecret('push', {}));
    expect((await failing(world, 'push')).message).toContain('could not get source secret');
    world.kube.put(secret('app', { pass: 'first' }));
    await eventually('the store is missed', () =>
      ready(world, 'push')?.message.includes('could not get SecretStore "store"'),
    );
    world.kube.put(store('store', 'team'));
    await synced(world, 'push');
    await holds(world, A, { db: 'first' });
  });

  test('a Secret that was changed while no operator ran is pushed when one does, and one that was not is left alone', async () => {
    const first = await pushed();
    await first.stop();
    worlds.splice(0);
    const looked = () =>
      first.kube.calls.filter(({ op, kind }) => op === 'get' && kind === 'PushSecret').length;
    const before = looked();
    const still = start(first.shelves, first.kube);
    await eventually('it was looked at', () => looked() > before);
    await still.stop();
    worlds.splice(0);
    expect(first.shelves.log).toEqual([`${A} put db`]);
    first.kube.put(secret('app', { pass: 'second' }));
    const { metadata, ...rest } = first.kube.read('Secret', 'team', 'app') as KubeObject;
    const time = new Date(Date.now() + 1000).toISOString();
    const managedFields = [
      {
        manager: 'kubectl',
        operation: 'Update' as const,
        apiVersion: 'v1',
        time,
        fieldsType: 'FieldsV1' as const,
        fieldsV1: {},
      },
    ];
    const next = start(first.shelves, first.kube);
    const get = next.kube.get.bind(next.kube);
    // The server says when a Secret was written; the one of these tests does not by itself.
    next.kube.get = async (name) =>
      name.resource.kind === 'Secret'
        ? ({ ...rest, metadata: { ...metadata, managedFields } } as KubeObject)
        : get(name);
    await holds(next, A, { db: 'second' });
  });

  test('stores that are found by labels get it when they come, and until then it says that there are none', async () => {
    const world = start();
    world.kube.put(secret('app', { pass: 'first' }));
    world.kube.put(
      pushSecret('push', { secretStoreRefs: [{ labelSelector: { matchLabels: { tier: 'a' } } }] }),
    );
    expect((await failing(world, 'push')).message).toBe(
      'spec.secretStoreRefs matches no store by its labels',
    );
    world.kube.put(store('late', 'team', { labels: { tier: 'a' } }));
    await holds(world, 'SecretStore team/late', { db: 'first' });
    await synced(world, 'push');
  });

  test('Secrets that are found by labels are pushed when they come to carry them', async () => {
    const world = await pushed({
      selector: { secret: { selector: { matchLabels: { push: 'yes' } } } },
      data: [],
      dataTo: [{ storeRef: { name: 'store' } }],
    });
    world.kube.put(secret('one', { a: '1' }, 'team', { push: 'yes' }));
    await holds(world, A, { a: '1' });
    world.kube.put(secret('two', { b: '2' }, 'team', { push: 'yes' }));
    await holds(world, A, { a: '1', b: '2' });
  });

  test('a provider that cannot be written to says so', async () => {
    const world = start();
    world.kube.put(store('store', 'team', { spec: { provider: { webhook: { readOnly: true } } } }));
    world.kube.put(secret('app', { pass: 'first' }));
    world.kube.put(pushSecret('push', {}));
    expect((await failing(world, 'push')).message).toContain('[operator.cannot_push]');
  });

  test('no value is ever told, and one store that is away keeps nothing from the other', async () => {
    const world = start();
    world.shelves.fault = (at) => {
      if (at === A) throw failure('provider.write', { store: at, path: 'db', reason: 'it is away' });
    };
    for (const name of ['store', 'other']) world.kube.put(store(name, 'team'));
    world.kube.put(secret('app', { pass: 'canary-4711' }));
    world.kube.put(pushSecret('push', { secretStoreRefs: [{ name: 'store' }, { name: 'other' }] }));
    expect((await failing(world, 'push')).message).toContain('target secretstore store');
    expect(world.shelves.texts('SecretStore team/other')).toEqual({ db: 'canary-4711' });
    await world.operator.eventsWritten();
    expect(JSON.stringify([world.kube.all('Event'), world.kube.all('PushSecret')])).not.toContain(
      'canary-4711',
    );
    expect(world.kube.all('Event').map((event) => event['source'])).toContainEqual({
      component: 'pushsecret',
    });
    world.shelves.fault = () => {};
    await holds(world, A, { db: 'canary-4711' });
  });
});

describe('deletionPolicy Delete', () => {
  test('holds the store and the record before the first push, and lets both go after the last', async () => {
    const world = start();
    let recorded: unknown;
    world.shelves.fault = () => {
      const status = world.kube.read('PushSecret', 'team', 'push')?.['status'] as {
        syncedPushSecrets?: unknown;
      };
      recorded ??= status?.syncedPushSecrets;
    };
    world.kube.put(store('store', 'team'));
    world.kube.put(secret('app', { pass: 'first' }));
    world.kube.put(pushSecret('push', { deletionPolicy: 'Delete' }));
    await synced(world, 'push');
    expect(recorded).toMatchObject({ 'SecretStore/store': { db: { match: { secretKey: 'pass' } } } });
    const finalizers = (kind: string, name: string) =>
      world.kube.read(kind, 'team', name)?.metadata.finalizers ?? [];
    expect(finalizers('PushSecret', 'push')).toEqual(['pushsecret.externalsecrets.io/finalizer']);
    await eventually('the store is held', () =>
      finalizers('SecretStore', 'store').includes('secretstore.externalsecrets.io/finalizer'),
    );
    world.kube.remove('SecretStore', 'team', 'store');
    world.kube.remove('PushSecret', 'team', 'push');
    await eventually(
      'both are gone',
      () =>
        world.kube.read('PushSecret', 'team', 'push') === undefined &&
        world.kube.read('SecretStore', 'team', 'store') === undefined,
    );
    expect(world.shelves.texts(A)).toEqual({});
  });

  test('takes away what the spec no longer names, and what the Secret no longer is', async () => {
    const world = await pushed({ deletionPolicy: 'Delete' });
    world.kube.put(
      pushSecret('push', {
        deletionPolicy: 'Delete',
        data: [{ match: { secretKey: 'pass', remoteRef: { remoteKey: 'db2' } } }],
      }),
    );
    await holds(world, A, { db2: 'first' });
    world.kube.remove('Secret', 'team', 'app');
    await holds(world, A, {});
    await eventually('it says so', () => ready(world, 'push')?.reason === 'SourceDeleted');
    world.kube.put(secret('app', { pass: 'again' }));
    await holds(world, A, { db2: 'again' });
    await synced(world, 'push');
  });
});

describe('who owns what was pushed', () => {
  const other = (more: object = {}) => pushSecret('other', { ...more });

  test('a second PushSecret does not write over the first, and takes over what that one leaves behind', async () => {
    const world = await pushed();
    world.kube.put(secret('app2', { pass: 'of the other' }));
    world.kube.put(other({ selector: { secret: { name: 'app2' } } }));
    expect((await failing(world, 'other')).message).toContain('[provider.foreign]');
    expect(world.shelves.texts(A)).toEqual({ db: 'first' });
    world.kube.remove('PushSecret', 'team', 'push');
    await holds(world, A, { db: 'of the other' });
    await synced(world, 'other');
  }, 20_000);

  test('one that was deleted and applied again goes on with what it pushed', async () => {
    const world = await pushed();
    world.kube.remove('PushSecret', 'team', 'push');
    await eventually('it is gone', () => world.kube.read('PushSecret', 'team', 'push') === undefined);
    world.kube.put(secret('app', { pass: 'second' }));
    world.kube.put(pushSecret('push', {}));
    await holds(world, A, { db: 'second' });
  });

  test('another namespace takes over nothing, neither from the living nor from the dead, unless it says so and they are dead', async () => {
    const world = start();
    world.kube.put(store('shared', undefined));
    const shared = { secretStoreRefs: [{ name: 'shared', kind: 'ClusterSecretStore' }] };
    const at = 'ClusterSecretStore shared';
    world.kube.put(secret('app', { pass: 'of team' }));
    world.kube.put(pushSecret('push', shared));
    await synced(world, 'push');
    world.kube.put(secret('app', { pass: 'of evil' }, 'evil'));
    world.kube.put(pushSecret('push', shared, 'evil', { 'holdfast.dev/adopt': 'true' }));
    expect((await failing(world, 'push', 'evil')).message).toContain('[provider.foreign]');
    world.kube.remove('PushSecret', 'team', 'push');
    await holds(world, at, { db: 'of evil' });
    world.kube.remove('PushSecret', 'evil', 'push');
    world.kube.put(pushSecret('push', shared));
    expect((await failing(world, 'push')).message).toContain('[provider.foreign]');
    expect(world.shelves.texts(at)).toEqual({ db: 'of evil' });
  }, 20_000);

  test('what nobody pushed is taken over where the manifest says so', async () => {
    const world = start();
    world.shelves.plant(A, 'db', 'by hand');
    world.kube.put(store('store', 'team'));
    world.kube.put(secret('app', { pass: 'first' }));
    world.kube.put(pushSecret('push', {}));
    expect((await failing(world, 'push')).message).toContain('[provider.foreign]');
    world.kube.put(pushSecret('push', {}, 'team', { 'holdfast.dev/adopt': 'true' }));
    await holds(world, A, { db: 'first' });
  });
});
