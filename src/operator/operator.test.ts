import { describe, expect, test } from 'vitest';
import { failure } from '../base/errors.ts';
import {
  clusterStore,
  eventually,
  externalSecret,
  one,
  readyOfObject,
  secretData,
  secretStore,
  type World,
} from './testing/cluster.ts';
import { FakeKube } from './testing/kube.ts';
import { FakeStore } from './testing/provider.ts';
import { startingWorlds } from './testing/worlds.ts';

const start = startingWorlds();

const ready = (world: World, name: string, namespace = 'team') =>
  readyOfObject(world.kube, 'ExternalSecret', namespace, name);
const synced = (world: World, name: string, namespace = 'team') =>
  eventually(`${namespace}/${name} is synced`, () => ready(world, name, namespace)?.status === 'True');
const failing = (world: World, name: string, namespace = 'team') =>
  eventually(`${namespace}/${name} fails`, () => {
    const condition = ready(world, name, namespace);
    return condition?.status === 'False' ? condition : undefined;
  });

async function oneSynced(spec: object = one('pass', 'app', 'password')): Promise<World> {
  const world = start();
  world.store.put('app', { password: 'first' });
  world.kube.put(secretStore('store', 'team'));
  world.kube.put(externalSecret('app', 'team', spec));
  await synced(world, 'app');
  return world;
}

describe('the way of a secret', () => {
  test('a store becomes ready, and what waited for it is synced at once, whatever was applied first', async () => {
    const world = start();
    world.store.put('app', { password: 'first' });
    world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
    const waiting = await failing(world, 'app');
    expect(waiting.message).toContain(
      'could not get SecretStore "store", there is no such SecretStore in namespace "team"',
    );
    world.kube.put(secretStore('store', 'team'));
    await synced(world, 'app');
    expect(secretData(world.kube, 'team', 'app')).toEqual({ pass: 'first' });
    expect(readyOfObject(world.kube, 'SecretStore', 'team', 'store')).toMatchObject({
      status: 'True',
      reason: 'Valid',
      message: 'store validated',
    });
    expect(world.operator.externalSecrets()).toMatchObject([{ namespace: 'team', name: 'app' }]);
    await world.operator.eventsWritten();
    expect(world.kube.all('Event').map((event) => event['message'])).toContain('secret created');
  });

  test('a pair of fields comes out of one read', async () => {
    const world = await oneSynced({
      data: [
        { secretKey: 'a', remoteRef: { key: 'app', property: 'password' } },
        { secretKey: 'b', remoteRef: { key: 'app', property: 'password' } },
      ],
    });
    const reads = world.store.reads;
    world.store.put('app', { password: 'second' });
    await eventually('both are new', () => secretData(world.kube, 'team', 'app')?.['b'] === 'second');
    expect(world.store.reads).toBe(reads + 1);
  });

  test('a real template is rendered, and a wrong key names its nearest', async () => {
    const world = await oneSynced({
      target: { template: { data: { url: 'x://{{ .pass | upper }}' } } },
      ...one('pass', 'app', 'password'),
    });
    expect(secretData(world.kube, 'team', 'app')).toEqual({ url: 'x://FIRST' });
    world.store.put('stripe', { 'api-key': 'canary-4711' });
    world.kube.put(
      externalSecret('stripe', 'team', {
        target: { template: { data: { STRIPE_API_KEY: '{{ .apiKey }}' } } },
        dataFrom: [{ extract: { key: 'stripe' } }],
      }),
    );
    const condition = await failing(world, 'stripe');
    expect(condition.message).toMatch(
      /^could not update secret: .*data\[STRIPE_API_KEY\].*api-key.*\[template\./,
    );
    await world.operator.eventsWritten();
    expect(JSON.stringify([world.kube.all('Event'), world.kube.all('ExternalSecret')])).not.toContain(
      'canary-4711',
    );
  });

  test('a missing property names the entry, the property and the nearest one', async () => {
    const world = await oneSynced();
    world.kube.put(externalSecret('other', 'team', one('pass', 'app', 'passwrd')));
    const condition = await failing(world, 'other');
    expect(condition.message).toMatch(
      /^could not get secret data from provider: error processing spec\.data\[0\] \(key: app\), err: cannot find secret data for key: "passwrd".*did you mean "password"\? \[provider\.property_missing\]; tried again within 1 s$/,
    );
  });

  test('a Secret that was deleted or edited by hand is repaired', async () => {
    const world = await oneSynced();
    world.kube.remove('Secret', 'team', 'app');
    await eventually('it is back', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'first');
    const secret = world.kube.read('Secret', 'team', 'app');
    if (secret === undefined) throw new Error('it was there');
    world.kube.put({ ...secret, data: { pass: Buffer.from('edited').toString('base64') } });
    await eventually('it is right again', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'first');
  });

  test('deleting an Owner takes its Secret along, deleting an Orphan leaves it', async () => {
    const world = await oneSynced();
    world.kube.put(
      externalSecret('orphan', 'team', {
        target: { creationPolicy: 'Orphan' },
        ...one('pass', 'app', 'password'),
      }),
    );
    await synced(world, 'orphan');
    world.kube.remove('ExternalSecret', 'team', 'app');
    world.kube.remove('ExternalSecret', 'team', 'orphan');
    await eventually('both are gone', () => world.kube.all('ExternalSecret').length === 0);
    expect(secretData(world.kube, 'team', 'app')).toBeUndefined();
    expect(secretData(world.kube, 'team', 'orphan')).toEqual({ pass: 'first' });
  });

  test('a renamed target leaves no old Secret', async () => {
    const world = await oneSynced();
    world.kube.put(
      externalSecret('app', 'team', { target: { name: 'renamed' }, ...one('pass', 'app', 'password') }),
    );
    await eventually('the old one is gone', () => secretData(world.kube, 'team', 'app') === undefined);
    await eventually('the new one is there', () => secretData(world.kube, 'team', 'renamed') !== undefined);
  });

  test('under Merge, a key that the template no longer names goes, and those of others stay', async () => {
    const world = start();
    world.store.put('app', { a: '1', b: '2' });
    world.kube.put(secretStore('store', 'team'));
    world.kube.put({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: { name: 'argocd-secret', namespace: 'team' },
      data: { 'server.secretkey': Buffer.from('keep').toString('base64') },
    });
    const merge = (keys: string[]): void =>
      void world.kube.put(
        externalSecret('app', 'team', {
          target: { name: 'argocd-secret', creationPolicy: 'Merge' },
          data: keys.map((key) => ({ secretKey: key, remoteRef: { key: 'app', property: key } })),
        }),
      );
    merge(['a', 'b']);
    await eventually('merged', () => secretData(world.kube, 'team', 'argocd-secret')?.['b'] === '2');
    merge(['b']);
    await eventually('a is gone', () => secretData(world.kube, 'team', 'argocd-secret')?.['a'] === undefined);
    expect(secretData(world.kube, 'team', 'argocd-secret')).toEqual({ 'server.secretkey': 'keep', b: '2' });
  });
});

describe('stores', () => {
  test('a provider that this build does not have is named, with those it has', async () => {
    const world = start();
    world.kube.put({ ...secretStore('store', 'team'), spec: { provider: { doppler: { auth: {} } } } });
    const condition = await eventually('told', () =>
      readyOfObject(world.kube, 'SecretStore', 'team', 'store'),
    );
    expect(condition).toMatchObject({
      status: 'False',
      reason: 'InvalidProviderConfig',
      message:
        'unable to create client: unknown provider "doppler"; this build has: fake [operator.unknown_provider]',
    });
  });

  test('a namespaced store cannot reach into another namespace', async () => {
    const world = start();
    world.kube.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'token', namespace: 'other' },
      data: { t: 'eA==' },
    });
    world.kube.put(
      secretStore('store', 'team', { tokenRef: { name: 'token', key: 't', namespace: 'other' } }),
    );
    const condition = await eventually('told', () =>
      readyOfObject(world.kube, 'SecretStore', 'team', 'store'),
    );
    expect(condition.message).toBe(
      'unable to create client: namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore [operator.ref_namespace]',
    );
    expect(world.kube.calls.filter((call) => call.op === 'get' && call.kind === 'Secret')).toEqual([]);
  });

  test('a store whose auth Secret comes later, and then changes, becomes ready each time at once', async () => {
    const store = new FakeStore('right');
    const world = start({ store });
    world.kube.put(secretStore('store', 'team', { tokenRef: { name: 'token', key: 't' } }));
    world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
    store.put('app', { password: 'first' });
    const told = (text: string) =>
      eventually(text, () =>
        readyOfObject(world.kube, 'SecretStore', 'team', 'store')?.message?.includes(text),
      );
    await told('could not get Secret "token" in namespace "team": it does not exist');
    const token = (text: string): void =>
      void world.kube.put({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'token', namespace: 'team' },
        data: { t: Buffer.from(text).toString('base64') },
      });
    token('wrong');
    await told('permission denied');
    token('right');
    await synced(world, 'app');
  });

  test('a ClusterSecretStore without a namespace in its reference logs in where it is used', async () => {
    const world = start({ store: new FakeStore('right') });
    world.store.put('app', { password: 'first' });
    world.kube.put(clusterStore('store', { tokenRef: { name: 'token', key: 't' } }));
    for (const [namespace, token] of [
      ['a', 'right'],
      ['b', 'wrong'],
    ] as const) {
      world.kube.put({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'token', namespace },
        data: { t: Buffer.from(token).toString('base64') },
      });
      world.kube.put(
        externalSecret('app', namespace, {
          secretStoreRef: { name: 'store', kind: 'ClusterSecretStore' },
          ...one('pass', 'app', 'password'),
        }),
      );
    }
    await synced(world, 'app', 'a');
    expect((await failing(world, 'app', 'b')).message).toContain('permission denied');
    expect(readyOfObject(world.kube, 'ClusterSecretStore', undefined, 'store')).toMatchObject({
      status: 'True',
      reason: 'ValidationUnknown',
      message: 'could not determine validation status',
    });
  });

  test('the conditions of a ClusterSecretStore keep other namespaces out', async () => {
    const world = start();
    world.store.put('app', { password: 'first' });
    world.kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'in', labels: { tier: 'a' } } });
    world.kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'out' } });
    world.kube.put(
      clusterStore('store', {}, { conditions: [{ namespaceSelector: { matchLabels: { tier: 'a' } } }] }),
    );
    const spec = {
      secretStoreRef: { name: 'store', kind: 'ClusterSecretStore' },
      ...one('pass', 'app', 'password'),
    };
    world.kube.put(externalSecret('app', 'in', spec));
    world.kube.put(externalSecret('app', 'out', spec));
    await synced(world, 'app', 'in');
    expect((await failing(world, 'app', 'out')).message).toContain(
      'using cluster store "store" is not allowed from namespace "out": denied by spec.condition',
    );
  });

  test('a store of the other kind is hinted at', async () => {
    const world = start();
    world.kube.put(clusterStore('store'));
    await eventually(
      'ready',
      () => readyOfObject(world.kube, 'ClusterSecretStore', undefined, 'store')?.status === 'True',
    );
    world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
    await eventually('hinted', () =>
      ready(world, 'app')?.message?.includes('a ClusterSecretStore of that name exists'),
    );
  });

  test('what belongs to another controller class is not touched', async () => {
    const world = start();
    world.kube.put({
      ...secretStore('store', 'team'),
      spec: { controller: 'other', provider: { fake: {} } },
    });
    world.kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
    world.kube.put(secretStore('mine', 'team'));
    await eventually(
      'ours is ready',
      () => readyOfObject(world.kube, 'SecretStore', 'team', 'mine')?.status === 'True',
    );
    expect(readyOfObject(world.kube, 'SecretStore', 'team', 'store')).toBeUndefined();
    expect(ready(world, 'app')).toBeUndefined();
    expect(world.kube.calls.filter((call) => call.op === 'patch' && call.name === 'app')).toEqual([]);
  });

  test('one client serves all ExternalSecrets of a store, and a changed store gets a new one', async () => {
    const world = await oneSynced();
    world.kube.put(externalSecret('second', 'team', one('pass', 'app', 'password')));
    await synced(world, 'second');
    expect(world.store.connects).toBe(1);
    world.kube.put({
      ...secretStore('store', 'team'),
      spec: { provider: { fake: {} }, retrySettings: { maxRetries: 1 } },
    });
    await eventually('connected anew', () => world.store.connects === 2 && world.store.closes === 1);
  });

  test("the store's retrySettings reach its client; an interval that is none is left to the client", async () => {
    const world = await oneSynced();
    expect(world.store.retry).toBeUndefined();
    const retry = async (retrySettings: object) => {
      const before = world.store.connects;
      world.kube.put({
        ...secretStore('store', 'team'),
        spec: { provider: { fake: {} }, retrySettings },
      });
      await eventually('connected anew', () => world.store.connects > before);
      return world.store.retry;
    };
    expect(await retry({ maxRetries: 3, retryInterval: '2s' })).toEqual({
      maxRetries: 3,
      retryIntervalMs: 2000,
    });
    expect(await retry({ maxRetries: 0, retryInterval: 'soon' })).toEqual({ maxRetries: 0 });
  });
});

describe('when things break', () => {
  test('a store that is down blanks nothing, and is caught up with when it is back', async () => {
    const world = await oneSynced();
    world.store.down = true;
    world.store.put('app', { password: 'second' });
    expect((await failing(world, 'app')).message).toContain('connection refused');
    expect(secretData(world.kube, 'team', 'app')).toEqual({ pass: 'first' });
    world.store.down = false;
    await eventually('caught up', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'second');
  });

  test('a source that vanishes keeps the last value under Retain and says so', async () => {
    const world = await oneSynced();
    world.store.remove('app');
    expect((await failing(world, 'app')).message).toContain('Secret does not exist');
    expect(secretData(world.kube, 'team', 'app')).toEqual({ pass: 'first' });
  });

  test('a source that vanishes takes the Secret along under Delete', async () => {
    const world = await oneSynced({
      target: { deletionPolicy: 'Delete' },
      ...one('pass', 'app', 'password'),
    });
    world.store.remove('app');
    await eventually('it is gone', () => secretData(world.kube, 'team', 'app') === undefined);
    await eventually('told', () => ready(world, 'app')?.reason === 'SecretDeleted');
  });

  test('a store that lost everything takes only a few Secrets along', async () => {
    const world = start();
    world.kube.put(secretStore('store', 'team'));
    for (let i = 0; i < 40; i++) {
      world.store.put(`k${i}`, { v: 'x' });
      world.kube.put(
        externalSecret(`es${i}`, 'team', { target: { deletionPolicy: 'Delete' }, ...one('v', `k${i}`, 'v') }),
      );
    }
    await eventually('all are there', () => world.kube.all('Secret').length === 40);
    for (let i = 0; i < 40; i++) world.store.remove(`k${i}`);
    await eventually('it was stopped', () =>
      world.kube
        .all('ExternalSecret')
        .some((es) => JSON.stringify(es['status']).includes('operator.mass_delete')),
    );
    await eventually('all were looked at', () =>
      world.kube
        .all('ExternalSecret')
        .every((es) => /mass_delete|SecretDeleted/.test(JSON.stringify(es['status']))),
    );
    // Ten, and what eight workers may decide at the same time.
    expect(world.kube.all('Secret').length).toBeGreaterThanOrEqual(40 - 18);
  });

  test('a write that lost a race is made again, and nobody is told', async () => {
    const world = await oneSynced();
    let conflicts = 2;
    world.kube.fault = (call) => {
      if (call.op === 'update' && call.kind === 'Secret' && conflicts-- > 0) {
        throw failure('kube.conflict', { request: 'PUT', reason: 'the object has been modified' });
      }
    };
    const flips: string[] = [];
    const watch = setInterval(() => flips.push(ready(world, 'app')?.status ?? ''), 1);
    world.store.put('app', { password: 'second' });
    await eventually('written', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'second');
    clearInterval(watch);
    expect(conflicts).toBeLessThan(0);
    expect(flips).not.toContain('False');
  });

  test('a Secret that the cluster refuses is told with the reason, and tried again', async () => {
    const world = await oneSynced();
    let refusals = 1;
    world.kube.fault = (call) => {
      if (call.op === 'update' && call.kind === 'Secret' && refusals-- > 0) {
        throw failure('kube.denied', { request: 'PUT', reason: 'quota' } as never);
      }
    };
    world.store.put('app', { password: 'second' });
    expect((await failing(world, 'app')).message).toMatch(
      /^could not update secret: .*\[kube\.denied\]; tried again within 1 s$/,
    );
    await eventually('written', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'second');
  });

  test('a restart reads nothing that is in order, but for the sweep that a forgetful server asks for', async () => {
    const kube = new FakeKube();
    const store = new FakeStore();
    const first = start({ kube, store });
    store.put('app', { password: 'first' });
    kube.put(secretStore('store', 'team'));
    kube.put(externalSecret('app', 'team', one('pass', 'app', 'password')));
    await synced(first, 'app');
    await first.stop();
    const { reads } = store;
    const second = start({ kube, store, push: false });
    await eventually('it was looked at', () => second.store.connects >= 2);
    await eventually('it is idle', () => second.operator.externalSecrets()[0]?.ready === 'True');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(store.reads).toBe(reads);
    await second.stop();
    // While nobody looked, a value changed and the server forgot to whom it told what.
    store.put('app', { password: 'second' });
    store.forgotten = 99;
    start({ kube, store });
    await eventually('swept', () => secretData(kube, 'team', 'app')?.['pass'] === 'second');
  });

  test('an ExternalSecret that no schema fits says where, and another one is served', async () => {
    const world = await oneSynced();
    world.kube.put(externalSecret('wrong', 'team', { data: [{ secretKey: 'a' }] }));
    expect((await failing(world, 'wrong')).message).toContain('spec.data[0].remoteRef');
    world.kube.put({
      apiVersion: 'external-secrets.io/v1',
      kind: 'ExternalSecret',
      metadata: { name: 'bare', namespace: 'team' },
    });
    expect((await failing(world, 'bare')).message).toContain('[operator.spec_invalid]');
  });
});

describe('changes that are told', () => {
  test('a template source that changes is rendered again at once', async () => {
    const world = start();
    const map = (text: string): void =>
      void world.kube.put({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'cm', namespace: 'team' },
        data: { conf: text },
      });
    map('old {{ .pass }}');
    world.store.put('app', { password: 'first' });
    world.kube.put(secretStore('store', 'team'));
    world.kube.put(
      externalSecret('app', 'team', {
        target: { template: { templateFrom: [{ configMap: { name: 'cm', items: [{ key: 'conf' }] } }] } },
        ...one('pass', 'app', 'password'),
      }),
    );
    await synced(world, 'app');
    map('new {{ .pass }}');
    await eventually('rendered', () => secretData(world.kube, 'team', 'app')?.['conf'] === 'new first');
  });

  test('no change is lost when the socket is cut in between', async () => {
    const world = await oneSynced();
    world.store.cut();
    world.store.put('app', { password: 'during' });
    await eventually('heard', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'during');
    expect(world.store.subscriptions).toBeGreaterThan(1);
  });

  test('a server that goes down is told at its store at once, and nothing waits long after it is back', async () => {
    const world = await oneSynced();
    const ready = () => readyOfObject(world.kube, 'SecretStore', 'team', 'store')?.status;
    expect(ready()).toBe('True');
    world.store.down = true;
    world.store.cut();
    await eventually('the store says so', () => ready() === 'False');
    expect(secretData(world.kube, 'team', 'app')).toEqual({ pass: 'first' });
    world.store.down = false;
    await eventually('the store is back', () => ready() === 'True');
    world.store.put('app', { password: 'second' });
    await eventually('pushed again', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'second');
  });

  test('a change that is told while its store is not ready is read when the store is', async () => {
    const world = await oneSynced();
    const ready = () => readyOfObject(world.kube, 'SecretStore', 'team', 'store')?.status;
    world.store.refusing = true;
    world.store.cut();
    await eventually('the store says so', () => ready() === 'False');
    // Somebody touches the Secret meanwhile: the ExternalSecret is looked at, and its own time has not come.
    const looks = world.kube.gets;
    const secret = world.kube.read('Secret', 'team', 'app');
    if (secret === undefined) throw new Error('it was there');
    const { metadata } = secret;
    world.kube.put({ ...secret, metadata: { ...metadata, labels: { ...metadata.labels, touched: 'yes' } } });
    await eventually('it was looked at', () => world.kube.gets > looks + 1);
    world.store.put('app', { password: 'meanwhile' });
    world.store.refusing = false;
    await eventually('it arrived', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'meanwhile');
  });

  test('a change from before a restart is read, though its store comes up after the stream has told it', async () => {
    const kube = new FakeKube();
    const store = new FakeStore('right');
    const first = start({ kube, store });
    const token = (text: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'token', namespace: 'late' },
      data: { token: Buffer.from(text).toString('base64') },
    });
    const withToken = (namespace: string) =>
      secretStore('store', namespace, { tokenRef: { name: 'token', key: 'token' } });
    for (const namespace of ['early', 'late']) {
      kube.put({ ...token('right'), metadata: { name: 'token', namespace } });
      kube.put(withToken(namespace));
      store.put(namespace, { password: 'first' });
      kube.put(externalSecret('app', namespace, one('pass', namespace, 'password')));
      await synced(first, 'app', namespace);
    }
    await first.stop();
    store.put('late', { password: 'second' });
    kube.put(token('wrong'));
    const second = start({ kube, store });
    await eventually(
      'the late store is not ready',
      () => readyOfObject(kube, 'SecretStore', 'late', 'store')?.status === 'False',
    );
    store.put('early', { password: 'heard' });
    await eventually('the stream is heard', () => secretData(kube, 'early', 'app')?.['pass'] === 'heard');
    kube.put(token('right'));
    await eventually('read', () => secretData(kube, 'late', 'app')?.['pass'] === 'second');
    await second.stop();
  });

  test('a server that forgot what it told is swept', async () => {
    const world = await oneSynced();
    world.store.forgotten = 99;
    world.store.lose();
    world.store.cut();
    expect((await failing(world, 'app')).message).toContain('Secret does not exist');
  });

  test('a secret that was deleted and made anew, at version 1 again, is not taken for an old one', async () => {
    const world = await oneSynced();
    world.store.put('app', { password: 'second' });
    await eventually('second', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'second');
    world.store.remove('app');
    world.store.put('app', { password: 'anew' });
    await eventually('anew', () => secretData(world.kube, 'team', 'app')?.['pass'] === 'anew');
  });

  test('a secret that comes later is read when it comes, not when the wait for it is over', async () => {
    const world = await oneSynced();
    world.kube.put(externalSecret('late', 'team', one('v', 'late', 'v')));
    await failing(world, 'late');
    world.store.put('late', { v: 'here' });
    await synced(world, 'late');
  });

  test('a folder that is searched is searched again when something in it changes', async () => {
    const world = await oneSynced();
    world.store.put('apps/one', { v: '1' });
    world.kube.put(
      externalSecret('all', 'team', { dataFrom: [{ find: { path: 'apps', name: { regexp: '^apps/' } } }] }),
    );
    await synced(world, 'all');
    world.store.put('apps/two', { v: '2' });
    await eventually(
      'both are there',
      () => secretData(world.kube, 'team', 'all')?.['apps_two'] !== undefined,
    );
    expect(secretData(world.kube, 'team', 'all')).toEqual({ apps_one: '{"v":"1"}', apps_two: '{"v":"2"}' });
  });

  test('force-sync by an annotation reads again', async () => {
    const world = await oneSynced();
    const { reads } = world.store;
    const object = world.kube.read('ExternalSecret', 'team', 'app');
    if (object === undefined) throw new Error('it was there');
    world.kube.put({ ...object, metadata: { ...object.metadata, annotations: { 'force-sync': '1' } } });
    await eventually('read', () => world.store.reads > reads);
  });

  test('1,000 ExternalSecrets: each of 50 changes is one read, and nobody else polls', async () => {
    const world = start();
    world.kube.put(secretStore('store', 'team'));
    for (let i = 0; i < 1000; i++) {
      world.store.put(`k${i}`, { v: 'x' });
      world.kube.put(externalSecret(`es${i}`, 'team', one('v', `k${i}`, 'v')));
    }
    await eventually(
      'all synced',
      () => world.operator.externalSecrets().filter((s) => s.ready === 'True').length === 1000,
      60_000,
    );
    await eventually('nothing is under way', () => world.kube.all('Secret').length === 1000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { reads } = world.store;
    for (let i = 0; i < 50; i++) world.store.put(`k${i * 20}`, { v: `new ${i}` });
    await eventually('all arrived', () =>
      Array.from(
        { length: 50 },
        (_, i) => secretData(world.kube, 'team', `es${i * 20}`)?.['v'] === `new ${i}`,
      ).every(Boolean),
    );
    expect(world.store.reads - reads).toBe(50);
  }, 90_000);
});
