/** node-vault's commands for engines beyond the plain secrets: transit, databases and their leases, versions destroyed. */

import type nodeVault from 'node-vault';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgreeableRedis, startAgreeableRedis } from '../../support/redis.ts';
import { startServer, type TestServer } from '../server.ts';
import { command, type MakeClient } from './client.ts';

export function enginesSuite(connect: MakeClient): void {
  let server: TestServer;
  let redis: AgreeableRedis;
  let vault: nodeVault.client;

  beforeAll(async () => {
    redis = await startAgreeableRedis();
    server = await startServer({ locate: async (_host, port) => ({ ip: '127.0.0.1', port }) });
    vault = connect(server);
  });
  afterAll(async () => {
    await server?.close();
    await redis?.close();
  });

  test('transit: keys are made, read, listed and deleted, and texts go there and back', async () => {
    await vault.mount({ mount_point: 'transit', type: 'transit' });
    await command(vault, 'transitCreateKey', { name: 'app', type: 'aes256-gcm96' });
    expect((await command(vault, 'transitReadKey', { name: 'app' })).data).toMatchObject({
      name: 'app',
      type: 'aes256-gcm96',
      latest_version: 1,
      deletion_allowed: false,
    });
    expect((await command(vault, 'transitListKeys')).data.keys).toEqual(['app']);
    const plaintext = Buffer.from('a text').toString('base64');
    const { ciphertext } = (await command(vault, 'encryptData', { name: 'app', plaintext })).data;
    expect(ciphertext).toMatch(/^vault:v1:/);
    expect((await command(vault, 'decryptData', { name: 'app', ciphertext })).data).toEqual({ plaintext });
    await vault.write('transit/keys/app/rotate', {});
    const rewrapped = (await command(vault, 'rewrapData', { name: 'app', ciphertext })).data.ciphertext;
    expect(rewrapped).toMatch(/^vault:v2:/);
    expect((await command(vault, 'decryptData', { name: 'app', ciphertext: rewrapped })).data).toEqual({
      plaintext,
    });
    await expect(command(vault, 'transitDeleteKey', { name: 'app' })).rejects.toThrow(
      'deletion is not allowed',
    );
    await vault.write('transit/keys/app/config', { deletion_allowed: true });
    await command(vault, 'transitDeleteKey', { name: 'app' });
    await expect(command(vault, 'transitReadKey', { name: 'app' })).rejects.toThrow('404');
  });

  test('database: credentials are made, their lease is renewed and revoked, and the account goes with it', async () => {
    await vault.mount({ mount_point: 'database', type: 'database' });
    await vault.write('database/config/cache', {
      plugin_name: 'redis-database-plugin',
      host: 'cache.example',
      port: redis.port,
      username: 'keeper',
      password: 'pass',
      allowed_roles: '*',
    });
    await vault.write('database/roles/app', {
      db_name: 'cache',
      creation_statements: '["~app:*", "+@read"]',
      default_ttl: '1h',
      max_ttl: '24h',
    });
    const made = await command(vault, 'generateDatabaseCredentials', {
      databasePath: 'database',
      name: 'app',
    });
    expect(made).toMatchObject({ renewable: true, lease_duration: 3600 });
    const account = () => redis.heard.filter((words) => words.includes(made.data.username));
    expect(account().at(-1)).toEqual(expect.arrayContaining(['ACL', 'SETUSER', '~app:*', '+@read']));
    const renewed = await command(vault, 'renew', { lease_id: made.lease_id, increment: 7200 });
    expect(renewed).toMatchObject({ lease_id: made.lease_id, lease_duration: 7200 });
    await command(vault, 'revoke', { lease_id: made.lease_id });
    expect(account().at(-1)).toEqual(['ACL', 'DELUSER', made.data.username]);
    await command(vault, 'generateDatabaseCredentials', { databasePath: 'database', name: 'app' });
    await command(vault, 'revokePrefix', { path_prefix: 'database/creds/app' });
    await expect(vault.list('sys/leases/lookup/database/creds/app')).rejects.toThrow('404');
  });

  test('kv: versions are destroyed for good', async () => {
    await vault.mount({ mount_point: 'secret', type: 'kv', options: { version: '2' } });
    await vault.write('secret/data/app', { data: { a: 1 } });
    await vault.write('secret/data/app', { data: { a: 2 } });
    await command(vault, 'destroySecretVersions', { path: 'app', versions: [1] });
    const { versions } = (await vault.read('secret/metadata/app')).data;
    expect([versions[1].destroyed, versions[2].destroyed]).toEqual([true, false]);
  });
}
