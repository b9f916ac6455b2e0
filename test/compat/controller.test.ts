/** `holdfast controller`, the operator by itself: its settings, what it tells over HTTP, and where it does not go. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Controller } from '../../src/bin/operator/service.ts';
import type { KubeObject } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, SECRET_STORES, SECRETS } from '../../src/operator/api/resources.ts';
import { type Ground, startGround } from '../support/controller.ts';
import { kubectl, noKubectl } from '../support/kubectl.ts';
import { eventually } from '../support/platform.ts';
import { textsOf } from '../support/team.ts';

if (noKubectl !== undefined) console.warn(`SKIPPED test/compat/controller: ${noKubectl}`);

const store = (address: string, more: object = {}): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'SecretStore',
  metadata: { name: 'vault', namespace: 'shop' },
  spec: {
    provider: {
      vault: {
        server: address,
        path: 'secret',
        version: 'v2',
        auth: {
          kubernetes: {
            mountPath: 'kubernetes',
            role: 'eso-shop-role',
            serviceAccountRef: { name: 'external-secrets', audiences: ['vault'] },
          },
        },
      },
    },
    ...more,
  },
});
const externalSecret = (name: string): KubeObject => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: { name, namespace: 'shop', labels: { 'app.kubernetes.io/part-of': 'shop' } },
  spec: {
    refreshInterval: '1h',
    secretStoreRef: { name: 'vault', kind: 'SecretStore' },
    data: [{ secretKey: 'password', remoteRef: { key: 'secret/shop/app', property: 'password' } }],
  },
});
const CANARY = 'c4n4ry-of-the-shop';

describe.skipIf(noKubectl !== undefined)('the operator by itself', () => {
  let ground: Ground;
  let controller: Controller;
  const get = async (path: string, at = controller.addresses.metrics): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${at?.port}${path}`);
    return [answer.status, await answer.text()];
  };
  const live = (path: string): Promise<[number, string]> => get(path, controller.addresses.live);
  const series = async (name: string): Promise<readonly string[]> =>
    (await get('/metrics'))[1].split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
  const messageOf = async (resource: typeof SECRET_STORES, name: string): Promise<string> => {
    const object = await ground.kube.get({ resource, namespace: 'shop', name });
    const { conditions = [] } = (object?.['status'] ?? {}) as { conditions?: { message: string }[] };
    return conditions[0]?.message ?? '';
  };
  const passwordIs = (text: string): Promise<true> =>
    eventually(`the password is ${text}`, async () => {
      const secret = await ground.kube.get({ resource: SECRETS, namespace: 'shop', name: 'app' });
      return (secret !== undefined && textsOf(secret)['password'] === text) || undefined;
    });
  const write = (password: string): Promise<unknown> =>
    ground.root.request('PUT', 'secret/data/shop/app', { body: { data: { password } } });

  beforeAll(async () => {
    ground = await startGround();
    await ground.grant([store(ground.address), externalSecret('app')]);
    await write('one');
    await kubectl(ground.env).apply(store(ground.address), externalSecret('app'));
  });
  afterAll(() => ground?.stop());

  test('does not follow a store to the machine that it runs on, and says so', async () => {
    const strict = await ground.run();
    await eventually(
      'the store is refused',
      async () => /not on the list of addresses/.test(await messageOf(SECRET_STORES, 'vault')) || undefined,
    );
    await strict.close();
  });

  test('does where its own settings name the address, and brings the Secret', async () => {
    controller = await ground.run({
      egressAllow: [ground.address.replace('http://', '')],
      pushServer: [ground.address],
      pushTokenFile: ground.tokenFile,
      enableExtendedMetricLabels: true,
      generatorGcGracePeriod: '1h',
    });
    await passwordIs('one');
  });

  test('hears of a change without waiting for the hour', async () => {
    // The first may come with the opening of the stream; the second is told.
    for (const password of ['two', 'three']) {
      await write(password);
      await passwordIs(password);
    }
  });

  test('answers to probes, and to nothing else', async () => {
    expect(await live('/healthz')).toEqual([200, 'ok\n']);
    expect(await live('/readyz')).toEqual([200, 'ok\n']);
    expect((await live('/metrics'))[0]).toBe(404);
    expect((await get('/healthz'))[0]).toBe(404);
    expect((await get('/metrics/../secrets'))[0]).toBe(404);
    const posted = await fetch(`http://127.0.0.1:${controller.addresses.metrics?.port}/metrics`, {
      method: 'POST',
      body: 'x',
    });
    expect(posted.status).toBe(405);
  });

  test('tells its numbers in the names that dashboards know', async () => {
    const labels =
      'name="app",namespace="shop",app_kubernetes_io_name="",app_kubernetes_io_instance="",app_kubernetes_io_version="",app_kubernetes_io_component="",app_kubernetes_io_part_of="shop",app_kubernetes_io_managed_by=""';
    expect(await series('externalsecret_status_condition')).toEqual([
      `externalsecret_status_condition{${labels},condition="Ready",status="True"} 1`,
      `externalsecret_status_condition{${labels},condition="Ready",status="False"} 0`,
    ]);
    const [calls] = await series('externalsecret_sync_calls_total');
    expect(Number(calls?.split(' ').at(-1))).toBeGreaterThanOrEqual(2);
    const [duration] = await series('externalsecret_reconcile_duration');
    // Nanoseconds, as upstream has it: no reconcile over a socket takes less than a tenth of a millisecond.
    expect(Number(duration?.split(' ').at(-1))).toBeGreaterThan(100_000);
    expect(await series('secretstore_status_condition')).toContain(
      `secretstore_status_condition{${labels.replace('"app"', '"vault"').replace('"shop",app_kubernetes_io_managed_by', '"",app_kubernetes_io_managed_by')},condition="Ready",status="True"} 1`,
    );
    const provider = await series('externalsecret_provider_api_calls_count');
    for (const call of ['Login', 'ReadSecretData', 'LookupSelf'])
      expect(provider.join('\n')).toContain(`provider="HashiCorp/Vault",call="${call}",status="success"`);
    expect(await series('holdfast_secret_rotations_total')).toEqual([
      'holdfast_secret_rotations_total{secret_name="app",namespace="shop",provider="vault"} 2',
    ]);
    const [age] = await series('holdfast_secret_age_seconds');
    expect(age).toMatch(
      /^holdfast_secret_age_seconds\{secret_name="app",namespace="shop",provider="vault"\} \d$/,
    );
    const [ends] = await series('holdfast_store_token_expiration_time_seconds');
    expect(ends).toContain('{store="SecretStore/shop/vault"}');
    // A day, as `holdfast dev` grants it.
    expect(Number(ends?.split(' ').at(-1)) - Date.now() / 1000).toBeGreaterThan(86_000);
    const [delays] = await series('holdfast_rotation_delay_seconds_count');
    expect(delays).toMatch(/^holdfast_rotation_delay_seconds_count [12]$/);
    for (const name of [
      'controller_runtime_reconcile_total',
      'controller_runtime_reconcile_time_seconds_bucket',
      'externalsecret_reconcile_duration_seconds_bucket',
      'workqueue_depth',
      'holdfast_provider_api_call_duration_seconds_bucket',
      'workqueue_adds_total',
      'workqueue_queue_duration_seconds_count',
      'rest_client_requests_total',
    ])
      expect(await series(name), name).not.toEqual([]);
    const text = (await get('/metrics'))[1];
    expect(text).not.toMatch(/password|secret\/shop|secret\/data/);
  });

  test('drops the series of what is gone, and holds no value of a secret', async () => {
    await write(CANARY);
    await passwordIs(CANARY);
    expect((await get('/metrics'))[1]).not.toContain(CANARY);
    await kubectl(ground.env).ok('delete es app -n shop --wait=true');
    await eventually(
      'its series are gone',
      async () =>
        !(await get('/metrics'))[1].includes('externalsecret_sync_calls_total{name="app"') || undefined,
    );
    expect(await series('holdfast_secret_rotations_total')).toEqual([]);
    expect(await ground.logged()).not.toContain(CANARY);
  });

  test('keeps what a generator made for as long as its settings say after it was replaced', async () => {
    const control = kubectl(ground.env);
    const { provider } = store(ground.address)['spec'] as { provider: { vault: object } };
    const apiVersion = 'generators.external-secrets.io/v1alpha1';
    const metadata = { name: 'made', namespace: 'shop' };
    const generatorRef = { apiVersion, kind: 'VaultDynamicSecret', name: 'made' };
    await control.apply(
      {
        apiVersion,
        kind: 'VaultDynamicSecret',
        metadata,
        spec: { path: 'secret/data/shop/app', provider: provider.vault },
      },
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata,
        spec: { refreshInterval: '1h', dataFrom: [{ sourceRef: { generatorRef } }] },
      },
    );
    const states = async (): Promise<readonly { spec: { garbageCollectionDeadline?: string } }[]> =>
      JSON.parse(await control.ok('-n shop get generatorstates -o json')).items;
    await eventually('there is a state', async () => ((await states()).length === 1 ? true : undefined));
    const before = Date.now();
    await control.ok('-n shop annotate externalsecret made force-sync=1');
    const deadline = await eventually('the first is given up', async () =>
      (await states()).flatMap(({ spec }) => spec.garbageCollectionDeadline ?? []).at(0),
    );
    expect(Date.parse(deadline) - before).toBeGreaterThan(3_590_000);
    await control.ok('-n shop delete externalsecret made');
  });

  test('leaves the stores of another class, and what they fill, to another operator', async () => {
    const foreign = { ...store(ground.address, { controller: 'theirs' }) };
    await kubectl(ground.env).apply(foreign, externalSecret('late'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const object = await ground.kube.get({ resource: EXTERNAL_SECRETS, namespace: 'shop', name: 'late' });
    expect(object?.['status']).toBeUndefined();
    const theirs = await ground.run({
      controllerClass: 'theirs',
      egressAllow: [ground.address.replace('http://', '')],
    });
    await eventually(
      'the other operator takes it',
      async () => /synced/.test(await messageOf(EXTERNAL_SECRETS, 'late')) || undefined,
    );
    await theirs.close();
  });

  test('ends when it is told to, though a store keeps it waiting', async () => {
    const { createServer } = await import('node:net');
    const asked: unknown[] = [];
    const silent = createServer((socket) => {
      asked.push(socket);
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', () => resolve()));
    const at = `127.0.0.1:${(silent.address() as { port: number }).port}`;
    const waiting = await ground.run({ controllerClass: 'waiting', egressAllow: [at] });
    await kubectl(ground.env).apply({
      ...store(`http://${at}`, { controller: 'waiting' }),
      metadata: { name: 'silent', namespace: 'shop' },
    });
    await eventually('the store is asked', () => asked.length > 0 || undefined);
    expect(await waiting.close(200)).toBe(false);
    await kubectl(ground.env).ok('delete secretstore silent -n shop --wait=true');
    silent.close();
    for (const socket of asked) (socket as { destroy(): void }).destroy();
  });

  test('shows its own identity to no server that its settings do not name', async () => {
    const seen: string[] = [];
    const { createServer } = await import('node:http');
    const trap = createServer((request, response) => {
      request.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
      request.on('end', () => {
        seen.push(`${request.method} ${request.url}`);
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"data":{"data":{"password":"bait"},"metadata":{"version":1}}}');
      });
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', () => resolve()));
    const at = `127.0.0.1:${(trap.address() as { port: number }).port}`;
    const curious = await ground.run({
      controllerClass: 'curious',
      egressAllow: [at],
      pushServer: [ground.address],
      pushTokenFile: ground.tokenFile,
    });
    const token = { tokenSecretRef: { name: 'any', key: 'token' } };
    await kubectl(ground.env).apply(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'any', namespace: 'shop' },
        stringData: { token: 't' },
      },
      {
        ...store(`http://${at}`, { controller: 'curious' }),
        metadata: { name: 'trap', namespace: 'shop' },
        spec: {
          controller: 'curious',
          provider: { vault: { server: `http://${at}`, path: 'secret', auth: token } },
        },
      },
      {
        ...externalSecret('trapped'),
        spec: { ...(externalSecret('trapped')['spec'] as object), secretStoreRef: { name: 'trap' } },
      },
    );
    await eventually(
      'it reads what the trap holds',
      async () => /synced/.test(await messageOf(EXTERNAL_SECRETS, 'trapped')) || undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(seen).toContain('GET /v1/secret/data/shop/app');
    expect(seen.join('\n')).not.toMatch(/login|jwt|eyJ|subscribe/);
    await curious.close();
    trap.close();
  });
});
