/** The routes of backups and of the store's verification, over HTTP. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { kv } from '../../engines/kv/index.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { MemoryPlace, scratches } from '../backup/testing.ts';
import { type Listener, listen } from '../http/listener.ts';
import type { Audit } from '../options.ts';
import { createServer, type Server } from '../server.ts';

const audit: Audit = {
  enabled: false,
  record: async () => {},
  enable: async () => {},
  disable: async () => {},
  list: () => [],
  hash: async () => '',
};

let backend: MemoryBackend;
let place: MemoryPlace;
let server: Server;
let listener: Listener;
let root: string;
let keys: readonly Uint8Array[];

beforeEach(async () => {
  backend = new MemoryBackend();
  place = new MemoryPlace();
  server = await createServer({
    backend,
    plugins: [kv],
    clock: systemClock,
    log: silentLog,
    dial: async () => ({ status: 599, body: new Uint8Array() }),
    audit: async () => audit,
    backups: { targets: [{ name: 'nightly', keepMs: 3_600_000, place }], scratch: scratches().make },
  });
  ({ keys, rootToken: root } = await server.seal.initialize(1, 1));
  for (const key of keys) await server.seal.submit(key);
  listener = await listen(server, { host: '127.0.0.1', port: 0 });
  await ask('POST', 'sys/mounts/secret', { type: 'kv' });
});
afterEach(async () => {
  await listener.close(100);
  await server.close();
});

async function ask(method: string, path: string, body?: object, token = root) {
  const answer = await fetch(`http://127.0.0.1:${listener.address.port}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
}

test('a backup is made, listed, and restored over what was written since', async () => {
  await ask('POST', 'secret/a', { x: 'before' });
  const made = await ask('POST', 'sys/backup/create', {});
  expect(made).toMatchObject({ status: 200, json: { data: { verified: expect.stringMatching(/Z$/) } } });
  await ask('POST', 'secret/a', { x: 'after' });
  await ask('POST', 'secret/b', { x: 'later' });
  const { name } = made.json.data;
  expect((await ask('GET', 'sys/backup/list')).json.data.backups).toMatchObject([
    { name, state: 'verified' },
  ]);
  const restored = await ask('POST', 'sys/backup/restore', { name });
  expect(restored).toMatchObject({ status: 200, json: { data: { name, sealed: false } } });
  expect((await ask('GET', 'secret/a')).json.data.x).toBe('before');
  expect((await ask('GET', 'secret/b')).status).toBe(404);
  // Restored on purpose: nobody is told that the store is older than its backups.
  expect((await ask('GET', 'sys/storage/verify')).json.data).toMatchObject({ whole: true, behind: [] });
  expect((await ask('GET', 'sys/backup')).json.data.targets).toMatchObject([
    { name: 'nightly', behind: false, last_verified: made.json.data.created },
  ]);
  const again = await ask('POST', 'sys/backup/create', {});
  expect(again.status).toBe(200);
});

test('the newest verified one up to a time is restored, and none where there was none', async () => {
  await ask('POST', 'secret/a', { x: '1' });
  const first = await ask('POST', 'sys/backup/create', {});
  await ask('POST', 'secret/a', { x: '2' });
  await ask('POST', 'sys/backup/create', {});
  expect((await ask('POST', 'sys/backup/restore', { at: '2020-01-01T00:00:00Z' })).status).toBe(404);
  const restored = await ask('POST', 'sys/backup/restore', { at: first.json.data.created });
  expect(restored.json.data.name).toBe(first.json.data.name);
  expect((await ask('GET', 'secret/a')).json.data.x).toBe('1');
  expect((await ask('POST', 'sys/backup/restore', { at: 'yesterday' })).status).toBe(400);
});

test('a damaged backup is refused, and everything stays as it is', async () => {
  const { name } = (await ask('POST', 'sys/backup/create', {})).json.data;
  await ask('POST', 'secret/a', { x: 'kept' });
  const bytes = Buffer.from(place.files.get(name) ?? []);
  bytes[bytes.length - 200] = (bytes[bytes.length - 200] ?? 0) ^ 1;
  place.files.set(name, bytes);
  for (const force of [false, true]) {
    const answer = await ask('POST', 'sys/backup/restore', { name, force });
    expect(answer).toMatchObject({ status: 400 });
    expect(answer.json.errors[0]).toContain(name);
  }
  expect((await ask('GET', 'secret/a')).json.data.x).toBe('kept');
});

test('an entry that was changed is named by the verification, and one that was rolled back shows', async () => {
  await ask('POST', 'secret/a', { x: '1' });
  const before = new Map<string, Uint8Array>();
  for await (const { key, value } of backend.scan('', new AbortController().signal)) before.set(key, value);
  await ask('POST', 'secret/a', { x: '2' });
  expect((await ask('GET', 'sys/storage/verify')).json.data).toMatchObject({
    whole: true,
    damaged: [],
    set: 'matches',
  });
  const key = [...before.keys()].find((one) => one.endsWith('/a')) ?? '';
  expect(key).not.toBe('');
  await backend.commit([{ key, value: before.get(key) ?? new Uint8Array() }]);
  expect((await ask('GET', 'sys/storage/verify')).json.data).toMatchObject({
    whole: false,
    damaged: [],
    set: 'differs',
  });
  await backend.commit([{ key, value: Buffer.from('no envelope at all, for sure it is not one of them') }]);
  expect((await ask('GET', 'sys/storage/verify')).json.data).toMatchObject({ whole: false, damaged: [key] });
});

test.each([
  ['GET', 'sys/backup'],
  ['GET', 'sys/backup/list'],
  ['POST', 'sys/backup/create'],
  ['POST', 'sys/backup/verify'],
  ['GET', 'sys/backup/prune'],
  ['POST', 'sys/backup/prune'],
  ['POST', 'sys/backup/restore'],
  ['GET', 'sys/storage/verify'],
])('%s %s takes sudo', async (method, path) => {
  const policy = (capabilities: string) => `path "sys/backup*" { capabilities = [${capabilities}] }
path "sys/storage/verify" { capabilities = [${capabilities}] }`;
  await ask('PUT', 'sys/policies/acl/plain', { policy: policy('"read", "update"') });
  await ask('PUT', 'sys/policies/acl/sudo', { policy: policy('"read", "update", "sudo"') });
  const body = method === 'POST' ? {} : undefined;
  const token = async (name: string): Promise<string> =>
    (await ask('POST', 'auth/token/create', { policies: [name] })).json.auth.client_token;
  expect((await ask(method, path, body, await token('plain'))).status).toBe(403);
  expect((await ask(method, path, body, await token('sudo'))).status).not.toBe(403);
});

test('the age of the last verified backup is told to Prometheus, and a failure counts', async () => {
  const text = async (): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${listener.address.port}/v1/sys/metrics?format=prometheus`, {
      headers: { 'x-vault-token': root },
    });
    return answer.text();
  };
  expect(await text()).toMatch(/holdfast_backup_last_verified_age_seconds\{target="nightly"\} 1[6-9]\d{8}/);
  await ask('POST', 'sys/backup/create', {});
  place.away = true;
  expect((await ask('POST', 'sys/backup/create', {})).status).toBe(503);
  const told = await text();
  expect(told).toMatch(/holdfast_backup_last_verified_age_seconds\{target="nightly"\} \d(\.\d+)?\n/);
  expect(told).toMatch(/holdfast_backup_failures_total\{target="nightly"\} 1\n/);
  expect((await ask('GET', 'sys/backup')).json.data.targets[0].problem).toContain('cannot be used');
});

test('sealed, none of it answers; and nothing goes on behind a closed barrier', async () => {
  await server.seal.seal();
  for (const path of ['sys/backup', 'sys/backup/list', 'sys/storage/verify'])
    expect((await ask('GET', path)).status).toBe(503);
  for (const key of keys) await server.seal.submit(key);
  await vi.waitFor(async () => expect((await ask('POST', 'sys/backup/create', {})).status).toBe(200));
});
