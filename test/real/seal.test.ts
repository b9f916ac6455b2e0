/**
 * Auto-unseal with programs: `holdfast server` as a child process, killed and started again, with its key in a transit engine
 * of another `holdfast server`, and of a `bao` or `vault` where one is on the PATH.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../support/ports.ts';

const HOLDFAST = fileURLToPath(new URL('../../holdfast', import.meta.url));
const binary = ['bao', 'vault'].find((name) =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, name))),
);
if (binary === undefined)
  console.warn('SKIPPED test/real/seal, the part of the peer: neither `bao` nor `vault` is on the PATH');

let folder: string;
const running = new Set<ChildProcess>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-seal-'));
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  await rm(folder, { recursive: true, force: true });
});

interface Program {
  readonly url: string;
  output(): string;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

function run(
  url: string,
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Program {
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
    url,
    output: () => text,
    kill(signal = 'SIGKILL') {
      child.kill(signal);
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
const serving = (url: string) =>
  until(async () => expect((await ask(url, 'GET', 'sys/health')).status).toBe(200));

/** A `holdfast server` on a port of its own, with a folder by its name. */
async function holdfast(
  name: string,
  port: number,
  seal = '',
  env: Record<string, string> = {},
): Promise<Program> {
  const file = join(folder, `${name}.hcl`);
  const listener = `listener "tcp" {\n address = "127.0.0.1:${port}"\n tls_disable = true\n}\n`;
  await writeFile(file, `storage "lmdb" { path = "${folder}/${name}" }\n${listener}${seal}`);
  return run(`http://127.0.0.1:${port}`, HOLDFAST, ['server', `-config=${file}`], env);
}

const transit = (url: string, more = ''): string =>
  `seal "transit" {\n address = "${url}"\n key_name = "unseal"\n mount_path = "transit/"\n${more}}\n`;

/** Mounts the engine, makes the key, and gives a token that may use it and renew itself. */
async function keyIn(url: string, root: string): Promise<string> {
  await ask(url, 'POST', 'sys/mounts/transit', { type: 'transit' }, root);
  await ask(url, 'POST', 'transit/keys/unseal', {}, root);
  const policy = ['encrypt', 'decrypt']
    .map((what) => `path "transit/${what}/unseal" { capabilities = ["update"] }`)
    .join('\n');
  await ask(url, 'PUT', 'sys/policies/acl/unseal', { policy }, root);
  const made = await ask(
    url,
    'POST',
    'auth/token/create-orphan',
    { policies: ['unseal'], period: '3s' },
    root,
  );
  return made.json.auth.client_token;
}

/** All that a server with its key at `url` has to stand: init, kill -9, a rotated key, a token that lives for three seconds. */
async function lifeWith(url: string, root: string): Promise<void> {
  const port = await freePort();
  const env = { VAULT_TRANSIT_SEAL_TOKEN: await keyIn(url, root) };
  let own = await holdfast('own', port, transit(url), env);
  expect(await answering(own.url)).toMatchObject({ type: 'transit', recovery_seal: true, sealed: true });
  const made = await ask(own.url, 'PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 });
  expect(made.status).toBe(200);
  const token = made.json.root_token;
  await ask(own.url, 'POST', 'sys/mounts/secret', { type: 'kv' }, token);
  expect((await ask(own.url, 'POST', 'secret/a', { x: 'kept' }, token)).status).toBe(204);
  // Longer than the token of the seal lives without renewal.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  await own.kill();
  const from = performance.now();
  own = await holdfast('own', port, transit(url), env);
  await serving(own.url);
  console.info(
    `kill -9 to serving: ${Math.round(performance.now() - from)} ms, with the start of the program`,
  );
  expect((await ask(own.url, 'GET', 'secret/a', undefined, token)).json.data.x).toBe('kept');

  await ask(url, 'POST', 'transit/keys/unseal/rotate', {}, root);
  await own.kill();
  own = await holdfast('own', port, transit(url), env);
  await until(async () => expect(own.output()).toContain('wrapped by the newest key of the seal'));
  await ask(url, 'POST', 'transit/keys/unseal/config', { min_decryption_version: 2 }, root);
  await own.kill('SIGTERM');
  own = await holdfast('own', port, transit(url), env);
  await serving(own.url);
  expect((await ask(own.url, 'GET', 'secret/a', undefined, token)).json.data.x).toBe('kept');

  await own.kill();
  own = await holdfast('own', port, transit(url, ' disabled = "true"\n'), env);
  expect(await answering(own.url)).toMatchObject({ type: 'shamir', migration: true });
  const key = made.json.recovery_keys_base64[0];
  expect((await ask(own.url, 'PUT', 'sys/unseal', { key, migrate: true })).json.sealed).toBe(false);
  await own.kill();
  own = await holdfast('own', port);
  await answering(own.url);
  expect((await ask(own.url, 'PUT', 'sys/unseal', { key })).json.sealed).toBe(false);
  expect((await ask(own.url, 'GET', 'secret/a', undefined, token)).json.data.x).toBe('kept');
  for (const secret of [env.VAULT_TRANSIT_SEAL_TOKEN, token, key]) expect(own.output()).not.toContain(secret);
}

describe('a server that opens by itself', () => {
  test('with its key in another server of this program', async () => {
    const keeper = await holdfast('keeper', await freePort());
    await answering(keeper.url);
    const made = await ask(keeper.url, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
    await ask(keeper.url, 'PUT', 'sys/unseal', { key: made.json.keys_base64[0] });
    await lifeWith(keeper.url, made.json.root_token);
  });

  test.skipIf(binary === undefined)(`with its key in a server of ${binary ?? 'a peer'}`, async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const args = [
      'server',
      '-dev',
      '-dev-root-token-id=root',
      '-dev-no-store-token',
      `-dev-listen-address=127.0.0.1:${port}`,
    ];
    run(url, binary ?? '', args);
    await serving(url);
    await lifeWith(url, 'root');
  });
});
