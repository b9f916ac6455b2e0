/** Several nodes over one store: who answers what, who takes over when, and what nobody may ever see. */

import { afterEach, describe, expect, test } from 'vitest';
import { sleep } from '../../base/retry.ts';
import { cubbyhole } from '../../engines/cubbyhole/index.ts';
import { kv } from '../../engines/kv/index.ts';
import { userpass } from '../../methods/userpass/index.ts';
import { SYSTEM } from '../follow/reach.ts';
import { startCluster, type TestCluster, type TestNode } from './testing.ts';

let cluster: TestCluster;
afterEach(() => cluster.close());

const begin = async (
  names: readonly string[] = ['a', 'b'],
): Promise<{ leader: TestNode; standby: TestNode }> => {
  cluster = await startCluster([kv, cubbyhole, userpass], names);
  const leader = await cluster.leader();
  expect((await leader.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' })).status).toBe(204);
  return { leader, standby: await cluster.standby() };
};
const put = (node: TestNode, path: string, data: unknown) =>
  node.ask('POST', `secret/data/${path}`, { data });
const got = async (node: TestNode, path: string): Promise<unknown> =>
  (await node.ask('GET', `secret/data/${path}`)).json?.data?.data;

describe('a standby', () => {
  test('answers the same as the leader, whoever wrote: never older than what was acknowledged', async () => {
    const { leader, standby } = await begin();
    for (let i = 1; i <= 20; i++) {
      const [by, other] = i % 2 === 0 ? [leader, standby] : [standby, leader];
      const made = await by.ask('POST', 'secret/data/a', { data: { n: i }, options: { cas: i - 1 } });
      expect([made.status, made.json?.data?.version]).toEqual([200, i]);
      expect(await got(other, 'a')).toEqual({ n: i });
    }
  });

  test('sees a policy, a token that ended and a mount that is gone with its next answer', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    await leader.ask('POST', 'sys/policies/acl/reader', {
      policy: 'path "secret/*" { capabilities = ["read"] }',
    });
    const made = await leader.ask('POST', 'auth/token/create', { policies: ['reader'] });
    const headers = { 'x-vault-token': made.json.auth.client_token };
    const read = async (): Promise<number> =>
      (await standby.ask('GET', 'secret/data/a', undefined, headers)).status;
    expect(await read()).toBe(200);
    await leader.ask('POST', 'sys/policies/acl/reader', {
      policy: 'path "other/*" { capabilities = ["read"] }',
    });
    expect(await read()).toBe(403);
    await leader.ask('POST', 'sys/policies/acl/reader', {
      policy: 'path "secret/*" { capabilities = ["read"] }',
    });
    expect(await read()).toBe(200);
    await leader.ask('POST', 'auth/token/revoke', { token: headers['x-vault-token'] });
    expect(await read()).toBe(403);
    await leader.ask('DELETE', 'sys/mounts/secret');
    expect((await standby.ask('GET', 'secret/data/a')).status).toBe(404);
    await leader.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
    await put(standby, 'a', { n: 2 });
    expect(await got(standby, 'a')).toEqual({ n: 2 });
  });

  test('sees what an entity and its group may, and a token that is used up, as the leader counts it', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    await leader.ask('POST', 'sys/policies/acl/reader', {
      policy: 'path "secret/*" { capabilities = ["read"] }',
    });
    await leader.ask('POST', 'sys/auth/userpass', { type: 'userpass' });
    await standby.ask('POST', 'auth/userpass/users/ann', { password: 'correct horse' });
    const login = await standby.ask('POST', 'auth/userpass/login/ann', { password: 'correct horse' });
    expect(login.status).toBe(200);
    const { client_token: token, entity_id: entity } = login.json.auth;
    const read = async (): Promise<number> =>
      (await standby.ask('GET', 'secret/data/a', undefined, { 'x-vault-token': token })).status;
    expect(await read()).toBe(403);
    await leader.ask('POST', `identity/entity/id/${entity}`, { policies: ['reader'] });
    expect(await read()).toBe(200);
    await leader.ask('POST', `identity/entity/id/${entity}`, { policies: [] });
    expect(await read()).toBe(403);
    const twice = await leader.ask('POST', 'auth/token/create', { policies: ['reader'], num_uses: 2 });
    const uses = { 'x-vault-token': twice.json.auth.client_token };
    const statuses = [];
    for (let i = 0; i < 3; i++)
      statuses.push((await standby.ask('GET', 'secret/data/a', undefined, uses)).status);
    expect(statuses).toEqual([200, 200, 403]);
  });

  test('answers reads by itself: they go on while the leader is gone, and before another one leads', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    expect(await got(standby, 'a')).toEqual({ n: 1 });
    leader.way.cutOff = true;
    expect(await got(standby, 'a')).toEqual({ n: 1 });
    expect((await standby.ask('GET', 'sys/health')).status).toBe(429);
    expect((await standby.ask('GET', 'auth/token/lookup-self')).status).toBe(200);
    expect((await standby.ask('GET', 'sys/mounts')).status).toBe(200);
  });

  test('hands its reads to the leader while the store does not answer it, at once after the first', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    expect(await got(standby, 'a')).toEqual({ n: 1 });
    standby.way.delay = () => new Promise(() => {});
    expect(await Promise.all([got(standby, 'a'), got(standby, 'a')])).toEqual([{ n: 1 }, { n: 1 }]);
    await put(leader, 'a', { n: 2 });
    expect(await got(standby, 'a')).toEqual({ n: 2 });
    expect(
      standby.lines.filter(({ message }) => message.startsWith('the store does not answer')),
    ).toHaveLength(1);
    standby.way.delay = () => undefined;
  });

  test('hands wrapping to the leader, and the answer is opened once, on any node', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    const wrapped = await standby.ask('GET', 'secret/data/a', undefined, { 'x-vault-wrap-ttl': '60s' });
    const token = wrapped.json.wrap_info.token;
    const opened = await standby.ask('POST', 'sys/wrapping/unwrap', { token });
    expect(opened.json.data.data).toEqual({ n: 1 });
    expect((await leader.ask('POST', 'sys/wrapping/unwrap', { token })).status).toBe(400);
  });

  test('tells what it is: 429, 200 with standbyok, a code of the caller, and who leads', async () => {
    const { leader, standby } = await begin();
    const status = async (query: string): Promise<number> =>
      (await standby.ask('GET', `sys/health${query}`)).status;
    expect(await status('')).toBe(429);
    expect(await status('?standbyok=true')).toBe(200);
    expect(await status('?perfstandbyok=true')).toBe(429);
    expect(await status('?standbycode=299')).toBe(299);
    expect(await status('?standbycode=nothing')).toBe(400);
    expect((await standby.ask('GET', 'sys/health')).json).toMatchObject({ sealed: false, standby: true });
    const gauge = async (node: TestNode, name: string): Promise<unknown> =>
      (await node.ask('GET', 'sys/metrics')).json.Gauges.find(({ Name }: { Name: string }) => Name === name)
        ?.Value;
    expect(await gauge(leader, 'vault_core_active')).toBe(1);
    expect(await gauge(standby, 'vault_core_active')).toBe(0);
    expect(await gauge(standby, 'vault_core_unsealed')).toBe(1);
    const told = await standby.ask('GET', 'sys/leader');
    expect(told.json).toMatchObject({
      ha_enabled: true,
      is_self: false,
      active_time: '0001-01-01T00:00:00Z',
      leader_address: leader.url,
    });
    expect(told.json.leader_cluster_address).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect((await leader.ask('GET', 'sys/leader')).json).toMatchObject({ ha_enabled: true, is_self: true });
    await expect
      .poll(async () => (await standby.ask('GET', 'sys/ha-status')).json.data.nodes, { timeout: 5000 })
      .toMatchObject([
        { hostname: leader.name, active_node: true, last_echo: null, api_address: leader.url },
        { hostname: standby.name, active_node: false, api_address: standby.url },
      ]);
  });

  test('sends who wants no forwarding to the leader itself, with path and query', async () => {
    const { leader, standby } = await begin();
    const headers = { 'x-vault-no-request-forwarding': 'true' };
    const sent = await standby.ask('POST', 'secret/data/a%20b', { data: {} }, headers);
    expect([sent.status, sent.headers.get('location')]).toEqual([307, `${leader.url}/v1/secret/data/a%20b`]);
    const listed = await standby.ask('GET', 'sys/leases/lookup/x?list=true', undefined, headers);
    expect(listed.headers.get('location')).toBe(`${leader.url}/v1/sys/leases/lookup/x/?list=true`);
  });

  test('has in its table of sys/ only routes that there are', async () => {
    const { leader } = await begin();
    const routes = new Set(leader.server.core.system.plugin.routes.map(({ path }) => path));
    expect([...SYSTEM].filter((path) => !routes.has(path))).toEqual([]);
  });

  test('hands a snapshot on as it streams, both ways, and reads what was restored', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    const headers = { 'x-vault-token': cluster.root };
    const way = `${standby.url}/v1/sys/storage/raft/snapshot`;
    const saved = await fetch(way, { headers });
    expect(saved.status).toBe(200);
    const archive = Buffer.from(await saved.arrayBuffer());
    await put(leader, 'a', { n: 2 });
    await leader.ask('DELETE', 'sys/mounts/secret');
    expect((await standby.ask('GET', 'secret/data/a')).status).toBe(404);
    const restored = await fetch(way, { method: 'POST', headers, body: archive });
    expect(restored.status).toBe(204);
    expect(await Promise.all([got(leader, 'a'), got(standby, 'a')])).toEqual([{ n: 1 }, { n: 1 }]);
    expect((await put(standby, 'a', { n: 3 })).status).toBe(200);
    expect(await got(leader, 'a')).toEqual({ n: 3 });
    await leader.ask('POST', 'sys/step-down');
    await expect.poll(async () => (await put(standby, 'a', { n: 4 })).status, { timeout: 5000 }).toBe(200);
    expect(await got(leader, 'a')).toEqual({ n: 4 });
  });

  test('cannot be initialized anew, whoever leads', async () => {
    const { standby } = await begin();
    const again = await standby.ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
    expect([again.status, again.json.errors]).toEqual([400, ['Vault is already initialized']]);
  });

  test('that another node initialized or unsealed stays sealed itself', async () => {
    const { leader, standby } = await begin();
    expect((await standby.ask('POST', 'sys/seal')).status).toBe(204);
    await expect.poll(async () => (await standby.ask('GET', 'sys/health')).status).toBe(503);
    expect((await leader.ask('GET', 'sys/health')).status).toBe(200);
    await standby.server.seal.submit(Uint8Array.from(cluster.keys[0] ?? []));
    await put(leader, 'a', { n: 1 });
    expect(await got(standby, 'a')).toEqual({ n: 1 });
  });
});

describe('the lead', () => {
  test('is handed over by step-down: the other leads at once, what was acknowledged is there, and it may come back', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    expect((await leader.ask('POST', 'sys/step-down')).status).toBe(204);
    await expect
      .poll(async () => (await standby.ask('GET', 'sys/health')).status, { timeout: 5000 })
      .toBe(200);
    expect((await put(leader, 'a', { n: 2 })).status).toBe(200);
    expect(await got(standby, 'a')).toEqual({ n: 2 });
    expect((await standby.ask('POST', 'sys/step-down')).status).toBe(204);
    await expect
      .poll(async () => (await leader.ask('GET', 'sys/health')).status, { timeout: 10_000 })
      .toBe(200);
    expect(await got(leader, 'a')).toEqual({ n: 2 });
    expect(cluster.store.epochs).toEqual([...cluster.store.epochs].sort((a, b) => a - b));
  });

  test('goes over when the leader is cut off, which answers nothing from then on and follows once it is back', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    expect(await got(leader, 'a')).toEqual({ n: 1 });
    leader.way.cutOff = true;
    await expect
      .poll(async () => (await standby.ask('GET', 'sys/health')).status, { timeout: 10_000 })
      .toBe(200);
    expect((await put(standby, 'a', { n: 2 })).status).toBe(200);
    const stale = await leader.ask('GET', 'secret/data/a');
    expect([stale.status, stale.headers.get('x-holdfast-code')]).toEqual([503, 'cluster.no_leader']);
    expect(stale.headers.get('retry-after')).toBe('1');
    expect((await leader.ask('GET', 'sys/health?standbyok=true')).status).toBe(503);
    expect((await leader.ask('GET', 'sys/health?standbyok=true')).json).toMatchObject({
      sealed: false,
      standby: true,
    });
    leader.way.cutOff = false;
    await expect
      .poll(async () => (await leader.ask('GET', 'sys/health')).status, { timeout: 10_000 })
      .toBe(429);
    expect(await got(leader, 'a')).toEqual({ n: 2 });
    expect((await put(leader, 'a', { n: 3 })).status).toBe(200);
    expect(await got(standby, 'a')).toEqual({ n: 3 });
  });

  test("is nobody's while the database is away: 503 within the wait, nothing is lost, and all goes on without a restart", async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    for (const { way } of cluster.nodes) way.cutOff = true;
    await expect
      .poll(async () => (await leader.ask('GET', 'sys/leader')).json?.is_self, { timeout: 10_000 })
      .not.toBe(true);
    const [read, write] = await Promise.all([
      standby.ask('GET', 'secret/data/a'),
      put(leader, 'a', { n: 2 }),
    ]);
    expect([read.status, write.status]).toEqual([503, 503]);
    expect((await standby.ask('GET', 'sys/health?standbyok=true')).status).toBe(503);
    for (const { way } of cluster.nodes) way.cutOff = false;
    await cluster.leader();
    await expect
      .poll(async () => (await standby.ask('GET', 'sys/health?standbyok=true')).status, { timeout: 5000 })
      .toBe(200);
    expect(await got(standby, 'a')).toEqual({ n: 1 });
    expect((await put(standby, 'a', { n: 3 })).status).toBe(200);
    expect(await got(leader, 'a')).toEqual({ n: 3 });
  });

  test('goes over when the leader is sealed, which no other node is', async () => {
    const { leader, standby } = await begin();
    await put(leader, 'a', { n: 1 });
    expect((await leader.ask('POST', 'sys/seal')).status).toBe(204);
    await expect.poll(async () => (await put(standby, 'a', { n: 2 })).status, { timeout: 5000 }).toBe(200);
    expect((await leader.ask('GET', 'sys/health')).status).toBe(503);
    expect((await leader.ask('GET', 'secret/data/a')).json.errors).toEqual(['Vault is sealed']);
  });

  test('begins and ends what acts by itself: leases end on whoever leads', async () => {
    const { leader, standby } = await begin();
    const made = await leader.ask('POST', 'auth/token/create', { policies: ['default'], ttl: '3s' });
    const accessor = made.json.auth.accessor;
    await leader.ask('POST', 'sys/step-down');
    await expect
      .poll(async () => (await standby.ask('GET', 'sys/health')).status, { timeout: 5000 })
      .toBe(200);
    await sleep(3500);
    const accessors = await standby.ask('LIST', 'auth/token/accessors').catch(() => undefined);
    expect(accessors?.json.data.keys).not.toContain(accessor);
  });
});
