/** The same operator against the embedded Kubernetes API, over TLS: what a map in memory forgives, a server does not. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { createKube, type KubeClient } from '../kube/client.ts';
import type { KubeObject, Name, Resource } from '../kube/kube.ts';
import { MemoryBackend } from '../storage/memory.ts';
import { crds } from './api/crds.ts';
import {
  CLUSTER_SECRET_STORES,
  EVENTS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  SECRET_STORES,
  SECRETS,
} from './api/resources.ts';
import { sha3 } from './hash.ts';
import { createOperator } from './operator.ts';
import { createRendering } from './rendering.ts';
import { externalSecret, one, secretStore } from './testing/cluster.ts';
import { FakeStore, fakeProvider } from './testing/provider.ts';

const DEFINITIONS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

let server: ApiServer;
let kube: KubeClient;
let running: Promise<void>;
const stopping = new AbortController();
const store = new FakeStore();

const nameOf = (resource: Resource, object: KubeObject): Name => ({
  resource,
  name: object.metadata.name,
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});
const apply = (resource: Resource, object: KubeObject) =>
  kube.apply(nameOf(resource, object), object, { manager: 'kubectl', force: true });

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const secret = async (name: string): Promise<Record<string, string> | undefined> => {
  const object = await kube.get({ resource: SECRETS, namespace: 'team', name });
  if (object === undefined) return undefined;
  const data = (object['data'] ?? {}) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]),
  );
};

beforeAll(async () => {
  server = await startApiServer({
    backend: new MemoryBackend(),
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    log: silentLog,
  });
  kube = createKube({ server: server.url, ca: server.caPem, token: server.adminToken });
  for (const definition of crds()) await apply(DEFINITIONS, definition);
  await apply(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } });
  for (const resource of [EXTERNAL_SECRETS, SECRET_STORES, CLUSTER_SECRET_STORES]) {
    await until(`${resource.plural} are served`, async () =>
      kube.list({ resource }).then(
        () => true,
        () => false,
      ),
    );
  }
  const operator = createOperator({
    kube,
    providers: [fakeProvider(store)],
    clock: systemClock,
    log: silentLog,
    random: () => 0.5,
    resolve: (host, port) => ({ host, port }),
    subscribe: store.subscribe,
    envOf: createRendering({ seed: new Uint8Array(32) }),
  });
  running = operator.start(stopping.signal);
}, 30_000);

afterAll(async () => {
  stopping.abort();
  await running;
  kube.close();
  await server.close();
});

test('our definitions are taken, with their rules', async () => {
  const definition = await kube.get({ resource: DEFINITIONS, name: 'externalsecrets.external-secrets.io' });
  const status = (definition?.['status'] ?? { conditions: [] }) as { conditions: Record<string, string>[] };
  const { conditions } = status;
  expect(conditions.filter((condition) => condition['type'] === 'Established')).toMatchObject([
    { status: 'True' },
  ]);
  expect(conditions.filter((condition) => condition['type'] === 'NonStructuralSchema')).toEqual([]);
});

test('the whole way, a push, a repair and a deletion', async () => {
  store.put('app', { password: 'first' });
  await apply(SECRET_STORES, secretStore('store', 'team'));
  await apply(EXTERNAL_SECRETS, externalSecret('app', 'team', one('pass', 'app', 'password')));
  await until('synced', async () => (await secret('app'))?.['pass'] === 'first');
  store.put('app', { password: 'second' });
  await until('pushed', async () => (await secret('app'))?.['pass'] === 'second');
  await kube.delete({ resource: SECRETS, namespace: 'team', name: 'app' });
  await until('repaired', async () => (await secret('app'))?.['pass'] === 'second');
  const event = await until('events are written', async () =>
    (await kube.list({ resource: EVENTS, namespace: 'team' })).items.find(
      (e) => e['message'] === 'secret created',
    ),
  );
  expect(event['involvedObject']).toMatchObject({ kind: 'ExternalSecret', name: 'app', namespace: 'team' });
  await kube.delete({ resource: EXTERNAL_SECRETS, namespace: 'team', name: 'app' });
  await until('collected', async () => (await secret('app')) === undefined);
});

test('Merge gives up a key that it set earlier, by the managed fields that the server kept', async () => {
  store.put('two', { a: '1', b: '2' });
  await apply(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'argocd-secret', namespace: 'team' },
    data: { 'server.secretkey': Buffer.from('keep').toString('base64') },
  });
  const merge = (...keys: string[]) =>
    apply(
      EXTERNAL_SECRETS,
      externalSecret('argocd', 'team', {
        target: { name: 'argocd-secret', creationPolicy: 'Merge' },
        data: keys.map((key) => ({ secretKey: key, remoteRef: { key: 'two', property: key } })),
      }),
    );
  await merge('a', 'b');
  await until('merged', async () => (await secret('argocd-secret'))?.['b'] === '2');
  await merge('b');
  await until('given up', async () => (await secret('argocd-secret'))?.['a'] === undefined);
  expect(await secret('argocd-secret')).toEqual({ 'server.secretkey': 'keep', b: '2' });
});

test.each([
  ['by its name', 'adopted', 'externalsecrets.external-secrets.io/adopted'],
  [
    'by its hash',
    'adopted-with-a-name-of-thirty-nine-char',
    `externalsecrets.external-secrets.io/sha3/${sha3('adopted-with-a-name-of-thirty-nine-char')}`,
  ],
])(
  'a key that another operator wrote under our name (%s) is ours to take away; others stay',
  async (_, name, manager) => {
    const text = (value: string): string => Buffer.from(value).toString('base64');
    const target: Name = { resource: SECRETS, namespace: 'team', name: `${name}-target` };
    const metadata = { name: target.name, namespace: 'team', labels: { stale: 'yes' } };
    await kube.create(
      target,
      { apiVersion: 'v1', kind: 'Secret', metadata, data: { gone: text('1'), pass: text('old') } },
      { manager },
    );
    await kube.patch(target, { data: { theirs: text('3') } }, { manager: 'kubectl' });
    await apply(
      EXTERNAL_SECRETS,
      externalSecret(name, 'team', {
        target: { name: target.name, creationPolicy: 'Merge' },
        ...one('pass', 'app', 'password'),
      }),
    );
    await until('adopted', async () => (await secret(target.name))?.['pass'] === 'second');
    expect(await secret(target.name)).toEqual({ theirs: '3', pass: 'second' });
    expect((await kube.get(target))?.metadata.labels).not.toHaveProperty('stale');
  },
);

test('a manifest of v1beta1 is served by the same operator', async () => {
  const object = {
    ...externalSecret('old', 'team', one('pass', 'app', 'password')),
    apiVersion: 'external-secrets.io/v1beta1',
  };
  await apply({ ...EXTERNAL_SECRETS, version: 'v1beta1' }, object);
  await until('synced', async () => (await secret('old'))?.['pass'] === 'second');
});

test('no default enters what is stored', async () => {
  const object = await kube.get({ resource: EXTERNAL_SECRETS, namespace: 'team', name: 'old' });
  expect(object?.['spec']).toEqual({
    secretStoreRef: { name: 'store' },
    refreshInterval: '1h',
    ...one('pass', 'app', 'password'),
  });
});
