import { afterEach, expect, test, vi } from 'vitest';
import { startApiServer } from '../../apiserver/server.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { createKube } from '../../kube/client.ts';
import type { Resource } from '../../kube/kube.ts';
import { createServer } from '../../server/server.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { podOf, register } from './registration.ts';

const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of closing.splice(0).reverse()) await end();
});

const serverHere = async () => {
  const server = await createServer({
    backend: new MemoryBackend(),
    plugins: [],
    clock: systemClock,
    log: silentLog,
    dial: async () => ({ status: 599, body: new Uint8Array() }),
  });
  closing.push(() => server.close());
  return server;
};

test('the labels of the pod follow the server from new to open to closed, and its other labels stay', async () => {
  const api = await startApiServer({
    backend: new MemoryBackend(),
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    log: silentLog,
  });
  closing.push(() => api.close());
  const kube = createKube({ server: api.url, ca: api.caPem, token: api.adminToken });
  closing.push(() => kube.close());
  const pod = { namespace: 'default', name: 'vault-0' };
  const name = { resource: PODS, ...pod };
  await kube.create(name, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...pod, labels: { app: 'vault' } },
    spec: { containers: [{ name: 'server', image: 'holdfast' }] },
  });
  const labels = async () => (await kube.get(name))?.metadata.labels;
  const told = (active: string, initialized: string) => ({
    app: 'vault',
    'vault-active': active,
    'vault-initialized': initialized,
    'vault-perf-standby': 'false',
    'vault-sealed': active === 'true' ? 'false' : 'true',
    'vault-version': '1.19.0',
  });
  const becomes = (wanted: object) =>
    vi.waitFor(async () => expect(await labels()).toEqual(wanted), { timeout: 10_000 });

  const server = await serverHere();
  const state = () => server.seal.status();
  const log = { ...silentLog, warn: (text: string) => expect.unreachable(text) };
  const labelled = register({ kube, pod, version: '1.19.0', state, log, lookMs: 10 });
  await becomes(told('false', 'false'));
  const { keys } = await server.seal.initialize(1, 1);
  await becomes(told('false', 'true'));
  for (const key of keys) await server.seal.submit(key);
  await becomes(told('true', 'true'));
  await labelled.stop();
  expect(await labels()).toEqual(told('false', 'true'));
});

test('an API that is away is told once, tried again, and holds up neither the server nor its end', async () => {
  const patches: object[] = [];
  let away = true;
  const kube = {
    patch: async (name: object, patch: object) => {
      patches.push(patch);
      if (away) throw new Error('away');
      return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'vault-0' }, ...name };
    },
  };
  const warned: string[] = [];
  const log = { ...silentLog, warn: (text: string) => void warned.push(text) };
  const pod = { namespace: 'default', name: 'vault-0' };
  let asked = 0;
  const state = async () => {
    if (++asked === 2) throw new Error('the store does not answer');
    return { initialized: true, sealed: false };
  };
  const labelled = register({ kube, pod, version: '1', state, log, lookMs: 5 });
  await vi.waitFor(() => expect(patches.length).toBeGreaterThan(3), { timeout: 10_000 });
  away = false;
  const tried = patches.length;
  await vi.waitFor(() => expect(patches.length).toBeGreaterThan(tried), { timeout: 10_000 });
  away = true;
  await labelled.stop();
  expect(warned.length).toBeGreaterThanOrEqual(1);
  expect(warned.length).toBeLessThanOrEqual(2);
});

test('the pod is the one of the environment, then of the file, and nowhere is refused', () => {
  const cluster = { server: 'https://10.0.0.1:443', namespace: 'own' };
  const file = { namespace: undefined, pod: 'file-0' };
  expect(podOf(file, cluster, {})).toEqual({ namespace: 'own', name: 'file-0' });
  const env = { VAULT_K8S_POD_NAME: 'env-0', VAULT_K8S_NAMESPACE: 'env' };
  expect(podOf(file, cluster, env)).toEqual({ namespace: 'env', name: 'env-0' });
  expect(() => podOf({ namespace: undefined, pod: undefined }, cluster, {})).toThrow('does not know the pod');
  expect(() => podOf(file, undefined, env)).toThrow('this is not one');
});
