/**
 * The platform in one process: server, embedded Kubernetes API and operator, wired. `holdfast dev` tells its stages to a
 * person; tests start it in memory. What is here is wiring alone: every decision stands in a room.
 */

import { mkdir } from 'node:fs/promises';
import { type ApiServer, startApiServer } from '../../apiserver/server.ts';
import { base64, fromBase64 } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Tracer } from '../../base/trace/tracer.ts';
import { VaultClient } from '../../client/client.ts';
import { createKube, type KubeClient } from '../../kube/client.ts';
import { createAuditBroker } from '../../server/audit/broker.ts';
import { createDial, createMayReach, type DialOptions } from '../../server/http/dial.ts';
import { type Listener, listen } from '../../server/http/listener.ts';
import type { AuditWorld } from '../../server/options.ts';
import { createServer, type Server } from '../../server/server.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Backend, Write } from '../../storage/storage.ts';
import { auditLinks } from '../auditlinks.ts';
import { locator } from '../databases.ts';
import { plugins } from '../plugins.ts';
import { probes } from '../probes.ts';
import type { Home, Keys } from './home.ts';
import { VAULT_NAMESPACE } from './kubernetes.ts';
import { isLoopback, listenNear, type Resolve, resolver } from './network.ts';
import type { DevOptions, HostPort } from './options.ts';

export interface Platform {
  readonly api: ApiServer;
  readonly kube: KubeClient;
  readonly server: Server;
  readonly listener: Listener;
  /** A client with the root token, for bringing the server to where it shall be. */
  readonly root: VaultClient;
  readonly keys: Keys;
  readonly resolve: Resolve;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly fresh: boolean;
  /** Ports that could not be the default ones. */
  readonly moved: readonly string[];
  close(): Promise<void>;
}

const VAULT_PORT: HostPort = { host: '127.0.0.1', port: 8200 };
const KUBE_PORT: HostPort = { host: '127.0.0.1', port: 6443 };

/** Starts server and Kubernetes API: initialized and unsealed before anything listens. */
export async function startPlatform(
  options: Pick<DevOptions, 'address' | 'kubeAddress' | 'resolve'> & {
    /** What answers as the Kubernetes API; absent: the embedded one. */
    readonly startApi?: typeof startApiServer;
    readonly tracer?: Tracer;
  },
  home: Home,
  log: Log,
): Promise<Platform> {
  const closing: (() => Promise<void>)[] = [];
  const tracing = options.tracer === undefined ? {} : { tracer: options.tracer };
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const stores = { server: await openStore(home, 'server'), kube: await openStore(home, 'kube') };
    closing.push(
      () => stores.server.close(),
      () => stores.kube.close(),
    );
    if (await home.diedBeforeKeys()) await empty(stores.server);
    let resolve: Resolve = (host, port) => ({ host, port });
    const wayOut: DialOptions = {
      target: (host, port) => resolve(host, port),
      allow: ({ ip }) => isLoopback(ip),
    };
    let apiAddress = '';
    const server = await createServer({
      backend: stores.server,
      apiAddress: () => apiAddress,
      plugins: plugins(undefined, locator(wayOut), {}, probes(wayOut)),
      clock: systemClock,
      log: log.with({ program: 'server' }),
      dial: createDial(wayOut),
      mayReach: createMayReach(wayOut),
      audit: (world) => openAudit(world, wayOut),
      ...tracing,
    });
    closing.push(() => server.close());
    const { keys, fresh } = await openBarrier(server, home);

    const kubeAt = await listenNear(options.kubeAddress, KUBE_PORT, ({ host, port }) =>
      (options.startApi ?? startApiServer)({
        backend: stores.kube,
        host,
        port,
        clock: systemClock,
        log: log.with({ program: 'apiserver' }),
      }),
    );
    const api = kubeAt.value;
    closing.push(() => api.close());
    resolve = resolver((host, port) => serviceOf(api, host, port), options.resolve, api.caPem);

    const names = [...options.resolve.keys()].map((at) => at.replace(/:\d+$/, ''));
    const tls = await api.issue({ names: ['localhost', ...names], ips: ['127.0.0.1'] });
    const vaultAt = await listenNear(options.address, VAULT_PORT, ({ host, port }) =>
      listen(server, {
        host,
        port,
        tls: { cert: tls.certificate, key: tls.key },
        plainToo: true,
        allowedHosts: hostsOf(host, names),
      }),
    );
    const listener = vaultAt.value;
    apiAddress = urlOf(listener.address);
    closing.push(() => listener.close(500));
    for (const store of Object.values(stores)) store.setOwner?.(`holdfast dev on ${urlOf(listener.address)}`);

    const kube = createKube({ server: api.url, ca: api.caPem, token: api.adminToken });
    const root = new VaultClient({ address: urlOf(listener.address), token: keys.rootToken, retries: 0 });
    closing.push(async () => root.close());
    const moved = [
      ...(vaultAt.moved
        ? [`port ${VAULT_PORT.port} is taken: the server listens on ${listener.address.port}`]
        : []),
      ...(kubeAt.moved ? [`port ${KUBE_PORT.port} is taken: the Kubernetes API listens on ${api.port}`] : []),
    ];
    return { api, kube, server, listener, root, keys, resolve, ...tracing, fresh, moved, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Services with an address; the API itself is one. */
function serviceOf(api: ApiServer, host: string, port: number): HostPort | undefined {
  if (/^kubernetes\.default(\.svc(\.cluster\.local)?)?$/.test(host))
    return { host: new URL(api.url).hostname, port: api.port };
  const found = api.resolveService(host, port);
  return found?.host === undefined || found.port === undefined
    ? undefined
    : { host: found.host, port: found.port };
}

export const urlOf = (at: HostPort): string =>
  `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${at.port}`;

/** The names that this listener answers to: a page that rebinds a name of its own to loopback is not answered. */
function hostsOf(host: string, names: readonly string[]): string[] {
  const services = [VAULT_NAMESPACE, 'vault'].flatMap((space) =>
    ['', '.svc', '.svc.cluster.local'].map((tail) => `vault.${space}${tail}`),
  );
  return [host, 'localhost', '127.0.0.1', '::1', ...names, ...services];
}

type Store = Backend & { setOwner?(owner: string): void };

async function openStore(home: Home, name: string): Promise<Store> {
  const folder = home.store(name);
  if (folder === undefined) return new MemoryBackend();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return openLmdb(folder);
}

/** Takes everything out of a store, in one commit: half a store must not look like a whole one. */
async function empty(store: Backend): Promise<void> {
  const writes: Write[] = [];
  for await (const { key } of store.scan('', new AbortController().signal))
    writes.push({ key, delete: true });
  await store.commit(writes);
}

async function openAudit(world: AuditWorld, wayOut: DialOptions) {
  const broker = createAuditBroker({ ...world, openLink: auditLinks(wayOut) });
  await broker.load();
  return broker;
}

/** Initializes what is new, with one share, and unseals it. */
async function openBarrier(server: Server, home: Home): Promise<{ keys: Keys; fresh: boolean }> {
  const status = await server.seal.status();
  if (!status.initialized) {
    await home.awaitKeys();
    const made = await server.seal.initialize(1, 1);
    const [share] = made.keys;
    if (share === undefined) throw failure('base.internal');
    const keys = { unsealKey: base64(share), rootToken: made.rootToken };
    await home.keepKeys(keys);
    if ((await server.seal.status()).sealed) await server.seal.submit(share);
    return { keys, fresh: true };
  }
  const keys = await home.keys();
  const share = keys === undefined ? undefined : fromBase64(keys.unsealKey);
  if (keys === undefined || share === undefined) throw failure('dev.no_keys', { folder: home.folder });
  await server.seal.submit(share);
  return { keys, fresh: false };
}
