/** What nodes know each other by, and what becomes of them when the keys of the store change. */

import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { kv } from '../../engines/kv/index.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { AutoSeal } from '../seal/seal.ts';
import { createServer } from '../server.ts';
import { listenForNodes, type Serving } from './listener.ts';
import { connectPinned, PinnedAgent, tlsOptions, Unreached } from './pinned.ts';
import { type ClusterIdentity, ensureIdentity } from './record.ts';
import { QUICK, SharedStore, startCluster, type TestCluster, type TestNode, Way } from './testing.ts';
import { ROUTES } from './wire.ts';

let cluster: TestCluster | undefined;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
  for (const close of closing.splice(0)) await close();
});

const identity = (): Promise<ClusterIdentity> => ensureIdentity(new MemoryBackend(), Date.now());
const serving = (seen: string[] = []): Serving => ({
  lead: async ({ path }) => {
    seen.push(path.text);
    return { kind: 'done' };
  },
  keep: async () => undefined,
  greeted: () => {},
  rootKey: () => undefined,
  events: () => {},
});

describe('nodes', () => {
  test('know each other by one certificate, made once and kept', async () => {
    const store = new MemoryBackend();
    const first = await ensureIdentity(store, Date.now());
    expect(await ensureIdentity(store, Date.now())).toEqual(first);
    expect((await identity()).certificate).not.toBe(first.certificate);
  });

  test('let nobody in who has another certificate, or none, and send nothing to who has another', async () => {
    const [own, other] = [await identity(), await identity()];
    const seen: string[] = [];
    const listener = await listenForNodes(serving(seen), { host: '127.0.0.1', port: 0, identity: own });
    closing.push(() => listener.close());
    const at = { host: '127.0.0.1', port: listener.port };
    await expect(connectPinned(at, other, 1000)).rejects.toBeInstanceOf(Unreached);
    for (const shown of [tlsOptions(other), {}]) {
      const socket = connect({
        ...at,
        ...shown,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      socket.on('error', () => {});
      socket.write(`POST ${ROUTES.request} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
      let told = '';
      socket.on('data', (data) => {
        told += String(data);
      });
      await once(socket, 'close');
      expect(told).toBe('');
    }
    expect(seen).toEqual([]);
    const socket = await connectPinned(at, own, 1000);
    expect(socket.getProtocol()).toBe('TLSv1.3');
    socket.destroy();
  });

  test('refuse what is no request of a node, from a node as well', async () => {
    const own = await identity();
    const listener = await listenForNodes(serving(), { host: '127.0.0.1', port: 0, identity: own });
    closing.push(() => listener.close());
    const agent = new PinnedAgent(own, 1000);
    const ask = (path: string, headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request(
          { host: '127.0.0.1', port: listener.port, agent, method: 'POST', path, headers },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode);
          },
        )
          .once('error', reject)
          .end('x');
      });
    expect(await ask(ROUTES.request, {})).toBe(400);
    expect(await ask(ROUTES.request, { 'x-holdfast-head': 'e30' })).toBe(400);
    expect(await ask(ROUTES.commit, {})).toBe(400);
    expect(await ask(ROUTES.hello, {})).toBe(400);
    expect(await ask(ROUTES.rootKey, {})).toBe(421);
    expect(await ask('/v1/sys/health', {})).toBe(400);
    agent.destroy();
  });
});

describe('when the keys change', () => {
  const begin = async (): Promise<{ leader: TestNode; standby: TestNode }> => {
    cluster = await startCluster([kv], ['a', 'b']);
    const leader = await cluster.leader();
    await leader.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
    return { leader, standby: await cluster.standby() };
  };
  const takesOver = async (leader: TestNode, standby: TestNode): Promise<void> => {
    expect((await leader.ask('POST', 'sys/step-down')).status).toBe(204);
    await expect
      .poll(async () => (await standby.ask('GET', 'sys/health')).status, { timeout: 5000 })
      .toBe(200);
    expect((await standby.ask('POST', 'secret/data/b', { data: { n: 2 } })).status).toBe(200);
    expect((await leader.ask('GET', 'secret/data/b')).json.data.data).toEqual({ n: 2 });
  };

  test('a standby reads what is sealed by a new term, and leads with it', async () => {
    const { leader, standby } = await begin();
    for (let n = 1; n <= 3; n++) {
      expect((await leader.ask('POST', 'sys/rotate')).status).toBeLessThan(300);
      await leader.ask('POST', 'secret/data/a', { data: { n } });
      expect((await standby.ask('GET', 'secret/data/a')).json.data.data).toEqual({ n });
    }
    await takesOver(leader, standby);
  });

  test('a standby has a new root key from the leader, and the old shares open nothing any more', async () => {
    const { leader, standby } = await begin();
    const started = await standby.ask('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 });
    expect(started.status).toBe(200);
    const old = cluster?.keys[0] ?? new Uint8Array();
    const done = await leader.ask('PUT', 'sys/rekey/update', {
      key: Buffer.from(old).toString('base64'),
      nonce: started.json.nonce,
    });
    expect(done.json.complete).toBe(true);
    await leader.ask('POST', 'secret/data/a', { data: { n: 1 } });
    expect((await standby.ask('GET', 'secret/data/a')).json.data.data).toEqual({ n: 1 });
    expect((await standby.ask('GET', 'sys/seal-status')).json.sealed).toBe(false);
    await takesOver(leader, standby);
    expect((await leader.ask('POST', 'sys/seal')).status).toBe(204);
    await expect.poll(async () => (await leader.ask('GET', 'sys/health')).status).toBe(503);
    await expect(leader.server.seal.submit(Uint8Array.from(old))).rejects.toMatchObject({
      code: 'seal.wrong_shares',
    });
    const fresh = Buffer.from(done.json.keys_base64[0], 'base64');
    expect(await leader.server.seal.submit(fresh)).toMatchObject({ sealed: false });
  });
});

test('a node with a seal opens once another one has initialized the store', async () => {
  const store = new SharedStore();
  const flipped = async (bytes: Uint8Array): Promise<Uint8Array> => bytes.map((byte) => byte ^ 0x5a);
  const active: AutoSeal = {
    type: 'vault',
    wrap: flipped,
    unwrap: flipped,
    generation: () => '1',
    close: () => {},
  };
  const start = async (hostname: string) => {
    const way = new Way(store, systemClock);
    const server = await createServer({
      backend: way.backend(),
      plugins: [kv],
      clock: systemClock,
      log: silentLog,
      seals: { active },
      dial: async () => ({ status: 599, body: new Uint8Array() }),
      cluster: { leadership: way, hostname, clusterAddress: () => '', pace: QUICK },
    });
    closing.push(() => server.close());
    return server;
  };
  const [first, second] = [await start('a'), await start('b')];
  expect((await second.seal.status()).sealed).toBe(true);
  await first.seal.initialize(1, 1);
  expect((await first.seal.status()).sealed).toBe(false);
  await expect.poll(async () => (await second.seal.status()).sealed, { timeout: 5000 }).toBe(false);
});
