/** Several services of this program in one process, over a PostgreSQL of this machine, each with a way to it that can be cut. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import { sleep } from '../../src/base/retry.ts';
import { type Service, startService } from '../../src/bin/server/service.ts';
import { readServerConfig } from '../../src/server/config/config.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/cuttingproxy.ts';
import { hasPostgresql, KEEPER, ROOT, type Started, startPostgresql } from './database-servers.ts';

const found = hasPostgresql();
if (!found) console.warn('SKIPPED test/real/ha: no initdb on the PATH, or no user postgres');

interface Node {
  readonly service: Service;
  readonly proxy: CuttingProxy;
  readonly url: string;
  readonly lines: string[];
  ask(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
  ): Promise<{
    readonly status: number;
    readonly code: string | null;
    readonly ms: number;
    // biome-ignore lint/suspicious/noExplicitAny: tests read answers of many shapes, and a wrong one fails there
    readonly json: any;
  }>;
}

describe.skipIf(!found)('a cluster over PostgreSQL', () => {
  let postgres: Started;
  let count = 0;
  const nodes: Node[] = [];
  let root = '';
  let keys: string[] = [];
  beforeAll(async () => {
    postgres = await startPostgresql();
  });
  afterEach(async () => {
    for (const { proxy } of nodes) proxy.set('all');
    await Promise.all(nodes.map(({ service }) => service.close(50)));
    await Promise.all(nodes.splice(0).map(({ proxy }) => proxy.close()));
  });
  afterAll(async () => {
    await postgres?.stop();
  });

  const start = async (table: string): Promise<Node> => {
    const proxy = await startCuttingProxy(postgres.port);
    const text = `storage "postgresql" {
      connection_url = "postgres://${KEEPER}:${ROOT}@127.0.0.1:${proxy.port}/postgres?sslmode=disable"
      table = "${table}"
    }
    listener "tcp" { address = "127.0.0.1:0" tls_disable = true }`;
    const lines: string[] = [];
    const at = (message: string): void => void lines.push(message);
    const log: Log = { ...silentLog, info: at, warn: at, error: at, with: () => log };
    const config = readServerConfig([{ name: 'a.hcl', text }], {});
    const service = await startService(config, { log, clock: systemClock, env: {} });
    const url = `http://127.0.0.1:${service.listeners[0]?.address.port}`;
    const node: Node = {
      service,
      proxy,
      url,
      lines,
      async ask(method, path, body, token = root) {
        const began = performance.now();
        const response = await fetch(`${url}/v1/${path}`, {
          method,
          headers: { 'x-vault-token': token },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const told = await response.text();
        const code = response.headers.get('x-holdfast-code');
        const json = told === '' ? undefined : JSON.parse(told);
        return { status: response.status, code, ms: performance.now() - began, json };
      },
    };
    nodes.push(node);
    return node;
  };
  const health = async (node: Node): Promise<number> => (await node.ask('GET', 'sys/health')).status;
  const until = (what: () => Promise<boolean>, timeout = 20_000) =>
    expect.poll(() => what().catch(() => false), { timeout, interval: 25 }).toBe(true);
  /** Nodes that are open, the first of which leads, over a mount of KV v2. */
  const cluster = async (size: number): Promise<Node[]> => {
    const table = `ha_${++count}`;
    const first = await start(table);
    const made = await first.ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
    root = made.json.root_token;
    keys = made.json.keys;
    for (let i = 1; i < size; i++) await start(table);
    for (const node of nodes) await node.ask('PUT', 'sys/unseal', { key: keys[0] });
    await until(async () => (await health(first)) === 200);
    expect((await first.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' })).status).toBe(204);
    return [...nodes];
  };
  const put = (node: Node, n: number) => node.ask('POST', 'secret/data/a', { data: { n } });
  const got = async (node: Node): Promise<number | undefined> =>
    (await node.ask('GET', 'secret/data/a')).json?.data?.data?.n;

  test('answers the same on each node at once, whoever was asked to write', async () => {
    const [a, b, c] = (await cluster(3)) as [Node, Node, Node];
    for (let n = 1; n <= 60; n++) {
      const all = [a, b, c];
      const written = await put(all[n % 3] as Node, n);
      expect(written.status).toBe(200);
      expect(await Promise.all(all.map(got))).toEqual([n, n, n]);
    }
  });

  test('has another leader as soon as one ends in order', async () => {
    const [a, b] = (await cluster(2)) as [Node, Node];
    await put(a, 1);
    await a.service.close(50);
    await until(async () => (await put(b, 2)).status === 200, 5000);
    expect(await got(b)).toBe(2);
  });

  test.each(['refuse', 'swallow'] as const)(
    'loses nothing when the way of its leader to the database is cut (%s): it answers no more, another leads, and it follows once the way is there again',
    async (how) => {
      const [a, b] = (await cluster(2)) as [Node, Node];
      await put(a, 1);
      expect(await got(a)).toBe(1);
      a.proxy.set(how);
      const cut = performance.now();
      await until(async () => (await put(b, 2)).status === 200);
      const failover = performance.now() - cut;
      const stale = await a.ask('GET', 'secret/data/a');
      // It may hand the question on: what it must not do is answer from what it remembers.
      expect(stale.status === 503 || stale.json.data.data.n === 2).toBe(true);
      console.info(
        `cut (${how}): ${Math.round(failover)} ms until another node took a write; told in ${Math.round(stale.ms)} ms: ${stale.status} ${stale.code ?? ''}`,
      );
      await sleep(2000);
      a.proxy.set('all');
      const back = performance.now();
      await until(async () => (await got(a)) === 2);
      expect((await put(a, 3)).status).toBe(200);
      expect(await got(b)).toBe(3);
      console.info(`back after ${Math.round(performance.now() - back)} ms`);
    },
    60_000,
  );

  test.each(['refuse', 'swallow'] as const)(
    'tells at once that the database is away (%s), and goes on without a restart',
    async (how) => {
      const [a, b] = (await cluster(2)) as [Node, Node];
      await put(a, 1);
      for (const { proxy } of nodes) proxy.set(how);
      await sleep(4000);
      const told = await Promise.all([got, (node: Node) => put(node, 2)].flatMap((ask) => [ask(a), ask(b)]));
      const asked = await Promise.all([
        a.ask('GET', 'secret/data/a'),
        put(b, 3),
        a.ask('GET', 'sys/seal-status'),
      ]);
      console.info(
        `away (${how}): ${asked.map(({ status, code, ms }) => `${status} ${code} ${Math.round(ms)} ms`).join(', ')}`,
      );
      expect(asked.map(({ status }) => status)).toEqual([503, 503, 200]);
      expect(told[0]).toBeUndefined();
      for (const { proxy } of nodes) proxy.set('all');
      const back = performance.now();
      await until(async () => (await put(b, 4)).status === 200);
      console.info(`back after ${Math.round(performance.now() - back)} ms`);
      expect(await got(a)).toBe(4);
    },
    60_000,
  );
});
