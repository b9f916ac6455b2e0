/**
 * Clients that know nothing of this code, against the transit engine: node-vault from npm, and hvac from PyPI with the `cryptography`
 * package as the other end of each cipher, where HOLDFAST_PYTHON names a Python that has both.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import nodeVault from 'node-vault';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startServer, type TestServer } from './server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server?.close());

const b64 = (text: string): string => Buffer.from(text).toString('base64');

test('node-vault makes, lists, uses and deletes keys, and is told of a batch that failed in part', async () => {
  const vault = nodeVault({ endpoint: server.url, token: server.token });
  await vault.mount({ mount_point: 'transit', type: 'transit' });
  await vault.transitCreateKey({ name: 'app', type: 'aes256-gcm96' });
  expect((await vault.transitReadKey({ name: 'app' })).data).toMatchObject({
    name: 'app',
    latest_version: 1,
  });
  expect((await vault.transitListKeys()).data.keys).toEqual(['app']);
  const { data } = await vault.encryptData({ name: 'app', plaintext: b64('text') });
  await vault.write('transit/keys/app/rotate', {});
  const { data: newer } = await vault.rewrapData({ name: 'app', ciphertext: data.ciphertext });
  expect(newer).toMatchObject({ ciphertext: expect.stringMatching(/^vault:v2:/), key_version: 2 });
  expect((await vault.decryptData({ name: 'app', ciphertext: newer.ciphertext })).data.plaintext).toBe(
    b64('text'),
  );

  const batch_input = [{ ciphertext: data.ciphertext }, { ciphertext: 'nonsense' }];
  const response = await fetch(`${server.url}/v1/transit/decrypt/app`, {
    method: 'POST',
    headers: { 'x-vault-token': server.token },
    body: JSON.stringify({ batch_input }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    auth: null,
    data: { batch_results: [{ plaintext: b64('text') }, { error: 'invalid ciphertext: no prefix' }] },
  });
  const lenient = { batch_input, partial_failure_response_code: 200 };
  expect((await vault.write('transit/decrypt/app', lenient)).data.batch_results).toHaveLength(2);

  await expect(vault.transitDeleteKey({ name: 'app' })).rejects.toThrow(
    'deletion is not allowed for this key',
  );
  await vault.write('transit/keys/app/config', { deletion_allowed: true });
  await vault.transitDeleteKey({ name: 'app' });
  await expect(vault.transitListKeys()).rejects.toMatchObject({ response: { statusCode: 404 } });
});

test('policy tells encrypting under a key from making one by it', async () => {
  const vault = nodeVault({ endpoint: server.url, token: server.token });
  await vault.mount({ mount_point: 'transit', type: 'transit' });
  await vault.addPolicy({ name: 'use', rules: 'path "transit/encrypt/*" { capabilities = ["update"] }' });
  const { auth } = await nodeVault({ endpoint: server.url, token: server.token }).tokenCreate({
    policies: ['use'],
  });
  const user = nodeVault({ endpoint: server.url, token: auth.client_token });
  await expect(user.write('transit/encrypt/app', { plaintext: '' })).rejects.toThrow('permission denied');
  await vault.write('transit/keys/app', {});
  expect((await user.write('transit/encrypt/app', { plaintext: '' })).data.key_version).toBe(1);
});

test('a mount whose fields are null is mounted as if they had been left out', async () => {
  const call = (method: string, path: string, body?: object) =>
    fetch(`${server.url}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': server.token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const nulls = { plugin_name: null, description: null, options: null, config: { max_lease_ttl: null } };
  expect((await call('POST', 'sys/mounts/transit', { type: 'transit', ...nulls })).status).toBe(204);
  expect((await call('POST', 'transit/keys/app')).status).toBe(200);
});

const python = process.env['HOLDFAST_PYTHON'];
test.skipIf(python === undefined)(
  'hvac does all it can do with transit (skipped where HOLDFAST_PYTHON names no Python that has it)',
  async () => {
    const script = fileURLToPath(new URL('./transit.py', import.meta.url));
    const { stdout } = await promisify(execFile)(python ?? '', [script, server.url, server.token]);
    expect(stdout.trim().split('\n').length).toBe(28);
    expect(stdout).toMatch(/ok delete_key\n$/);
  },
  60_000,
);
