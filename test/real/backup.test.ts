/**
 * Backups with programs: the built server, its schedule and its bucket in moto, an AWS that is not ours; the data folder deleted,
 * and all of it restored by the command line alone.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Bundle, freshBundle } from '../support/bundle.ts';
import { freePort } from '../support/ports.ts';

/** HOLDFAST_MOTO, the PATH, or where test/real/aws installs it. */
function findMoto(): string | undefined {
  const named = process.env['HOLDFAST_MOTO'];
  if (named !== undefined) return existsSync(named) ? named : undefined;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(tmpdir(), 'holdfast-moto', 'bin')];
  return folders.map((folder) => join(folder, 'moto_server')).find((path) => existsSync(path));
}

const moto = findMoto();
if (moto === undefined)
  console.warn('SKIPPED test/real/backup: no moto_server on the PATH, and HOLDFAST_MOTO names none');

describe.skipIf(moto === undefined)('backups of a server in a bucket', () => {
  let bundle: Bundle;
  let folder: string;
  let child: ChildProcess;
  let server: ChildProcess | undefined;
  let s3: S3Client;
  let url: string;
  let config: string;
  let keys: string[];
  let token: string;

  const cli = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [bundle.file, ...args], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: folder, VAULT_ADDR: url, VAULT_TOKEN: token },
    });
    return { status, text: stdout + stderr };
  };
  const start = async (): Promise<void> => {
    server = spawn(process.execPath, [bundle.file, 'server', `-config=${config}`], {
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], HOME: folder },
    });
    await vi.waitFor(async () => expect((await fetch(`${url}/v1/sys/seal-status`)).status).toBe(200), {
      timeout: 30_000,
      interval: 50,
    });
  };
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server?.once('close', () => resolve());
      server?.kill('SIGTERM');
    });
  const unseal = (): void => {
    for (const key of keys.slice(0, 2)) expect(cli('operator', 'unseal', key).status).toBe(0);
  };
  const objects = async (): Promise<string[]> => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'vault-backups' }));
    return Contents.map(({ Key = '' }) => Key);
  };

  beforeAll(async () => {
    bundle = await freshBundle('backup');
    folder = await mkdtemp(join(tmpdir(), 'holdfast-backup-'));
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    child = spawn(moto ?? '', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
    s3 = new S3Client({
      endpoint,
      region: 'eu-central-1',
      forcePathStyle: true,
      credentials,
      maxAttempts: 1,
    });
    await vi.waitFor(async () => expect((await fetch(endpoint)).status).toBeLessThan(600), {
      timeout: 60_000,
      interval: 100,
    });
    await s3.send(
      new CreateBucketCommand({
        Bucket: 'vault-backups',
        CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
      }),
    );
    const own = await freePort();
    url = `http://127.0.0.1:${own}`;
    config = join(folder, 'server.hcl');
    await writeFile(
      config,
      `storage "lmdb" { path = "${folder}/data" }
listener "tcp" {
  address = "127.0.0.1:${own}"
  tls_disable = true
}
backup "nightly" {
  schedule = "* * * * *"
  s3 {
    bucket = "vault-backups"
    prefix = "snapshots/"
    region = "eu-central-1"
    endpoint = "${endpoint}"
    access_key = "AKIDEXAMPLE"
    secret_key = "secret"
  }
}
`,
    );
    await start();
    const init = cli('operator', 'init', '-key-shares=3', '-key-threshold=2', '-format=json');
    const made = JSON.parse(init.text) as { unseal_keys_b64: string[]; root_token: string };
    keys = made.unseal_keys_b64;
    token = made.root_token;
    unseal();
    expect(cli('secrets', 'enable', '-path=secret', '-version=2', 'kv').status).toBe(0);
    expect(cli('kv', 'put', 'secret/app', 'v=kept').status).toBe(0);
    // More than a part of an upload.
    const large = await fetch(`${url}/v1/sys/mounts/big`, {
      method: 'POST',
      headers: { 'x-vault-token': token },
      body: JSON.stringify({ type: 'kv' }),
    });
    expect(large.status).toBe(204);
    for (let at = 0; at < 40; at++)
      await fetch(`${url}/v1/big/${at}`, {
        method: 'POST',
        headers: { 'x-vault-token': token },
        body: JSON.stringify({ v: 'x'.repeat(600_000) }),
      });
  });
  afterAll(async () => {
    server?.kill('SIGKILL');
    child?.kill();
    s3?.destroy();
    await bundle?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  test('its schedule makes one by itself, in parts, and verifies it', async () => {
    await vi.waitFor(async () => expect((await objects()).length).toBeGreaterThanOrEqual(2), {
      timeout: 60_000,
      interval: 500,
    });
    await vi.waitFor(() => expect(cli('backup', 'list').text).toContain(' verified'), { timeout: 30_000 });
    expect((await objects()).every((key) => key.startsWith('snapshots/nightly-'))).toBe(true);
  });

  test('everything is lost, and comes back from the bucket by the command line alone', async () => {
    expect(cli('backup', 'create').status).toBe(0);
    await stop();
    await rm(join(folder, 'data'), { recursive: true });
    const refused = cli('backup', 'restore', `-config=${config}`, '-yes', `-key=${keys[0]}`);
    expect(refused).toMatchObject({ status: 1, text: expect.stringContaining('do not open the backup') });
    expect(existsSync(join(folder, 'data', 'store.mdb'))).toBe(false);
    const plan = cli('backup', 'restore', `-config=${config}`);
    expect(plan).toMatchObject({ status: 1, text: expect.stringContaining('Would restore') });
    const given = keys.slice(1).map((key) => `-key=${key}`);
    const done = cli('backup', 'restore', `-config=${config}`, '-yes', ...given);
    expect(done).toMatchObject({ status: 0, text: expect.stringContaining('Restored') });
    expect(cli('storage', 'verify', `-config=${config}`, ...given)).toMatchObject({
      status: 0,
      text: expect.stringContaining('The store is whole.'),
    });
    await start();
    unseal();
    expect(cli('kv', 'get', '-field=v', 'secret/app').text.trim()).toBe('kept');
  });

  test('an object with one bit flipped is not restored, and what was there stays', async () => {
    await cli('backup', 'create');
    const name =
      (await objects())
        .filter((key) => key.endsWith('.hfbackup'))
        .sort()
        .at(-1) ?? '';
    const found = await fetch(
      `${(await s3.config.endpoint?.())?.protocol}//127.0.0.1:${(await s3.config.endpoint?.())?.port}/vault-backups/${name}`,
    );
    const bytes = Buffer.from(await found.arrayBuffer());
    expect(bytes.length).toBeGreaterThan(16 * 1024 * 1024);
    bytes[bytes.length - 5000] = (bytes[bytes.length - 5000] ?? 0) ^ 1;
    await s3.send(new PutObjectCommand({ Bucket: 'vault-backups', Key: name, Body: bytes }));
    const short = name.replace('snapshots/', '');
    expect(cli('backup', 'verify', short)).toMatchObject({ status: 2 });
    const restored = cli('backup', 'restore', short, '-yes', '-force');
    expect(restored).toMatchObject({ status: 2, text: expect.stringContaining('it was changed') });
    expect(cli('kv', 'get', '-field=v', 'secret/app').text.trim()).toBe('kept');
  });
});
