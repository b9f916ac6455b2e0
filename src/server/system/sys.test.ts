/** The groups of sys/ that administrators use, over HTTP as their clients do. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { cubbyhole } from '../../engines/cubbyhole/index.ts';
import { kv } from '../../engines/kv/index.ts';
import { operation, type PluginType } from '../../plugin/plugin.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Check, Write } from '../../storage/storage.ts';
import { startServer, type TestServer } from '../testing.ts';

class Failing extends MemoryBackend {
  fails = false;
  override async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    if (this.fails && writes.length > 0) throw failure('storage.write');
    return super.commit(writes, checks);
  }
}

let issued: Set<string>;
let broken: boolean;

/** Gives out leased credentials, and takes them back unless it is broken. */
const lessor: PluginType = {
  name: 'lessor',
  kind: 'secret',
  create: (mount) => ({
    routes: [
      {
        path: 'creds/:role',
        operations: {
          read: operation({
            summary: 'A credential.',
            input: z.object({ role: z.string() }),
            output: z.object({ name: z.string() }),
            effect: 'write',
            async run({ role }, call) {
              const name = `user-${issued.size}`;
              const lease = await call.reserve('user', name);
              issued.add(name);
              if (role === 'half') throw failure('base.internal');
              return { data: { name }, lease };
            },
          }),
        },
      },
      {
        path: 'password/:policy',
        operations: {
          read: operation({
            summary: 'A password.',
            input: z.object({ policy: z.string() }),
            output: z.object({ password: z.string() }),
            effect: 'none',
            run: async ({ policy }) => ({ data: { password: await mount.password(policy) } }),
          }),
        },
      },
    ],
    leases: {
      user: {
        renew: async (_state, ttlMs) => ttlMs,
        async revoke(state) {
          if (broken) throw failure('base.internal');
          issued.delete(String(state));
        },
      },
    },
  }),
};

let backend: Failing;
let server: TestServer;

beforeEach(async () => {
  issued = new Set();
  broken = false;
  backend = new Failing();
  server = await startServer([kv, cubbyhole, lessor], { backend });
  await server.ask('POST', 'sys/mounts/db', { type: 'lessor' });
  await server.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
});
afterEach(() => server.close());

const credential = async (role = 'app'): Promise<string> => {
  const { status, json } = await server.ask('GET', `db/creds/${role}`);
  expect(status).toBe(200);
  return json.lease_id;
};
const weakToken = async (policy: string): Promise<Record<string, string>> => {
  await server.ask('PUT', 'sys/policies/acl/weak', { policy });
  const { json } = await server.ask('POST', 'auth/token/create', { policies: ['weak'] });
  return { 'x-vault-token': json.auth.client_token };
};

describe('leases', () => {
  test('are looked up, listed, renewed and taken back', async () => {
    const id = await credential();
    const looked = await server.ask('PUT', 'sys/leases/lookup', { lease_id: id });
    expect(looked.json.data).toMatchObject({ id, renewable: true, last_renewal: null, path: 'db/creds/app' });
    expect(looked.json.data.ttl).toBeGreaterThan(2_764_000);
    expect((await server.ask('GET', 'sys/leases/lookup/db/creds?list=true')).json.data.keys).toEqual([
      'app/',
    ]);
    const renewed = await server.ask('PUT', `sys/leases/renew/${id}`, { increment: '1h' });
    expect(renewed.json).toMatchObject({ lease_id: id, renewable: true, lease_duration: 3600, data: null });
    expect((await server.ask('GET', 'sys/leases/count')).json.data).toEqual({
      lease_count: 1,
      counts: { 'db/': 1 },
    });
    expect((await server.ask('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status).toBe(204);
    expect([...issued]).toEqual([]);
    expect((await server.ask('PUT', 'sys/leases/lookup', { lease_id: id })).json.errors).toEqual([
      'invalid lease',
    ]);
    expect((await server.ask('PUT', 'sys/leases/revoke', { lease_id: id })).status).toBe(204);
  });

  test('of a request that failed are taken back: nobody has what they cover', async () => {
    expect((await server.ask('GET', 'db/creds/half')).status).toBe(500);
    await vi.waitFor(() => expect([...issued]).toEqual([]));
    server.seen.failing = 'response';
    expect((await server.ask('GET', 'db/creds/app')).status).toBe(500);
    server.seen.failing = 'none';
    await vi.waitFor(() => expect([...issued]).toEqual([]));
    expect((await server.ask('GET', 'sys/leases/count')).json.data.lease_count).toBe(0);
  });

  test('that are due and still there say what was tried, how often, and what was said last', async () => {
    const id = await credential();
    const lookup = async () => (await server.ask('PUT', 'sys/leases/lookup', { lease_id: id })).json.data;
    expect(await lookup()).not.toHaveProperty('revocation');
    broken = true;
    expect((await server.ask('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status).toBe(500);
    expect((await lookup()).revocation).toMatchObject({
      last_error: failure('base.internal').message,
      irrevocable: false,
    });
    expect((await lookup()).revocation.attempts).toBeGreaterThan(0);
    const told = async (query: string) => server.ask('GET', `sys/leases?type=irrevocable${query}`);
    expect((await told('')).json.data).toEqual({ lease_count: 0, leases: [] });
    expect((await told('&limit=none')).status).toBe(200);
    expect((await told('&limit=0')).status).toBe(400);
    expect((await server.ask('GET', 'sys/leases')).status).toBe(400);
    expect((await server.ask('GET', 'sys/leases/count?type=irrevocable')).json.data).toEqual({
      lease_count: 0,
      counts: {},
    });
    broken = false;
    await vi.waitFor(() => expect([...issued]).toEqual([]), { timeout: 10_000 });
  });

  test('that cannot be taken back now are queued (202), or refused with sync, or forgotten by force', async () => {
    const id = await credential();
    broken = true;
    expect((await server.ask('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status).toBe(500);
    expect(await server.ask('PUT', 'sys/revoke-prefix/db/creds')).toMatchObject({ status: 202, text: '' });
    expect((await server.ask('PUT', 'sys/leases/renew', { lease_id: id })).status).toBe(400);
    expect((await server.ask('PUT', 'sys/leases/revoke-force/db')).status).toBe(204);
    expect((await server.ask('GET', 'sys/leases/count')).json.data.lease_count).toBe(0);
    expect([...issued]).toEqual(['user-0']);
  });

  test('by prefix, by force and by listing need sudo', async () => {
    const weak = await weakToken('path "sys/*" { capabilities = ["create", "read", "update", "list"] }');
    for (const path of [
      'sys/leases/revoke-prefix/db',
      'sys/leases/revoke-force/db',
      'sys/revoke-prefix/db',
      'sys/revoke-force/db',
    ])
      expect((await server.ask('PUT', path, {}, weak)).status).toBe(403);
    expect((await server.ask('GET', 'sys/leases/lookup/db?list=true', undefined, weak)).status).toBe(403);
    expect((await server.ask('PUT', 'sys/leases/lookup', { lease_id: 'x' }, weak)).status).toBe(400);
  });
});

describe('remount', () => {
  test('moves a mount with its data and its leases', async () => {
    const id = await credential();
    await server.ask('POST', 'secret/data/a', { data: { b: 'c' } });
    for (const [from, to] of [
      ['db', 'other/db'],
      ['secret/', 'kept/'],
    ])
      expect((await server.ask('POST', 'sys/remount', { from, to })).json.migration_id).toMatch(
        /^[0-9a-f-]{36}$/,
      );
    expect((await server.ask('GET', 'kept/data/a')).json.data.data).toEqual({ b: 'c' });
    expect((await server.ask('GET', 'secret/data/a')).status).toBe(404);
    expect((await server.ask('GET', 'other/db/creds/app')).status).toBe(200);
    expect((await server.ask('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status).toBe(204);
    expect([...issued]).toEqual(['user-1']);
  });

  test('that the store does not take moves nothing', async () => {
    const id = await credential();
    backend.fails = true;
    expect((await server.ask('POST', 'sys/remount', { from: 'db', to: 'new' })).status).toBe(503);
    backend.fails = false;
    expect((await server.ask('GET', 'new/creds/app')).status).toBe(404);
    expect((await server.ask('GET', 'db/creds/app')).status).toBe(200);
    expect((await server.ask('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status).toBe(204);
  });

  test('of many at once to one place moves one, and nobody mounts over what moves', async () => {
    await server.ask('POST', 'sys/mounts/db2', { type: 'lessor' });
    const answers = await Promise.all([
      server.ask('POST', 'sys/remount', { from: 'db', to: 'new' }),
      server.ask('POST', 'sys/remount', { from: 'db2', to: 'new' }),
      server.ask('POST', 'sys/remount', { from: 'db', to: 'elsewhere' }),
      server.ask('POST', 'sys/mounts/new/below', { type: 'kv' }),
    ]);
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
    const mounts = Object.keys((await server.ask('GET', 'sys/mounts')).json.data);
    expect(mounts.filter((path) => /^(db|db2|new|elsewhere)\//.test(path))).toHaveLength(2);
  });

  test('of a mount that is being taken away either moves it whole or not at all', async () => {
    await server.ask('POST', 'secret/data/a', { data: { b: 'c' } });
    const [moved, gone] = await Promise.all([
      server.ask('POST', 'sys/remount', { from: 'secret', to: 'kept' }),
      server.ask('DELETE', 'sys/mounts/secret'),
    ]);
    expect([moved.status, gone.status].filter((status) => status === 400).length).toBeLessThanOrEqual(1);
    const kept = await server.ask('GET', 'kept/data/a');
    if (moved.status === 200) expect(kept.json.data.data).toEqual({ b: 'c' });
    else expect(kept.status).toBe(404);
  });

  test.each([
    ['db', 'secret', 'path is already in use at secret/'],
    ['db', 'secret/below', 'path is already in use at secret/'],
    ['nowhere', 'x', 'no matching mount at "nowhere/"'],
    ['sys', 'x', 'cannot mount or unmount sys/'],
    ['db', 'sys/x', 'cannot mount or unmount sys/x/'],
    ['db', 'auth/x', 'cannot remount between secret engines and auth methods'],
    ['db', '../x', 'the path is not canonical'],
  ])('from %s to %s is refused', async (from, to, reason) => {
    const { status, json } = await server.ask('POST', 'sys/remount', { from, to });
    expect(status).toBe(400);
    expect(json.errors[0]).toContain(reason);
    expect((await server.ask('GET', 'db/creds/app')).status).toBe(200);
  });
});

describe('a snapshot', () => {
  const save = async (): Promise<Buffer> => {
    const response = await fetch(`${server.url}/v1/sys/storage/raft/snapshot`, {
      headers: { 'x-vault-token': server.root },
    });
    expect(response.headers.get('content-type')).toBe('application/gzip');
    return Buffer.from(await response.arrayBuffer());
  };
  const restore = (body: Uint8Array<ArrayBuffer>, path = 'snapshot', token = server.root, url = server.url) =>
    fetch(`${url}/v1/sys/storage/raft/${path}`, {
      method: 'POST',
      headers: { 'x-vault-token': token },
      body,
    });

  test('brings everything back as it was: secrets, tokens, mounts, leases', async () => {
    await server.ask('POST', 'secret/data/a', { data: { v: 1 } });
    const id = await credential();
    const saved = await save();
    await server.ask('POST', 'secret/data/a', { data: { v: 2 } });
    await server.ask('DELETE', 'sys/mounts/db');
    await server.ask('POST', 'sys/mounts/later', { type: 'kv' });
    expect((await restore(new Uint8Array(saved))).status).toBe(204);
    expect((await server.ask('GET', 'secret/data/a')).json.data.data).toEqual({ v: 1 });
    expect((await server.ask('PUT', 'sys/leases/lookup', { lease_id: id })).status).toBe(200);
    expect((await server.ask('GET', 'later/x')).status).toBe(404);
    expect(server.seen.lines.at(-1)?.type).toBe('response');
  });

  test('of other keys is refused, and by force leaves a sealed server that the other keys open', async () => {
    const other = await startServer([kv, cubbyhole]);
    try {
      await server.ask('POST', 'secret/data/a', { data: { v: 1 } });
      const saved = new Uint8Array(await save());
      const refused = await restore(saved, 'snapshot', other.root, other.url);
      expect(refused.status).toBe(400);
      expect(await refused.text()).toContain('possibly the snapshot is using a different set of unseal keys');
      expect((await other.ask('GET', 'auth/token/lookup-self')).status).toBe(200);
      expect((await restore(saved, 'snapshot-force', other.root, other.url)).status).toBe(204);
      expect((await other.ask('GET', 'sys/seal-status')).json.sealed).toBe(true);
      for (const key of server.keys)
        expect(
          (await other.ask('PUT', 'sys/unseal', { key: Buffer.from(key).toString('hex') })).json.sealed,
        ).toBe(false);
      const read = await other.ask('GET', 'secret/data/a', undefined, { 'x-vault-token': server.root });
      expect(read.json.data.data).toEqual({ v: 1 });
    } finally {
      await other.close();
    }
  });

  test('that is broken, or sent without the right to, changes nothing', async () => {
    const saved = await save();
    await server.ask('POST', 'secret/data/a', { data: { v: 2 } });
    const cut = new Uint8Array(saved.subarray(0, saved.length - 20));
    for (const path of ['snapshot', 'snapshot-force']) expect((await restore(cut, path)).status).toBe(400);
    expect((await restore(new Uint8Array(saved), 'snapshot', 'hvs.nobody')).status).toBe(403);
    const reader = await weakToken('path "sys/storage/raft/*" { capabilities = ["read"] }');
    expect((await restore(new Uint8Array(saved), 'snapshot', reader['x-vault-token'])).status).toBe(403);
    const writer = await weakToken('path "sys/storage/raft/*" { capabilities = ["update"] }');
    expect((await restore(new Uint8Array(saved), 'snapshot-force', writer['x-vault-token'])).status).toBe(
      403,
    );
    expect((await server.ask('GET', 'sys/storage/raft/snapshot', undefined, writer)).status).toBe(403);
    expect((await server.ask('GET', 'secret/data/a')).json.data.data).toEqual({ v: 2 });
  });

  test('is taken by a token whose policy says `read`, as those of backup jobs do', async () => {
    const backup = await weakToken('path "sys/storage/raft/snapshot" { capabilities = ["read"] }');
    const taken = await fetch(`${server.url}/v1/sys/storage/raft/snapshot`, { headers: backup });
    expect(taken.status).toBe(200);
    expect((await restore(new Uint8Array(await taken.arrayBuffer()))).status).toBe(204);
  });
});

describe('quotas', () => {
  test('turn an address away with 429 that asks too often, and leave what must answer alone', async () => {
    expect(
      (await server.ask('POST', 'sys/quotas/rate-limit/kv', { path: 'secret/', rate: 2, interval: '1h' }))
        .status,
    ).toBe(204);
    expect((await server.ask('GET', 'sys/quotas/rate-limit/kv')).json.data).toMatchObject({
      path: 'secret/',
      rate: 2,
      interval: 3600,
      type: 'rate-limit',
    });
    await server.ask('GET', 'secret/data/a');
    await server.ask('GET', 'secret/data/a', undefined, { 'x-vault-token': 'wrong' });
    const lines = server.seen.lines.length;
    const refused = await server.ask('GET', 'secret/data/a');
    expect(refused).toMatchObject({ status: 429 });
    expect(refused.json.errors).toEqual(['request path "secret/data/a": rate limit quota exceeded']);
    expect(server.seen.lines).toHaveLength(lines);
    expect((await server.ask('GET', 'sys/health')).status).toBe(200);
    await server.ask('DELETE', 'sys/quotas/rate-limit/kv');
    expect((await server.ask('GET', 'secret/data/a')).status).toBe(404);
  });

  test.each([
    [{ rate: 0 }, "'rate' is invalid"],
    [{ rate: -1 }, "'rate' is invalid"],
    [{ rate: 1, interval: '10ms' }, "'interval' must be at least one second"],
    [{ rate: 1, path: 'nowhere/' }, 'invalid mount path'],
    [{ rate: 1, role: 'x' }, 'quotas by login role are not supported'],
  ])('refuse %j', async (body, reason) => {
    const { status, json } = await server.ask('POST', 'sys/quotas/rate-limit/x', body);
    expect(status).toBe(400);
    expect(json.errors[0]).toContain(reason);
  });
});

test('password policies are written, read, used by engines, and deleted', async () => {
  const policy = 'length = 30\nrule "charset" { charset = "xyz" }';
  for (const text of [policy, Buffer.from(policy).toString('base64')]) {
    expect((await server.ask('PUT', 'sys/policies/password/p', { policy: text })).status).toBe(204);
    expect((await server.ask('GET', 'sys/policies/password/p')).json.data).toEqual({ policy });
  }
  expect((await server.ask('GET', 'sys/policies/password?list=true')).json.data.keys).toEqual(['p']);
  expect((await server.ask('GET', 'sys/policies/password/p/generate')).json.data.password).toMatch(
    /^[xyz]{30}$/,
  );
  expect((await server.ask('GET', 'db/password/p')).json.data.password).toMatch(/^[xyz]{30}$/);
  expect((await server.ask('PUT', 'sys/policies/password/p', { policy: 'length = 1' })).status).toBe(400);
  expect((await server.ask('DELETE', 'sys/policies/password/p')).status).toBe(204);
  expect((await server.ask('GET', 'sys/policies/password/p/generate')).status).toBe(404);
});

test('root generation needs no token under its old name, and sudo under its new one', async () => {
  const nobody = { 'x-vault-token': '' };
  expect((await server.ask('GET', 'sys/generate-root/attempt', undefined, nobody)).json).toMatchObject({
    started: false,
    required: 1,
    otp_length: 28,
  });
  expect((await server.ask('PUT', 'sys/generate-root-token/attempt', {}, nobody)).status).toBe(403);
  expect((await server.ask('PUT', 'sys/generate-root/attempt', { pgp_key: 'x' }, nobody)).status).toBe(400);
  const { nonce } = (await server.ask('PUT', 'sys/generate-root/attempt', {}, nobody)).json;
  const key = Buffer.from(server.keys[0] ?? []).toString('base64');
  for (const [body, reason] of [
    [{ nonce }, "'key' must be specified"],
    [{ key }, "'nonce' must be specified"],
    [{ key: '~~', nonce }, "'key' must be a valid hex or base64 string"],
    [{ key, nonce: 'x' }, 'incorrect nonce supplied'],
    [{ key: 'abcd', nonce }, 'the unseal key must be 32 bytes long'],
    [{ key: '00'.repeat(32), nonce }, 'do not open this store'],
  ] as const) {
    const { status, json } = await server.ask('PUT', 'sys/generate-root/update', body, nobody);
    expect(status).toBe(400);
    expect(json.errors[0]).toContain(reason);
  }
  expect((await server.ask('PUT', 'sys/generate-root/update', { key, nonce }, nobody)).json.complete).toBe(
    true,
  );
});

test('the key is looked at, rotated, and told when to rotate by itself', async () => {
  const before = (await server.ask('GET', 'sys/key-status')).json;
  expect(before.data).toMatchObject({ term: 1 });
  expect(before.data.encryptions).toBeGreaterThan(5);
  expect((await server.ask('POST', 'sys/rotate')).status).toBe(204);
  expect((await server.ask('GET', 'sys/key-status')).json.data.term).toBe(2);
  expect((await server.ask('POST', 'sys/rotate/config', { interval: '25h' })).status).toBe(204);
  expect((await server.ask('GET', 'sys/rotate/config')).json.data).toMatchObject({
    enabled: true,
    interval: 90_000,
  });
  for (const body of [{ interval: '1h' }, { max_operations: 5 }])
    expect((await server.ask('POST', 'sys/rotate/config', body)).status).toBe(400);
});

test('headers are in the audit trail only where that is configured, credentials never in the clear', async () => {
  await server.ask('PUT', 'sys/config/auditing/request-headers/X-Team', { hmac: true });
  await server.ask('GET', 'sys/mounts', undefined, { 'x-team': 'blue', 'x-other': 'no' });
  const seen = server.seen.lines.at(-1)?.request;
  expect(seen?.headers?.values).toMatchObject({ 'x-team': ['blue'] });
  expect(seen?.headers?.values).not.toHaveProperty('x-other');
  expect(seen?.headers?.values).not.toHaveProperty('x-vault-token');
  expect(seen?.headers?.clear).not.toContain('x-team');
  expect((await server.ask('GET', 'sys/config/auditing/request-headers/x-TEAM')).json.data).toEqual({
    'x-team': { hmac: true },
  });
  expect(
    (await server.ask('PUT', 'sys/config/auditing/request-headers/X-Vault-Token', { hmac: false })).status,
  ).toBe(400);
  await server.ask('DELETE', 'sys/config/auditing/request-headers/x-team');
  await server.ask('GET', 'sys/mounts', undefined, { 'x-team': 'blue' });
  expect(server.seen.lines.at(-1)?.request.headers ?? {}).not.toHaveProperty('x-team');
});

test('metrics have the names of the dashboards, in the format of Prometheus', async () => {
  await server.ask('POST', 'secret/data/a/b', { data: {} });
  await server.ask('POST', 'secret/data/c', { data: {} });
  await credential();
  const { text, headers } = await server.ask('GET', 'sys/metrics?format=prometheus');
  expect(headers.get('content-type')).toContain('version=0.0.4');
  for (const line of [
    /^vault_core_unsealed 1$/m,
    /^vault_token_count 1$/m,
    /^vault_token_count_by_policy\{policy="root"\} 1$/m,
    /^vault_secret_kv_count\{mount_point="secret\/"\} 2$/m,
    /^vault_secret_lease_expiration_time_seconds\{path="db\/creds\/app"\} \d{10}$/m,
    /^vault_runtime_alloc_bytes \d+$/m,
    /^vault_core_handle_request_seconds_bucket\{operation="write",mount_point="secret\/",outcome="ok",le="\+Inf"\} 2$/m,
  ])
    expect(text).toMatch(line);
  // Every line is a comment or a sample, and no name is introduced twice.
  const lines = text.trimEnd().split('\n');
  expect(
    lines.filter(
      (line) => !/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="([^"\\\n]|\\.)*",?)*\})? [-+.\deInfNa]+)$/.test(line),
    ),
  ).toEqual([]);
  const types = lines.filter((line) => line.startsWith('# TYPE'));
  expect(new Set(types).size).toBe(types.length);
  expect((await server.ask('GET', 'sys/metrics', undefined, { 'x-vault-token': '' })).status).toBe(403);
});

test('the OpenAPI document describes what the caller can see, and no more', async () => {
  const { json } = await server.ask('GET', 'sys/internal/specs/openapi');
  expect(json.openapi).toBe('3.0.2');
  const paths = Object.keys(json.paths);
  expect(paths).toEqual(
    expect.arrayContaining(['/sys/leases/lookup', '/secret/data/{path}', '/db/creds/{role}']),
  );
  const rate = json.paths['/sys/quotas/rate-limit/{name}'];
  expect(rate.post.requestBody.content['application/json'].schema.properties).toHaveProperty('rate');
  expect(rate.post.requestBody.content['application/json'].schema.properties).not.toHaveProperty('name');
  expect(rate.get.summary).toBe('One quota.');
  const stranger = await server.ask('GET', 'sys/internal/specs/openapi', undefined, { 'x-vault-token': '' });
  expect(Object.keys(stranger.json.paths).every((path) => path.startsWith('/sys/'))).toBe(true);
});

test('the node tells of itself', async () => {
  const weak = await weakToken(
    'path "secret/data/*" { capabilities = ["read"] }\npath "x" { capabilities = ["list"] }',
  );
  expect((await server.ask('GET', 'sys/host-info')).json.data.cpu.length).toBeGreaterThan(0);
  expect((await server.ask('GET', 'sys/ha-status')).json.nodes).toHaveLength(1);
  expect((await server.ask('GET', 'sys/version-history?list=true')).json.data.keys).toHaveLength(1);
  expect((await server.ask('GET', 'sys/config/state/sanitized')).json.data.storage.type).toBe('memory');
  const flying = Object.values((await server.ask('GET', 'sys/in-flight-req')).json.data);
  expect(flying).toEqual([expect.objectContaining({ request_path: '/v1/sys/in-flight-req' })]);
  expect((await server.ask('GET', 'sys/storage/raft/configuration')).json.data.config.servers).toHaveLength(
    1,
  );
  expect((await server.ask('POST', 'sys/storage/raft/join', {})).json.errors).toEqual([
    'raft storage is not in use',
  ]);
  expect((await server.ask('PUT', 'sys/step-down')).status).toBe(204);
  const acl = (await server.ask('GET', 'sys/internal/ui/resultant-acl', undefined, weak)).json?.data;
  expect(acl).toMatchObject({
    root: false,
    exact_paths: { x: { capabilities: ['list'] } },
    glob_paths: { 'secret/data/': { capabilities: ['read'] } },
  });
  for (const path of ['sys/host-info', 'sys/in-flight-req', 'sys/config/state/sanitized', 'sys/metrics'])
    expect((await server.ask('GET', path, undefined, weak)).status).toBe(403);
});

test('a mount tells the version of its plugin, and of those that nobody enabled not what becomes of their type', async () => {
  const { data } = (await server.ask('GET', 'sys/mounts')).json;
  const { data: methods } = (await server.ask('GET', 'sys/auth')).json;
  const catalog = (await server.ask('GET', 'sys/plugins/catalog/secret/kv')).json.data;
  expect(catalog.version).toMatch(/^v\d+\.\d+\.\d+.*\+builtin$/);
  expect(data['secret/']).toMatchObject({
    plugin_version: '',
    running_plugin_version: catalog.version,
    running_sha256: '',
    deprecation_status: 'supported',
  });
  for (const fixed of [data['sys/'], data['identity/'], methods['token/']]) {
    expect(fixed.running_plugin_version).toBe(catalog.version);
    expect(fixed).not.toHaveProperty('deprecation_status');
  }
});
