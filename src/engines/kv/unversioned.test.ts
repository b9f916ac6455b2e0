import { beforeEach, expect, test } from 'vitest';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { kv } from './index.ts';

let secret: TestMount;
beforeEach(() => {
  secret = mountForTest(kv);
});

test('a secret is what was sent, to the digit and in its order, with the lease of the mount', async () => {
  const text = '{"path":"mine","10":12345678901234567890,"2":1.0,"a":1e400,"body":null}';
  expect((await secret.call('write', 'app/db', text)).status).toBe(204);
  const answer = await secret.call('read', 'app/db');
  expect(answer.text).toBe(text);
  expect(answer.lease).toEqual({ id: '', durationMs: 2_764_800_000, renewable: false });
});

test.each([
  [{ ttl: '1h' }, 3_600_000],
  [{ ttl: 90 }, 90_000],
  [{ lease: '90' }, 90_000],
  [{ ttl: 'soon' }, 2_764_800_000],
  [{ ttl: -5 }, 2_764_800_000],
  [{ ttl: { a: 1 } }, 2_764_800_000],
])('the lease of %j', async (data, durationMs) => {
  await secret.call('write', 'app', data);
  expect((await secret.call('read', 'app')).lease?.durationMs).toBe(durationMs);
});

test('lists, deletes, and answers 404 for what is not there', async () => {
  for (const name of ['a', 'a/b', 'A', 'c/d/e']) await secret.call('write', name, { v: 1 });
  expect((await secret.call('list', '')).data).toEqual({ keys: ['A', 'a', 'a/', 'c/'] });
  expect((await secret.call('list', 'c')).data).toEqual({ keys: ['d/'] });
  expect((await secret.call('list', 'none')).status).toBe(404);
  expect(await secret.exists('a')).toBe(true);
  expect((await secret.call('delete', 'a')).status).toBe(204);
  expect((await secret.call('delete', 'a')).status).toBe(204);
  expect(await secret.exists('a')).toBe(false);
  expect((await secret.call('read', 'a')).status).toBe(404);
  expect((await secret.call('read', 'a/b')).status).toBe(200);
});

test.each([
  ['', 'missing data fields'],
  ['{}', 'missing data fields'],
  ['[1]', 'data must be an object of keys and values'],
  ['"x"', 'data must be an object of keys and values'],
  ['{"canary', 'failed to parse JSON input: unexpected end at offset 8'],
  [new Uint8Array([0x7b, 0xff, 0x7d]), 'failed to parse JSON input: it is not UTF-8'],
])('the body %j is refused without a word of it', async (body, message) => {
  await expect(secret.call('write', 'app', body)).rejects.toThrow(message);
  expect((await secret.call('read', 'app')).status).toBe(404);
});

test('there is no patch', async () => {
  await expect(secret.call('patch', 'app', { a: 1 })).rejects.toThrow('unsupported operation');
});

test('writes and deletes are told of, without values', async () => {
  await secret.call('write', 'a/b', { canary: 'never-told' });
  await secret.call('delete', 'a/b');
  await secret.call('delete', 'a/b');
  expect(secret.events.map(({ type, dataPath, operation }) => [type, dataPath, operation])).toEqual([
    ['kv-v1/write', 'a/b', 'write'],
    ['kv-v1/delete', 'a/b', 'delete'],
  ]);
  expect(JSON.stringify(secret.events)).not.toContain('never-told');
});
