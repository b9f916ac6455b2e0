/** node-vault's commands for approle, userpass, tokens and token roles. */

import type nodeVault from 'node-vault';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../server.ts';
import type { MakeClient } from './client.ts';

export function methodsSuite(connect: MakeClient): void {
  const RULES =
    'path "secret/data/*" { capabilities = ["read"] } path "auth/token/create" { capabilities = ["update"] }';
  let server: TestServer;
  let vault: nodeVault.client;

  beforeAll(async () => {
    server = await startServer();
    vault = connect(server);
    await vault.mount({ mount_point: 'secret', type: 'kv', options: { version: '2' } });
    await vault.write('secret/data/app', { data: { a: '1' } });
    await vault.addPolicy({ name: 'reader', rules: RULES });
  });
  afterAll(() => server?.close());

  /** node-vault goes over to the token that it is given, so each login has a client of its own. */
  const client = (token = '') => connect(server, token);
  const failing = (call: Promise<unknown>): Promise<[number, string]> =>
    call.then(
      () => [200, ''],
      (error: Error & { response?: { statusCode: number } }) => [
        error.response?.statusCode ?? 0,
        error.message,
      ],
    );

  test('approle: roles, role ids, secret ids and their accessors, and the login', async () => {
    await vault.enableAuth({ mount_point: 'approle', type: 'approle' });
    const role_name = 'app';
    await vault.addApproleRole({ role_name, policies: 'reader', secret_id_num_uses: 2 });
    expect((await vault.approleRoles()).data.keys).toEqual(['app']);
    expect((await vault.getApproleRole({ role_name })).data).toMatchObject({
      token_policies: ['reader'],
      secret_id_num_uses: 2,
      bind_secret_id: true,
    });
    await vault.updateApproleRoleId({ role_name, role_id: 'chosen' });
    const { role_id } = (await vault.getApproleRoleId({ role_name })).data;
    expect(role_id).toBe('chosen');
    const { secret_id, secret_id_accessor } = (
      await vault.getApproleRoleSecret({ role_name, metadata: '{"host":"h"}' })
    ).data;

    const holder = client();
    const { auth } = await holder.approleLogin({ role_id, secret_id });
    expect(auth).toMatchObject({
      policies: ['default', 'reader'],
      metadata: { role_name: 'app', host: 'h' },
    });
    expect((await holder.read('secret/data/app')).data.data).toEqual({ a: '1' });

    expect((await vault.approleSecretAccessors({ role_name })).data.keys).toEqual([secret_id_accessor]);
    expect((await vault.approleSecretLookup({ role_name, secret_id })).data).toMatchObject({
      secret_id_num_uses: 1,
      metadata: { host: 'h' },
    });
    expect((await vault.approleSecretAccessorLookup({ role_name, secret_id_accessor })).data).toMatchObject({
      secret_id_accessor,
    });
    await vault.approleSecretAccessorDestroy({ role_name, secret_id_accessor });
    expect(await failing(client().approleLogin({ role_id, secret_id }))).toEqual([
      400,
      'invalid role or secret ID',
    ]);
    const another = (await vault.getApproleRoleSecret({ role_name })).data.secret_id;
    await vault.approleSecretDestroy({ role_name, secret_id: another });
    expect(await failing(client().approleLogin({ role_id, secret_id: another }))).toEqual([
      400,
      'invalid role or secret ID',
    ]);
    await vault.deleteApproleRole({ role_name });
    expect((await failing(vault.getApproleRole({ role_name })))[0]).toBe(404);
  });

  test('approle: a wrapped secret id is opened once', async () => {
    await vault.addApproleRole({ role_name: 'wrapped', policies: 'reader' });
    const { role_id } = (await vault.getApproleRoleId({ role_name: 'wrapped' })).data;
    const sealed = await vault.write(
      'auth/approle/role/wrapped/secret-id',
      {},
      { headers: { 'X-Vault-Wrap-TTL': '60s' } },
    );
    expect(sealed.data).toBeNull();
    const { secret_id } = (await client(sealed.wrap_info.token).unwrap()).data;
    expect((await client().approleLogin({ role_id, secret_id })).auth.policies).toEqual([
      'default',
      'reader',
    ]);
  });

  test('userpass: users and the login', async () => {
    await vault.enableAuth({ mount_point: 'userpass', type: 'userpass' });
    await vault.write('auth/userpass/users/bob', { password: 'right', policies: 'reader' });
    expect((await vault.list('auth/userpass/users')).data.keys).toEqual(['bob']);
    const bob = client();
    const { auth } = await bob.userpassLogin({ username: 'Bob', password: 'right' });
    expect(auth).toMatchObject({ policies: ['default', 'reader'], metadata: { username: 'bob' } });
    expect((await bob.read('secret/data/app')).data.data).toEqual({ a: '1' });
    for (const username of ['bob', 'nobody'])
      expect(await failing(client().userpassLogin({ username, password: 'wrong' }))).toEqual([
        400,
        'invalid username or password',
      ]);
  });

  test('token roles: written, listed, read, used and removed', async () => {
    const role_name = 'job';
    await vault.addTokenRole({ role_name, allowed_policies: 'reader', orphan: true, path_suffix: 'night' });
    expect((await vault.tokenRoles()).data.keys).toEqual(['job']);
    expect((await vault.getTokenRole({ role_name })).data).toMatchObject({
      allowed_policies: ['reader'],
      orphan: true,
    });
    const job = client(server.token);
    const { auth } = await job.tokenCreateRole({ role_name });
    expect(auth).toMatchObject({ policies: ['default', 'reader'], orphan: true });
    const own = (await client(auth.client_token).tokenLookupSelf()).data;
    expect(own).toMatchObject({ role: 'job', path: 'auth/token/create/job/night' });
    await vault.removeTokenRole({ role_name });
    expect((await failing(vault.getTokenRole({ role_name })))[0]).toBe(404);
  });

  test('tokens: orphans outlive their maker, accessors renew and revoke, batch tokens only work', async () => {
    const maker = client(
      (await client(server.token).tokenCreate({ ttl: '1h', policies: ['reader'] })).auth.client_token,
    );
    const orphan = (await client(server.token).tokenCreateOrphan({ ttl: '1h', policies: ['reader'] })).auth;
    const child = (await client(maker.token).tokenCreate({ ttl: '30m' })).auth;
    await vault.tokenRevoke({ token: maker.token });
    expect((await failing(client(child.client_token).tokenLookupSelf()))[0]).toBe(403);
    expect((await client(orphan.client_token).tokenLookupSelf()).data).toMatchObject({ orphan: true });
    await vault.tokenRevokeAccessor({ accessor: orphan.accessor });
    expect((await failing(client(orphan.client_token).tokenLookupSelf()))[0]).toBe(403);

    // Its own tokenCreate drops the member "type".
    const batch = (await vault.write('auth/token/create', { type: 'batch', policies: ['reader'], ttl: '1h' }))
      .auth;
    expect(batch).toMatchObject({ token_type: 'batch', accessor: '', renewable: false });
    const worker = client(batch.client_token);
    expect((await worker.read('secret/data/app')).data.data).toEqual({ a: '1' });
    expect(await failing(worker.tokenRenewSelf())).toEqual([400, 'batch tokens cannot be renewed']);
  });

  test('tokens: looked up, renewed, revoked by themselves, and without their children', async () => {
    const parent = (await client(server.token).tokenCreate({ ttl: '1h', policies: ['reader'] })).auth;
    const child = (await client(parent.client_token).tokenCreate({ ttl: '30m' })).auth;
    expect((await vault.tokenLookup({ token: child.client_token })).data).toMatchObject({
      accessor: child.accessor,
      orphan: false,
    });
    const renewed = await client(server.token).tokenRenew({ token: child.client_token, increment: '45m' });
    expect(renewed.auth).toMatchObject({ client_token: child.client_token, lease_duration: 2700 });
    await vault.tokenRevokeOrphan({ token: parent.client_token });
    expect((await failing(client(parent.client_token).tokenLookupSelf()))[0]).toBe(403);
    expect((await client(child.client_token).tokenLookupSelf()).data).toMatchObject({ orphan: true });
    await client(child.client_token).tokenRevokeSelf();
    expect((await failing(client(child.client_token).tokenLookupSelf()))[0]).toBe(403);
  });
}
