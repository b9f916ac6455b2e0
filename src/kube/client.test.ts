/** The client against the embedded Kubernetes API, over TLS: what a double in a test forgives, a server does not. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { MemoryBackend } from '../storage/memory.ts';
import { createKube, type KubeClient } from './client.ts';
import type { Name, Resource } from './kube.ts';

const CONFIG_MAPS: Resource = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const NAME: Name = { resource: CONFIG_MAPS, namespace: 'default', name: 'doomed' };
const MAP = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME.name, namespace: 'default' } };

let server: ApiServer;
let kube: KubeClient;

beforeAll(async () => {
  server = await startApiServer({
    backend: new MemoryBackend(),
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    log: silentLog,
  });
  kube = createKube({ server: server.url, ca: server.caPem, token: server.adminToken });
}, 30_000);

afterAll(async () => {
  kube.close();
  await server.close();
});

test('a deletion goes through only while its preconditions hold', async () => {
  const first = await kube.create(NAME, MAP);
  const { uid = '', resourceVersion = '' } = first.metadata;
  await kube.patch(NAME, { data: { a: '1' } });
  expect(await kube.delete(NAME, { uid: 'another' })).toBe(false);
  expect(await kube.delete(NAME, { uid, resourceVersion })).toBe(false);
  expect((await kube.get(NAME))?.['data']).toEqual({ a: '1' });
  expect(await kube.delete(NAME, { uid })).toBe(true);
  expect(await kube.get(NAME)).toBeUndefined();
  expect(await kube.delete(NAME, { uid })).toBe(false);
});

test('the body of a deletion is framed: the next request on its connection is read as its own', async () => {
  for (let round = 0; round < 20; round++) {
    const { uid = '' } = (await kube.create(NAME, MAP)).metadata;
    expect(await kube.delete(NAME, { uid })).toBe(true);
    expect(await kube.get(NAME)).toBeUndefined();
  }
});
