/** The operator while stores, the API server and its own replicas fail: nothing is blanked, nothing is deleted, all is mended. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createKube } from '../../src/kube/client.ts';
import type { Kube } from '../../src/kube/kube.ts';
import { EXTERNAL_SECRETS, SECRETS } from '../../src/operator/api/resources.ts';
import { createOperator } from '../../src/operator/operator.ts';
import type { Operator } from '../../src/operator/options.ts';
import { createRendering } from '../../src/operator/rendering.ts';
import { NO_WAY_OUT } from '../../src/provider/egress.ts';
import { vaultProvider } from '../../src/providers/vault/vault.ts';
import { freshBundle } from '../support/bundle.ts';
import { startCuttingProxy } from '../support/cuttingproxy.ts';
import { type Cluster, pause, startCluster } from './operator/cluster.ts';
import { startController } from './operator/program.ts';
import {
  ISSUING,
  RETRY_AFTER_SECONDS,
  type SickStore,
  type State,
  startSickStore,
} from './operator/store.ts';
import { seeded } from './random.ts';

const KILLS = Number(process.env['HOLDFAST_OPERATOR_KILLS'] ?? 4);
const ILL_MS = 6000;
const OUTAGE_MS = 60_000;
/** What another process may still be at gets a minute, and then it is taken back. */
const TAKEN_BACK_MS = 90_000;
const ACCOUNTS = 6;

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface World {
  readonly cluster: Cluster;
  readonly store: SickStore;
}

async function startWorld(interval: string): Promise<World> {
  const store = await startSickStore();
  ending.push(() => store.close());
  const cluster = await startCluster();
  ending.push(() => cluster.close());
  await cluster.populate({ port: store.port, teams: 4, each: 8, interval });
  return { cluster, store };
}

/** An operator of this process; it ends with the test, or when it is told to. */
function startOperator(kube: Kube): { readonly operator: Operator; stop(): Promise<void> } {
  const operator = createOperator({
    kube,
    providers: [vaultProvider],
    clock: systemClock,
    log: silentLog,
    random: Math.random,
    resolve: (host, port) => ({ host, port }),
    wayOut: { ...NO_WAY_OUT, mayReach: () => true },
    envOf: createRendering({ seed: new Uint8Array(32) }),
  });
  const stopping = new AbortController();
  const running = operator.start(stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
  };
  ending.push(stop);
  return { operator, stop };
}

/** Waits until each Secret of what was issued holds an account that lives. @throws Error with what does not */
async function issuedAndAlive({ cluster, store }: World): Promise<void> {
  const since = Date.now();
  for (;;) {
    const alive = new Set([...store.accounts.values()].map(({ username }) => username));
    const held = await cluster.issued();
    const wrong = held.filter((username) => username === undefined || !alive.has(username));
    if (wrong.length === 0) return;
    if (Date.now() - since > 30_000) throw new Error(`no accounts that live: ${JSON.stringify(held)}`);
    await pause(100);
  }
}

/** Waits until nothing that was issued is left. @throws Error with what is */
async function nothingIssued({ cluster, store }: World, since = Date.now()): Promise<void> {
  while (store.accounts.size > 0) {
    if (Date.now() - since > TAKEN_BACK_MS) {
      const { items } = await cluster.kube.list({ resource: SECRETS });
      const records = items.filter(({ metadata }) => metadata.name.includes('lease')).length;
      throw new Error(
        `leaked: ${JSON.stringify([...store.accounts.keys()])}, with ${records} records of leases left`,
      );
    }
    await pause(200);
  }
}

/** Looks all the time until it is told to stop: no Secret may be empty or gone. */
function keepWatch(cluster: Cluster): { stop(): Promise<void> } {
  let stopped = false;
  const looking = (async () => {
    while (!stopped) {
      for (const [name, value] of await cluster.values()) {
        if (value === undefined) throw new Error(`${name} was deleted`);
        if (value === '') throw new Error(`${name} was blanked`);
      }
      await pause(100);
    }
  })();
  looking.catch(() => {});
  return {
    async stop() {
      stopped = true;
      await looking;
    },
  };
}

describe('a store that is ill', () => {
  test.each<State>(['down', 'sealed', 'slow', 'garbage', 'empty', 'gone', 'limited'])(
    'is %s: every Secret keeps its last good value, and is right within half a minute of its recovery',
    async (state) => {
      const { cluster, store } = await startWorld('1h');
      const { operator, stop } = startOperator(cluster.kube);
      await cluster.right(1);
      const watch = keepWatch(cluster);
      store.state = state;
      store.generation = 2;
      await cluster.forceAll();
      await pause(ILL_MS);
      expect(new Set([...(await cluster.values()).values()].map((value) => value?.split(' ')[1]))).toEqual(
        new Set(['1']),
      );
      // One that is slow has not failed yet.
      if (state !== 'slow')
        expect(operator.externalSecrets().filter(({ ready }) => ready === 'False').length).toBeGreaterThan(0);
      store.state = 'well';
      await cluster.right(2);
      await watch.stop();
      await stop();
      expect([...store.tokens], 'logins that were not given back').toEqual([]);
    },
  );

  test('says "too many" with a time: until then it is left alone by all', async () => {
    const { cluster, store } = await startWorld('1h');
    startOperator(cluster.kube);
    await cluster.right(1);
    store.state = 'limited';
    await cluster.forceAll();
    await pause(4 * RETRY_AFTER_SECONDS * 1000);
    const asked = [...store.refused.values()].reduce((sum, count) => sum + count, 0);
    // Four stores, four times; what was under way at the first refusal came through, too.
    expect(asked).toBeLessThan(4 * 5 + 32);
    expect(asked).toBeGreaterThan(0);
    store.state = 'well';
    await cluster.right(1);
  });

  test('forgets every token in the middle of a sync: new logins, no failure that lasts', async () => {
    const { cluster, store } = await startWorld('1h');
    const { stop } = startOperator(cluster.kube);
    await cluster.right(1);
    const watch = keepWatch(cluster);
    for (let generation = 2; generation <= 4; generation++) {
      store.generation = generation;
      await cluster.forceAll();
      store.expire();
      await cluster.right(generation);
    }
    await watch.stop();
    await stop();
    expect([...store.tokens]).toEqual([]);
  });
});

test.each(['refuse', 'swallow'] as const)(
  'the API server is away for a minute (%s): nothing is lost, and all is right within half a minute of its return',
  async (way) => {
    const { cluster, store } = await startWorld('5s');
    const proxy = await startCuttingProxy(cluster.api.port);
    ending.push(() => proxy.close());
    const kube = createKube({
      server: `https://127.0.0.1:${proxy.port}`,
      ca: cluster.api.caPem,
      token: cluster.api.adminToken,
    });
    ending.push(async () => kube.close());
    startOperator(kube);
    await cluster.right(1);
    const watch = keepWatch(cluster);
    proxy.set(way);
    store.generation = 2;
    // What changes in the meantime was told to nobody.
    await cluster.kube.patch(
      { resource: EXTERNAL_SECRETS, namespace: 'team-0', name: 'app-0' },
      { metadata: { labels: { changed: 'yes' } } },
    );
    await pause(OUTAGE_MS);
    proxy.set('all');
    await cluster.right(2);
    await watch.stop();
    const held = await cluster.kube.get({ resource: SECRETS, namespace: 'team-0', name: 'app-0' });
    expect(held?.metadata.labels).toMatchObject({ changed: 'yes' });
  },
);

test('two operators that do not know of each other end in agreement, and do not write for ever', async () => {
  const { cluster, store } = await startWorld('2s');
  startOperator(cluster.kube);
  startOperator(cluster.kube);
  await cluster.right(1);
  const watch = keepWatch(cluster);
  for (let generation = 2; generation <= 4; generation++) {
    store.generation = generation;
    await cluster.right(generation);
  }
  const versions = async (): Promise<string> => {
    const { items } = await cluster.kube.list({ resource: SECRETS });
    return JSON.stringify(items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  };
  const before = await versions();
  await pause(6000);
  expect(await versions()).toBe(before);
  await watch.stop();
});

test(`of two replicas one is killed, ${KILLS} times: nothing is blanked, no lease leaked, and all is right within half a minute`, async () => {
  const random = seeded('kills of the operator');
  const bundle = await freshBundle('operator-kills');
  ending.push(() => bundle.remove());
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-operator-'));
  ending.push(() => rm(folder, { recursive: true, force: true }));
  const world = await startWorld('2s');
  const { cluster, store } = world;
  await cluster.populateIssued(ISSUING, ACCOUNTS);
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, cluster.api.kubeconfig(), { mode: 0o600 });
  const egress = ['--egress-allow', `127.0.0.1:${store.port}`];
  let generation = 1;
  for (const mode of ['--enable-sharding', '--enable-leader-election']) {
    const start = () => {
      const made = startController(bundle.file, kubeconfig, [mode, ...egress]);
      ending.push(() => made.kill('SIGKILL'));
      return made;
    };
    const replicas = [start(), start()];
    /** With what the replicas said, where it does not come true. */
    const right = (): Promise<void> =>
      cluster.right(generation).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${replicas.map((one) => one.output()).join('\n--\n')}`);
      });
    await right();
    await issuedAndAlive(world);
    const watch = keepWatch(cluster);
    for (let kill = 0; kill < KILLS / 2; kill++) {
      store.generation = ++generation;
      // Before, at and after the moment of the kill, somewhere on the way of a new account.
      const issuing = pause(random.below(3000)).then(() => cluster.forceIssued(() => random.below(2) === 0));
      await pause(random.below(3000));
      expect(replicas.map(({ child }) => child.exitCode)).toEqual([null, null]);
      const at = random.below(2);
      const [victim] = replicas.splice(at, 1, start());
      await victim?.kill('SIGKILL');
      await issuing;
      await right();
      await issuedAndAlive(world);
    }
    await watch.stop();
    if (mode === '--enable-leader-election') {
      // Those that were replaced work for a grace; all go when nobody wants them.
      expect(store.accounts.size).toBeGreaterThan(ACCOUNTS);
      await cluster.removeIssued();
      await nothingIssued(world);
    }
    await Promise.all(replicas.map((one) => one.kill('SIGTERM')));
    for (const one of replicas) expect(one.output()).not.toMatch(/"level":"error"|base\.internal|Warning/);
  }
});
