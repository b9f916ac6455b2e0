/** node-vault's commands for mounts, KV, policies, tokens, wrapping and auth methods. It takes only 200 and 204 for success. */

import type nodeVault from 'node-vault';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../server.ts';
import type { MakeClient } from './client.ts';

export function secretsSuite(connect: MakeClient): void {
  let server: TestServer;
  let vault: nodeVault.client;

  beforeAll(async () => {
    server = await startServer();
    vault = connect(server);
    await vault.mount({ mount_point: 'secret', type: 'kv', options: { version: '2' } });
    await vault.mount({ mount_point: 'plain', type: 'kv', options: { version: '1' } });
  });
  afterAll(() => server?.close());

  /** Another client: node-vault goes over to the token that its own `tokenCreate` made. */
  const another = () => connect(server);

  const statusOf = (call: Promise<unknown>): Promise<number> =>
    call.then(
      () => 200,
      (error: { response?: { statusCode: number } }) => error.response?.statusCode ?? 0,
    );

  test('status, health and leader', async () => {
    expect(await vault.initialized()).toMatchObject({ initialized: true });
    expect(await vault.status()).toMatchObject({ sealed: false, t: 1, n: 1 });
    expect(await vault.health()).toMatchObject({ initialized: true, sealed: false });
  });

  test('mounts are made, listed and taken away', async () => {
    await vault.mount({ mount_point: 'team/a', type: 'kv', options: { version: '2' } });
    expect(Object.keys(await vault.mounts())).toEqual(expect.arrayContaining(['secret/', 'team/a/', 'sys/']));
    await vault.write('team/a/data/x', { data: { a: '1' } });
    await vault.unmount({ mount_point: 'team/a' });
    expect(Object.keys(await vault.mounts())).not.toContain('team/a/');
    expect(await statusOf(vault.read('team/a/data/x'))).toBe(404);
  });

  test('versioned secrets are written, read, listed, patched, deleted, brought back and destroyed', async () => {
    const written = await vault.write('secret/data/app/db', { data: { user: 'u', password: 'p' } });
    expect(written.data).toMatchObject({ version: 1, destroyed: false, deletion_time: '' });
    expect((await vault.read('secret/data/app/db')).data.data).toEqual({ user: 'u', password: 'p' });
    await vault.update('secret/data/app/db', { data: { password: 'q' }, options: { cas: 1 } });
    expect((await vault.read('secret/data/app/db')).data.data).toEqual({ user: 'u', password: 'q' });
    expect((await vault.list('secret/metadata')).data.keys).toEqual(['app/']);
    expect((await vault.list('secret/metadata/app/')).data.keys).toEqual(['db']);

    await expect(vault.write('secret/data/app/db', { data: {}, options: { cas: 0 } })).rejects.toThrow(
      'check-and-set parameter did not match the current version',
    );
    await vault.delete('secret/data/app/db');
    expect(await statusOf(vault.read('secret/data/app/db'))).toBe(404);
    await vault.write('secret/undelete/app/db', { versions: [2] });
    expect((await vault.read('secret/data/app/db')).data.metadata.version).toBe(2);
    await vault.write('secret/destroy/app/db', { versions: [1] });
    expect((await vault.read('secret/metadata/app/db')).data.versions['1'].destroyed).toBe(true);
    await vault.delete('secret/metadata/app/db');
    expect(await statusOf(vault.list('secret/metadata'))).toBe(404);
  });

  test('a patch of what is not there is an error, and makes nothing', async () => {
    expect(await statusOf(vault.update('secret/data/none', { data: { a: 1 } }))).toBe(404);
    expect(await statusOf(vault.read('secret/metadata/none'))).toBe(404);
  });

  test('plain secrets carry the lease of the mount', async () => {
    await vault.write('plain/app', { a: '1' });
    expect(await vault.read('plain/app')).toMatchObject({
      data: { a: '1' },
      lease_duration: 2_764_800,
      lease_id: '',
    });
    expect((await vault.list('plain')).data.keys).toEqual(['app']);
    await vault.delete('plain/app');
    expect(await statusOf(vault.read('plain/app'))).toBe(404);
  });

  test('policies are written, listed and decide', async () => {
    await vault.addPolicy({ name: 'reader', rules: 'path "secret/data/mine/*" { capabilities = ["read"] }' });
    expect((await vault.policies()).policies).toContain('reader');
    expect((await vault.getPolicy({ name: 'reader' })).rules).toContain('secret/data/mine/*');
    await vault.write('secret/data/mine/a', { data: { a: 1 } });
    const made = await another().tokenCreate({ policies: ['reader'], ttl: '1h' });
    const reader = connect(server, made.auth.client_token);
    expect((await reader.read('secret/data/mine/a')).data.data).toEqual({ a: 1 });
    expect(await statusOf(reader.read('secret/data/other'))).toBe(403);
    expect(await statusOf(reader.write('secret/data/mine/a', { data: {} }))).toBe(403);
    expect(await statusOf(reader.list('secret/metadata'))).toBe(403);
    await vault.removePolicy({ name: 'reader' });
    expect(await statusOf(reader.read('secret/data/mine/a'))).toBe(403);
  });

  test('tokens are made, looked up, renewed and revoked', async () => {
    const { auth } = await another().tokenCreate({ policies: ['default'], ttl: '1h', renewable: true });
    const own = connect(server, auth.client_token);
    expect((await own.tokenLookupSelf()).data).toMatchObject({ policies: ['default'], type: 'service' });
    expect((await own.tokenRenewSelf({ increment: '2h' })).auth.lease_duration).toBeGreaterThan(3600);
    expect((await vault.tokenLookupAccessor({ accessor: auth.accessor })).data.accessor).toBe(auth.accessor);
    expect((await vault.tokenAccessors()).data.keys).toContain(auth.accessor);
    await vault.tokenRevoke({ token: auth.client_token });
    expect(await statusOf(own.tokenLookupSelf())).toBe(403);
  });

  test('a wrapped answer is opened once', async () => {
    await vault.write('secret/data/wrapped', { data: { a: 'b' } });
    const wrapped = await vault.read('secret/data/wrapped', { headers: { 'X-Vault-Wrap-TTL': '60s' } });
    expect(wrapped.data).toBeNull();
    const holder = connect(server, wrapped.wrap_info.token);
    expect((await holder.unwrap()).data.data).toEqual({ a: 'b' });
    expect([400, 403]).toContain(await statusOf(holder.unwrap()));
  });

  test('auth methods are enabled, configured with roles, and disabled', async () => {
    await vault.enableAuth({ mount_point: 'kubernetes', type: 'kubernetes' });
    await vault.write('auth/kubernetes/role/app', {
      bound_service_account_names: 'a',
      bound_service_account_namespaces: 'b',
      policies: 'default',
    });
    expect(
      (await vault.getKubernetesRole({ mount_point: 'kubernetes', role_name: 'app' })).data
        .bound_service_account_names,
    ).toEqual(['a']);
    expect(await statusOf(vault.kubernetesLogin({ mount_point: 'kubernetes', role: 'none', jwt: 'x' }))).toBe(
      400,
    );
    await vault.deleteKubernetesRole({ mount_point: 'kubernetes', role_name: 'app' });
    await vault.disableAuth({ mount_point: 'kubernetes' });
    expect(await statusOf(vault.getKubernetesRole({ mount_point: 'kubernetes', role_name: 'app' }))).toBe(
      404,
    );
  });
}
