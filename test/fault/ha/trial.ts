/** A cluster under load behind its balancers, and the verdict over everything that its clients were told. */

import type pg from 'pg';
import { lost, type Operation, settled, staleForTheirOwn } from '../../support/histories.ts';
import { check, type Verdict } from '../../support/histories-checker.ts';
import { keptVersions } from '../../support/histories-kept.ts';
import { type Client, type Load, startLoad, type Way } from '../../support/histories-load.ts';
import {
  type Balanced,
  haproxyMissing,
  nginxMissing,
  startHaproxy,
  startNginx,
} from '../../support/loadbalancer.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../../support/nodes.ts';
import { type Epochs, judgeEpochs, turnsOf, watchEpochs } from '../../support/nodes-epochs.ts';
import type { Node } from '../../support/nodes-process.ts';
import { judgeByPorcupine, porcupine } from '../../support/porcupine.ts';
import type { Random } from '../random.ts';

const MOUNT = 'shared';
const CLIENTS = { balanced: 8, direct: 6 };
/** No version may be dropped before it was looked at. */
const MAX_VERSIONS = 5000;

export interface Trial {
  readonly cluster: Cluster;
  readonly balancers: readonly Balanced[];
  readonly load: Load;
  /** The way to a node itself. */
  readonly direct: (node: number) => Way;
  /** Ends the load, and looks at everything. */
  finish(): Promise<Findings>;
  stop(): Promise<void>;
}

export interface Findings {
  readonly history: readonly Operation[];
  readonly ours: Verdict;
  /** Undefined where Porcupine cannot be had. */
  readonly porcupine: Verdict | undefined;
  readonly staleForTheirOwn: readonly string[];
  readonly lost: readonly string[];
  readonly forbidden: readonly string[];
  readonly epochs: Epochs;
}

/** HAProxy and nginx, as far as this machine has them; a text says which it has not. */
export const balancersHere = (): {
  readonly start: typeof startHere;
  readonly missing: readonly string[];
} => ({
  start: startHere,
  missing: [haproxyMissing(), nginxMissing()].filter((why) => why !== undefined),
});

const startHere = async (nodes: readonly Node[]): Promise<Balanced[]> => [
  ...(haproxyMissing() === undefined ? [await startHaproxy(nodes)] : []),
  ...(nginxMissing() === undefined ? [await startNginx(nodes)] : []),
];

/** @param balance starts what stands before the nodes */
export async function startTrial(
  options: ClusterOptions,
  random: Random,
  balance: (nodes: readonly Node[]) => Promise<readonly Balanced[]>,
): Promise<Trial> {
  const ending: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const cluster = await startCluster(options);
    ending.push(cluster.stop);
    await asked(cluster, watchEpochs);
    const token = await furnish(cluster);
    const balancers = await balance(cluster.nodes);
    ending.push(async () => void (await Promise.all(balancers.map(({ stop: end }) => end()))));
    const direct = (node: number): Way => {
      const { host, port } = cluster.nodes[node]!;
      return { name: `node ${node + 1}`, host, port };
    };
    const all = cluster.nodes.map(({ index }) => direct(index));
    const clients = [
      ...balancers.flatMap((balancer) => Array.from({ length: CLIENTS.balanced }, () => [balancer])),
      ...Array.from({ length: CLIENTS.direct }, () => [...all, ...balancers]),
    ];
    const load = startLoad({ mount: MOUNT, token, clients, random });
    ending.push(load.stop);
    const finish = async (): Promise<Findings> => {
      await load.stop();
      await readEverywhere(load, all);
      return judge(load, cluster, token);
    };
    return { cluster, balancers, load, direct, finish, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the database says to a connection of the test; each time another one, because the database may crash in between. */
async function asked<T>({ admin }: Cluster, ask: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await admin();
  try {
    return await ask(client);
  } finally {
    await client.end();
  }
}

/** The mount, and a token that may use it: one with a policy, so that each request asks for more than its secret. */
async function furnish({ nodes, leader, rootToken: token }: Cluster): Promise<string> {
  const node = await leader();
  await node.ask('POST', `sys/mounts/${MOUNT}`, { token, body: { type: 'kv', options: { version: '2' } } });
  await node.ask('POST', `${MOUNT}/config`, { token, body: { max_versions: MAX_VERSIONS } });
  const policy = `path "${MOUNT}/*" { capabilities = ["create", "read", "update", "delete", "list"] }`;
  await node.ask('PUT', 'sys/policies/acl/clients', { token, body: { policy } });
  const made = await node.ask('POST', 'auth/token/create', {
    token,
    body: { policies: ['clients'], ttl: '1h' },
  });
  if (nodes.length === 0) throw new Error('no node');
  return (made as { auth: { client_token: string } }).auth.client_token;
}

/** Each key once more, by each node: what is acknowledged is everywhere. */
async function readEverywhere(load: Load, ways: readonly Way[]): Promise<void> {
  const keys = [...new Set(load.history.map(({ key }) => key))];
  await Promise.all(
    ways.map(async (way) => {
      const client: Client = load.newClient();
      for (const key of keys) await client.ask(key, { kind: 'read' }, way);
    }),
  );
}

async function judge({ history, forbidden }: Load, cluster: Cluster, token: string): Promise<Findings> {
  const { host, port, index } = await cluster.leader();
  const keys = new Set(history.map(({ key }) => key));
  const kept = await keptVersions({ name: `node ${index + 1}`, host, port }, MOUNT, token, keys);
  const known = settled(history, kept);
  const epochs = judgeEpochs(await asked(cluster, turnsOf));
  // From here on nothing asks the nodes, whose ways to the database wait while this process searches.
  return {
    history,
    ours: check(known),
    porcupine: typeof (await porcupine()) === 'string' ? undefined : await judgeByPorcupine(known),
    staleForTheirOwn: staleForTheirOwn(history),
    lost: lost(history, kept),
    forbidden,
    epochs,
  };
}
