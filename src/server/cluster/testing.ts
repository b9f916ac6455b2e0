/** Several nodes in one process, over one store in memory and one fake lease: as fast as calls, and every fault at hand. */

import type { Clock } from '../../base/clock.ts';
import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { type Log, silentLog } from '../../base/log.ts';
import type { PluginType } from '../../plugin/plugin.ts';
import type { Leader, Leadership } from '../../storage/leadership.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Backend, Check, Write } from '../../storage/storage.ts';
import { type Listener, listen } from '../http/listener.ts';
import { createServer, type Server } from '../server.ts';
import type { Pace } from './tenure.ts';

/** The state row that all nodes see. */
export class SharedStore {
  readonly backend = new MemoryBackend();
  epoch = 0;
  leader: (Leader & { until: number }) | undefined;
  /** Every commit that was kept, by the epoch under which it was. */
  readonly epochs: number[] = [];
}

/** One node's way to the store, which can be cut and slowed. */
export class Way implements Leadership {
  readonly #store: SharedStore;
  readonly #clock: Clock;
  #lease: { epoch: number; ttlMs: number; until: number } | undefined;
  cutOff = false;
  /** What a read meets before it is answered. */
  delay: () => Promise<void> | undefined = () => undefined;
  /** What a change meets before this node hears of it. */
  lateness: () => Promise<void> | undefined = () => undefined;
  /** Whether this node's process sleeps: it renews nothing. */
  asleep = false;

  constructor(store: SharedStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async campaign(node: Omit<Leader, 'epoch'>, ttlMs: number): Promise<number | undefined> {
    this.#reach();
    const { leader } = this.#store;
    const now = this.#clock.monotonic();
    if (leader !== undefined && leader.until > now && leader.id !== node.id) return undefined;
    const epoch = ++this.#store.epoch;
    this.#store.leader = { ...node, epoch, until: now + ttlMs };
    this.#lease = { epoch, ttlMs, until: now + ttlMs };
    return epoch;
  }

  async renew(): Promise<boolean> {
    this.#reach();
    const lease = this.#lease;
    if (lease === undefined) return false;
    if (this.#store.epoch !== lease.epoch || this.#store.leader === undefined) {
      this.#lease = undefined;
      return false;
    }
    const until = this.#clock.monotonic() + lease.ttlMs;
    this.#store.leader = { ...this.#store.leader, until };
    lease.until = until;
    return true;
  }

  async resign(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    this.#reach();
    if (lease !== undefined && this.#store.epoch === lease.epoch) this.#store.leader = undefined;
  }

  async leader(): Promise<Leader | undefined> {
    this.#reach();
    const { leader } = this.#store;
    return leader !== undefined && leader.until > this.#clock.monotonic() ? leader : undefined;
  }

  holds(): boolean {
    return this.#lease !== undefined && this.#clock.monotonic() < this.#lease.until;
  }

  /** The store as this node has it: fenced by its epoch, and cut off when its way is. */
  backend(): Backend {
    const { backend } = this.#store;
    const reached = async <T>(work: () => Promise<T>): Promise<T> => {
      this.#reach();
      await this.delay();
      return work();
    };
    const changes = (after: number, signal: AbortSignal) => backend.changes(after, signal);
    const told = async (): Promise<void> => {
      await this.lateness();
      this.#reach();
    };
    return {
      name: 'shared',
      get: (key) => reached(() => backend.get(key)),
      getMany: (keys) => reached(() => backend.getMany(keys)),
      list: (prefix, page) => reached(() => backend.list(prefix, page)),
      scan: (prefix, signal) => backend.scan(prefix, signal),
      head: () => reached(() => backend.head()),
      commit: (writes, checks) => reached(() => this.#commit(writes, checks)),
      async *changes(after, signal) {
        for await (const change of changes(after, signal)) {
          await told();
          yield change;
        }
      },
      close: async () => {},
    };
  }

  async #commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    if (this.#lease === undefined || this.#store.epoch !== this.#lease.epoch) throw failure('storage.fenced');
    this.#store.epochs.push(this.#lease.epoch);
    return this.#store.backend.commit(writes, checks);
  }

  #reach(): void {
    if (this.cutOff || this.asleep) throw failure('storage.database', { reason: 'it is cut off' });
  }
}

export interface TestNode {
  readonly name: string;
  readonly server: Server;
  readonly way: Way;
  readonly listener: Listener;
  readonly url: string;
  readonly lines: { readonly level: string; readonly message: string }[];
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<NodeReply>;
  close(): Promise<void>;
}

export interface NodeReply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of many shapes, and a wrong one fails there
  readonly json: any;
}

export interface TestCluster {
  readonly store: SharedStore;
  readonly nodes: TestNode[];
  root: string;
  keys: readonly Uint8Array[];
  /** One node more, unsealed. */
  join(name: string): Promise<TestNode>;
  leader(): Promise<TestNode>;
  standby(): Promise<TestNode>;
  close(): Promise<void>;
}

/** Short enough for tests on a machine that is busy with others. */
export const QUICK: Partial<Pace> = {
  ttlMs: 1500,
  renewMs: 150,
  campaignMs: 50,
  stepDownMs: 1500,
  patienceMs: 3000,
  drainMs: 1000,
};

export async function startCluster(
  plugins: readonly PluginType[],
  names: readonly string[],
  {
    clock = systemClock,
    pace = QUICK,
    noClustering = false,
  }: { readonly clock?: Clock; readonly pace?: Partial<Pace>; readonly noClustering?: boolean } = {},
): Promise<TestCluster> {
  const store = new SharedStore();
  const cluster: TestCluster = {
    store,
    nodes: [],
    root: '',
    keys: [],
    async join(name) {
      const lines: TestNode['lines'] = [];
      const log = logTo(lines);
      const way = new Way(store, clock);
      let url = '';
      const server = await createServer({
        backend: way.backend(),
        plugins,
        clock,
        log,
        dial: async () => ({ status: 599, body: new Uint8Array() }),
        apiAddress: () => url,
        cluster: {
          leadership: way,
          hostname: name,
          ...(noClustering ? {} : { bind: { host: '127.0.0.1', port: 0 } }),
          clusterAddress: (port) => `https://127.0.0.1:${port}`,
          pace,
        },
      });
      const listener = await listen(server, { host: '127.0.0.1', port: 0 });
      url = `http://127.0.0.1:${listener.address.port}`;
      if (cluster.keys.length === 0) {
        const made = await server.seal.initialize(1, 1);
        cluster.keys = made.keys;
        cluster.root = made.rootToken;
      }
      for (const key of cluster.keys) await server.seal.submit(Uint8Array.from(key));
      const node: TestNode = {
        name,
        server,
        way,
        listener,
        url,
        lines,
        async ask(method, path, body, headers = {}) {
          const response = await fetch(`${url}/v1/${path}`, {
            method,
            redirect: 'manual',
            headers: { 'x-vault-token': cluster.root, ...headers },
            ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
          });
          const text = await response.text();
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          return { status: response.status, headers: response.headers, json };
        },
        async close() {
          await listener.close(100);
          await server.close();
        },
      };
      cluster.nodes.push(node);
      return node;
    },
    leader: () => awaited(cluster, 200),
    standby: () => awaited(cluster, 429),
    async close() {
      await Promise.all(cluster.nodes.map((node) => node.close()));
    },
  };
  for (const name of names) await cluster.join(name);
  return cluster;
}

/** The first node whose health has this status, once there is one. */
async function awaited(cluster: TestCluster, status: number): Promise<TestNode> {
  for (;;) {
    for (const node of cluster.nodes) {
      const health = await node.ask('GET', 'sys/health').catch(() => undefined);
      if (health?.status === status && !node.way.asleep) return node;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function logTo(lines: { level: string; message: string }[]): Log {
  const at =
    (level: string) =>
    (message: string): void => {
      lines.push({ level, message });
    };
  const log: Log = {
    ...silentLog,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: () => log,
  };
  return log;
}
