/** node-vault's sys commands: keys, shares, leases, mounts that move. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type nodeVault from 'node-vault';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startServer, startUninitialized, type TestServer } from '../server.ts';
import { command as commandOf, type MakeClient } from './client.ts';

export function sysSuite(connect: MakeClient): void {
  let server: TestServer;
  let vault: nodeVault.client;

  beforeEach(async () => {
    server = await startServer();
    vault = connect(server);
  });
  afterEach(() => server?.close());

  const command = (name: string, options: object = {}) => commandOf(vault, name, options);

  const decoded = (encoded: string, otp: string): string =>
    Buffer.from(encoded, 'base64')
      .map((byte, at) => byte ^ (Buffer.from(otp)[at] ?? 0))
      .toString();

  test('a root token is made from the key shares under a pad, and is root', async () => {
    const begun = await command('generateRootInit');
    expect(begun).toMatchObject({ started: true, progress: 0, required: 1, complete: false, otp_length: 28 });
    expect(begun.otp).toHaveLength(28);
    const key = Buffer.from(server.keys[0] ?? []).toString('hex');
    const done = await command('generateRootUpdate', { key, nonce: begun.nonce });
    expect(done).toMatchObject({ complete: true, progress: 1 });
    expect(done.encoded_root_token).toBe(done.encoded_token);
    const root = connect(server, decoded(done.encoded_token, begun.otp));
    expect((await root.tokenLookupSelf()).data.policies).toEqual(['root']);
  });

  test('the making of a root token is given up, and begins anew', async () => {
    await command('generateRootInit');
    await expect(command('generateRootInit')).rejects.toThrow('root generation already in progress');
    await command('generateRootCancel');
    expect(await command('generateRootInit')).toMatchObject({ started: true, progress: 0 });
  });

  test('rotate puts a new key in front, and what was written stays readable', async () => {
    await vault.mount({ mount_point: 'plain', type: 'kv', options: { version: '1' } });
    await vault.write('plain/a', { b: 'c' });
    expect(await vault.read('sys/key-status')).toMatchObject({ term: 1, data: { term: 1 } });
    await command('rotate');
    expect((await vault.read('sys/key-status')).data.term).toBe(2);
    expect((await vault.read('plain/a')).data).toEqual({ b: 'c' });
  });

  test('a mount moves with its data', async () => {
    await vault.mount({ mount_point: 'old', type: 'kv', options: { version: '2' } });
    await vault.write('old/data/a', { data: { b: 'c' } });
    const { migration_id } = await command('remount', { from: 'old', to: 'new/place' });
    const status = await vault.read(`sys/remount/status/${migration_id}`);
    expect(status.data.migration_info).toEqual({
      source_mount: 'old/',
      target_mount: 'new/place/',
      status: 'success',
    });
    expect((await vault.read('new/place/data/a')).data.data).toEqual({ b: 'c' });
    await expect(vault.read('old/data/a')).rejects.toThrow();
  });

  test('leases that are not there are revoked in peace, and not renewed', async () => {
    await command('revoke', { lease_id: 'database/creds/x/abc' });
    await command('revokePrefix', { path_prefix: 'database/creds' });
    await expect(command('renew', { lease_id: 'database/creds/x/abc' })).rejects.toThrow('lease not found');
  });

  test('the key shares are replaced, and only the new ones unseal', async () => {
    const begun = await vault.write('sys/rekey/init', { secret_shares: 3, secret_threshold: 2 });
    const key = Buffer.from(server.keys[0] ?? []).toString('hex');
    const done = await vault.write('sys/rekey/update', { key, nonce: begun.nonce });
    expect(done).toMatchObject({ complete: true });
    expect(done.keys).toHaveLength(3);
    await vault.seal();
    await expect(vault.unseal({ key })).rejects.toThrow();
    await vault.unseal({ key: done.keys[2] });
    expect(await vault.unseal({ key: done.keys_base64[0] })).toMatchObject({ sealed: false, t: 2, n: 3 });
  });

  test('one node steps down for nobody, and goes on', async () => {
    await command('stepDown');
    expect(await vault.health()).toMatchObject({ sealed: false });
  });

  test('an uninitialized server is initialized and unsealed, and its root token is root', async () => {
    const bare = await startUninitialized();
    try {
      const stranger = connect({ ...server, url: bare.url }, '');
      expect(await stranger.initialized()).toEqual({ initialized: false });
      const made = await stranger.init({ secret_shares: 2, secret_threshold: 2 });
      expect(made.keys).toHaveLength(2);
      await expect(stranger.init({ secret_shares: 1, secret_threshold: 1 })).rejects.toThrow(
        'Vault is already initialized',
      );
      expect(await stranger.unseal({ key: made.keys[0] })).toMatchObject({ sealed: true, progress: 1 });
      expect(await stranger.unseal({ key: made.keys_base64[1] })).toMatchObject({ sealed: false });
      const root = connect({ ...server, url: bare.url }, made.root_token);
      expect((await root.tokenLookupSelf()).data.policies).toEqual(['root']);
    } finally {
      await bare.close();
    }
  });

  test('an audit device is enabled, listed, written to and disabled', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-node-vault-'));
    const file_path = join(folder, 'audit.log');
    try {
      await vault.enableAudit({
        name: 'trail',
        type: 'file',
        options: { file_path },
        description: 'all of it',
      });
      expect((await vault.audits())['trail/']).toMatchObject({
        type: 'file',
        description: 'all of it',
        options: { file_path },
      });
      await vault.mounts();
      expect(await readFile(file_path, 'utf8')).toContain('"path":"sys/mounts"');
      await vault.disableAudit({ name: 'trail' });
      expect((await vault.audits())['trail/']).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('the leader is told, and auth methods are listed', async () => {
    expect(await command('leader')).toMatchObject({ ha_enabled: false, is_self: false, leader_address: '' });
    expect((await vault.auths())['token/']).toMatchObject({ type: 'token' });
  });
}
