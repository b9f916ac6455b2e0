/**
 * Several nodes of one cluster, each a process of the built program with a folder, an address and a way to the database
 * of its own, over a PostgreSQL that is started for them. What a test breaks, and sees broken, goes through here.
 */

import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { KEEPER, ROOT, type Started, startPostgresql } from '../real/database-servers.ts';
import { startCuttingProxy } from './cuttingproxy.ts';
import { layNetwork, type Network } from './nodes-network.ts';
import { makeNode, type Node } from './nodes-process.ts';
import { eventually } from './platform.ts';
import { freePort } from './ports.ts';

/** The program under test; another build of it where the environment names one. */
const PROGRAM =
  process.env['HOLDFAST_BUNDLE'] ?? fileURLToPath(new URL('../../dist/holdfast.js', import.meta.url));
const SHARES = { secret_shares: 3, secret_threshold: 2 };
const SERVE_MS = 30_000;

export interface Cluster {
  readonly nodes: readonly Node[];
  readonly network: Network;
  readonly database: Started;
  /** A connection of the test to the database, which no fault but the end of the database touches. */
  readonly admin: () => Promise<pg.Client>;
  /** The address that the database sees a node come from. */
  readonly from: (node: number) => string;
  readonly rootToken: string;
  /** Starts a node that is not running, and opens it with the key shares. */
  start(node: number): Promise<void>;
  /** The node that says of itself that it leads. @throws Error where none does in time */
  leader(): Promise<Node>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly nodes: number;
  /** More of each node's configuration file. */
  readonly config?: string;
  /** false: the loopback interface, even where namespaces could be had. */
  readonly namespaces?: boolean;
}

/** The address that the database sees the connections of a node come from. */
const sourceOf = (node: number): string => `127.0.0.${11 + node}`;

/** Starts the database and all nodes, initializes the store through the first, and opens each of them. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run these tests with npm run test:fault`);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-nodes-'));
  chmodSync(folder, 0o755);
  const ending: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const access = join(folder, 'pg_hba.conf');
    writeFileSync(access, 'host all all 127.0.0.0/8 scram-sha-256\n', { mode: 0o644 });
    // It flushes what it acknowledges: the times that are measured are those of a real one.
    const database = await startPostgresql(KEEPER, ['-c', `hba_file=${access}`, '-c', 'max_connections=200']);
    ending.push(() => database.stop());
    const admin = async (): Promise<pg.Client> => {
      const client = new pg.Client(loginTo('127.0.0.1', database.port));
      client.on('error', () => {});
      await client.connect();
      return client;
    };
    const network = await layNetwork(options.nodes, options.namespaces);
    ending.push(() => network.close());
    const nodes: Node[] = [];
    for (const [index, place] of network.places.entries()) {
      const proxy = await startCuttingProxy(database.port, {
        host: place.databaseHost,
        from: sourceOf(index),
      });
      ending.push(() => proxy.close());
      const ports =
        place.under.length > 0
          ? { api: 8200, cluster: 8201 }
          : { api: await freePort(), cluster: await freePort() };
      const home = join(folder, `node${index + 1}`);
      const node = makeNode({ index, place, ports, home, proxy, network, program: PROGRAM }, (at) =>
        configOf({ ...at, database: `${place.databaseHost}:${proxy.port}`, more: options.config ?? '' }),
      );
      ending.push(() => node.kill('SIGKILL'));
      nodes.push(node);
    }
    const [first] = nodes;
    if (first === undefined) throw new Error('a cluster has one node at least');
    await first.start();
    const { keys, root_token: rootToken } = (await first.ask('PUT', 'sys/init', { body: SHARES })) as {
      keys: string[];
      root_token: string;
    };
    const open = async (node: Node): Promise<void> => {
      for (const key of keys.slice(0, SHARES.secret_threshold))
        await node.ask('PUT', 'sys/unseal', { body: { key } });
      await eventually(
        `node ${node.index + 1} is open`,
        async () => ((await node.health()).open ? true : undefined),
        SERVE_MS,
      );
    };
    const start = async (node: number): Promise<void> => {
      const one = nodes[node];
      if (one === undefined) throw new Error(`there is no node ${node}`);
      await one.start();
      await open(one);
    };
    await open(first);
    for (const node of nodes.slice(1)) await start(node.index);
    const leader = (): Promise<Node> =>
      eventually(
        'one of the nodes leads',
        async () => {
          const told = await Promise.all(nodes.map((node) => node.health()));
          return nodes.find((_, index) => told[index]?.leads === true);
        },
        SERVE_MS,
      );
    return { nodes, network, database, admin, from: sourceOf, rootToken, start, leader, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const loginTo = (host: string, port: number): pg.ClientConfig => ({
  host,
  port,
  user: KEEPER,
  password: ROOT,
  database: 'postgres',
  ssl: false,
  connectionTimeoutMillis: 5000,
});

const configOf = (at: {
  readonly host: string;
  readonly api: number;
  readonly cluster: number;
  readonly database: string;
  readonly more: string;
}): string => `
storage "postgresql" {
  connection_url = "postgresql://${KEEPER}:${ROOT}@${at.database}/postgres?sslmode=disable"
}
listener "tcp" {
  address = "${at.host}:${at.api}"
  cluster_address = "${at.host}:${at.cluster}"
  tls_disable = true
}
api_addr = "http://${at.host}:${at.api}"
cluster_addr = "https://${at.host}:${at.cluster}"
log_level = "info"
disable_mlock = true
${at.more}`;
