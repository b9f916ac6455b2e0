/**
 * Auto-unseal by every kind of seal with programs: `holdfast server` as a child process, killed and started again. AWS is moto,
 * which is not ours; Google Cloud KMS and Azure Key Vault are doubles of ours (no emulator of theirs installs from the
 * registries that the developers have), Kubernetes is the API of this program.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KMS } from '@aws-sdk/client-kms';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startApiServer } from '../../src/apiserver/server.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';
import { azureDouble } from '../support/kms/azure.ts';
import { type Double, type Served, serveDouble } from '../support/kms/double.ts';
import { googleDouble } from '../support/kms/google.ts';
import { freePort } from '../support/ports.ts';

const HOLDFAST = fileURLToPath(new URL('../../holdfast', import.meta.url));
const named = process.env['HOLDFAST_MOTO'];
const folders = (process.env['PATH'] ?? '').split(delimiter).filter((one) => one !== '');
const moto = [
  ...(named === undefined ? [] : [named]),
  ...[...folders, join(tmpdir(), 'holdfast-moto', 'bin')].map((one) => join(one, 'moto_server')),
].find((path) => existsSync(path));
if (moto === undefined)
  console.warn(
    'SKIPPED test/real/seal-kinds, awskms: no moto_server on the PATH, and HOLDFAST_MOTO names none',
  );

let folder: string;
const running = new Set<ChildProcess>();
const ending: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-seal-kinds-'));
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  for (const end of ending.splice(0)) await end();
  await rm(folder, { recursive: true, force: true });
});

function run(command: string, args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: folder, ...env },
  });
  running.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    output: () => text,
    kill() {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

async function ask(url: string, method: string, path: string, body?: object, token = '') {
  const answer = await fetch(`${url}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
}

const until = <T>(look: () => Promise<T>): Promise<T> => vi.waitFor(look, { timeout: 60_000, interval: 10 });
const answering = (url: string) => until(async () => (await ask(url, 'GET', 'sys/seal-status')).json);

interface Kind {
  readonly stanza: string;
  readonly env?: Record<string, string>;
  /** The service, away and back. */
  readonly double?: Double;
  readonly secrets: readonly string[];
  readonly warns?: boolean;
}

/** All that a server with such a seal has to stand: init, kill -9, a service that is away, and the way back to shares. */
async function lifeWith(
  type: string,
  { stanza, env = {}, double, secrets, warns = false }: Kind,
): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const start = async (seal: string) => {
    const file = join(folder, 'own.hcl');
    const listener = `listener "tcp" {\n address = "127.0.0.1:${port}"\n tls_disable = true\n}\n`;
    await writeFile(file, `storage "lmdb" { path = "${folder}/own" }\n${listener}${seal}`);
    return run(HOLDFAST, ['server', `-config=${file}`], env);
  };
  const seal = (more = '') => `seal "${type}" {\n${stanza}\n${more}}\n`;
  let own = await start(seal());
  const fresh = await answering(url);
  expect(fresh).toMatchObject({ type, recovery_seal: true, sealed: true, initialized: false });
  expect(fresh.warnings !== undefined).toBe(warns);
  const made = await ask(url, 'PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 });
  expect(made.status, JSON.stringify(made.json)).toBe(200);
  const token = made.json.root_token;
  await ask(url, 'POST', 'sys/mounts/secret', { type: 'kv' }, token);
  expect((await ask(url, 'POST', 'secret/a', { x: 'kept' }, token)).status).toBe(204);

  await own.kill();
  const from = performance.now();
  own = await start(seal());
  await until(async () => expect((await ask(url, 'GET', 'sys/health')).status).toBe(200));
  const took = Math.round(performance.now() - from);
  console.info(`seal "${type}": kill -9 to serving in ${took} ms, with the start of the program`);
  expect((await ask(url, 'GET', 'secret/a', undefined, token)).json.data.x).toBe('kept');

  if (double !== undefined) {
    await own.kill();
    double.fault = 'overloaded';
    own = await start(seal());
    await until(async () =>
      expect((await ask(url, 'GET', 'sys/seal-status')).json.warnings?.[0]).toContain('does not answer'),
    );
    double.fault = 'none';
    await until(async () => expect((await ask(url, 'GET', 'sys/health')).status).toBe(200));
  }

  await own.kill();
  own = await start(seal('disabled = "true"\n'));
  expect(await answering(url)).toMatchObject({ type: 'shamir', migration: true });
  const key = made.json.recovery_keys_base64[0];
  expect((await ask(url, 'PUT', 'sys/unseal', { key, migrate: true })).json.sealed).toBe(false);
  await own.kill();
  own = await start('');
  await answering(url);
  expect((await ask(url, 'PUT', 'sys/unseal', { key })).json.sealed).toBe(false);
  expect((await ask(url, 'GET', 'secret/a', undefined, token)).json.data.x).toBe('kept');
  for (const secret of [...secrets, token, key]) expect(own.output()).not.toContain(secret);
}

const served = async (double: Double, tls?: { cert: string; key: string }, port = 0): Promise<Served> => {
  const server = await serveDouble(double, tls, port);
  ending.push(server.close);
  return server;
};

describe('a server that opens by itself', () => {
  test.skipIf(moto === undefined)('with its key in AWS KMS, by moto', async () => {
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    run(moto ?? '', ['-H', '127.0.0.1', '-p', String(port)]);
    await until(async () => expect((await fetch(`${endpoint}/moto-api/`)).status).toBe(200));
    const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'canary-aws-secret' };
    const kms = new KMS({ endpoint, region: 'eu-central-1', credentials });
    const { KeyMetadata } = await kms.createKey({});
    await lifeWith('awskms', {
      stanza: `region = "eu-central-1"\n kms_key_id = "${KeyMetadata?.KeyId}"\n endpoint = "${endpoint}"`,
      env: {
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      },
      secrets: [credentials.secretAccessKey],
    });
    // A key that is disabled, and one that waits for its deletion, as moto tells them.
    await kms.disableKey({ KeyId: KeyMetadata?.KeyId });
  });

  test('with its key in Google Cloud KMS, by a double', async () => {
    const double = googleDouble();
    const { port } = await served(double);
    const credentials = join(folder, 'credentials.json');
    await writeFile(credentials, double.credentials);
    await lifeWith('gcpckms', {
      stanza: `credentials = "${credentials}"\n project = "${double.project}"\n region = "europe-west3"\n key_ring = "${double.keyRing}"\n crypto_key = "${double.cryptoKey}"\n endpoint = "http://127.0.0.1:${port}"`,
      double,
      secrets: ['BEGIN PRIVATE KEY'],
    });
  });

  test('with its key in Azure Key Vault, by a double with TLS and the challenge for a token', async () => {
    const port = await freePort();
    const authority = await createAuthority('holdfast test');
    const names = ['unseal.vault.localhost', 'login.localhost'];
    const { certificate: cert, key } = await issueCertificate(authority, { names, ips: [] });
    await writeFile(join(folder, 'ca.pem'), authority.certificate);
    const double = azureDouble(`https://unseal.vault.localhost:${port}`, `https://login.localhost:${port}`);
    await served(double, { cert, key }, port);
    await lifeWith('azurekeyvault', {
      stanza: `tenant_id = "${double.tenant}"\n client_id = "${double.client}"\n vault_name = "unseal"\n key_name = "${double.keyName}"\n resource = "vault.localhost:${port}"`,
      env: {
        AZURE_CLIENT_SECRET: double.secret,
        AZURE_AUTHORITY_HOST: `https://login.localhost:${port}`,
        NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
      },
      double,
      secrets: [double.secret],
    });
  });

  test('with its key in a Secret of Kubernetes', async () => {
    const api = await startApiServer({
      backend: new MemoryBackend(),
      host: '127.0.0.1',
      port: 0,
      clock: systemClock,
      log: silentLog,
    });
    ending.push(() => api.close());
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, api.kubeconfig());
    await lifeWith('kubernetes', {
      stanza: `namespace = "default"\n name = "unseal"\n kubeconfig = "${kubeconfig}"\n demo = "true"`,
      secrets: [api.adminToken],
      warns: true,
    });
  });

  test.each([
    ['a key', Buffer.alloc(32, 7).toString('base64')],
    ['a passphrase', 'correct horse battery staple'],
  ])('with %s in a file', async (_what, content) => {
    const path = join(folder, 'seal.key');
    await writeFile(path, `${content}\n`);
    await chmod(path, 0o600);
    await lifeWith('file', { stanza: `path = "${path}"`, secrets: [content], warns: true });
  });
});
