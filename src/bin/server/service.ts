/**
 * A server that stands: store, core and listeners, as the configuration has them, and what may change while it runs.
 * Wiring alone; it starts sealed, and people or a seal open it.
 */

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { createKube, inClusterConfig } from '../../kube/client.ts';
import type { ManagedAuditBroker } from '../../server/audit/broker.ts';
import { createAuditBroker } from '../../server/audit/broker.ts';
import type { ServerConfig } from '../../server/config/config.ts';
import { allows, type EgressRule } from '../../server/config/egress.ts';
import type { ListenerSettings } from '../../server/config/listener.ts';
import { createDial, createMayReach, type DialOptions } from '../../server/http/dial.ts';
import { type Listener, listen } from '../../server/http/listener.ts';
import { createServer, REPORTED_VERSION, type Server } from '../../server/server.ts';
import { Crew } from '../../server/threads/crew.ts';
import { Announcer, announced } from '../../server/threads/index.ts';
import { auditLinks } from '../auditlinks.ts';
import { locator } from '../databases.ts';
import { plugins } from '../plugins.ts';
import { probes } from '../probes.ts';
import { openTracing } from '../tracing.ts';
import { openBackups, scratchMaker } from './backups.ts';
import { readPodAccount, readTls, stampOf } from './files.ts';
import { membershipOf } from './membership.ts';
import { podOf, register } from './registration.ts';
import { openSeals } from './seals.ts';
import { openStore } from './store.ts';
import { makeThread, placeOfThread, type SharedListener } from './threads.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface Service {
  readonly server: Server;
  readonly listeners: readonly Listener[];
  /** Reads the certificates anew and opens the audit files anew. What fails keeps what it had, and is logged. */
  reload(): Promise<void>;
  /** Takes no new requests, lets those that run end, seals, and closes the store. */
  close(graceMs?: number): Promise<void>;
}

/** How often the files of the certificates are looked at. */
const LOOK_MS = 5000;
/** A Kubernetes API that does not answer must not use up the time that a pod has to end. */
const KUBE_MS = 3000;

/**
 * @throws Failure config.refused, cli.unreadable, listener.in_use, storage.*
 */
export async function startService(
  config: ServerConfig,
  world: {
    readonly log: Log;
    readonly clock: Clock;
    readonly env: Env;
    readonly lookMs?: number;
  },
): Promise<Service> {
  const { log, clock, env } = world;
  const closing: ((graceMs: number | undefined) => Promise<void>)[] = [];
  const close = async (graceMs?: number): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end(graceMs);
  };
  try {
    // Before the store: a wrong certificate must not cost the other process its lock, nor a new folder.
    const certificates = await Promise.all(
      config.listeners.map(async ({ tls }) => (tls === undefined ? undefined : await readTls(tls))),
    );
    const registration = registrationOf(config, env);
    const { seals, close: closeSeals } = await openSeals(config.seals, { clock, log, env });
    closing.push(async () => closeSeals());
    const {
      backend,
      leadership,
      close: closeStore,
    } = await openStore(config.storage, 'holdfast server', { log });
    closing.push(closeStore);
    const targets = await openBackups(config.backups);
    closing.push(async () => {
      for (const { place } of targets) place.close();
    });
    // Closed after the server: what it did last is told, too.
    const { close: endTraces, ...tracing } = await openTracing('holdfast-server', { env, clock, log });
    closing.push(endTraces);
    let audit: ManagedAuditBroker | undefined;
    const rules = [...config.egress.rules, ...(config.egress.cluster ? clusterRules(env) : [])];
    const wayOut: DialOptions = {
      target: (host, port) => ({ host, port }),
      allow: (at) => allows(rules, at),
    };
    const place = config.threads > 1 && config.storage.kind === 'lmdb' ? placeOfThread() : undefined;
    if (config.threads > 1 && place === undefined)
      log.warn('the program of the threads is not beside this one: one thread answers');
    const announcer = place === undefined ? undefined : new Announcer();
    const shared: SharedListener[] = [];
    const crew =
      announcer === undefined || place === undefined || config.storage.kind !== 'lmdb'
        ? undefined
        : crewOf(config, config.storage.path, { announcer, place, shared, clock, log, audit: () => audit });
    const { apiAddress, ...membership } = membershipOf(config, hostname());
    let bound: Listener['address'] | undefined;
    const server = await createServer({
      backend: announcer === undefined ? backend : announced(backend, announcer),
      ...(crew === undefined ? {} : { readers: crew }),
      seals,
      plugins: plugins(readPodAccount, locator(wayOut), env, probes(wayOut)),
      ttl: config.ttl,
      backups: { targets, scratch: scratchMaker(config.storage) },
      ...nodeOf(config),
      apiAddress: () => (leadership === undefined ? config.apiAddress : apiAddress(bound)),
      ...(leadership === undefined ? {} : { cluster: { ...membership, leadership, hostname: hostname() } }),
      ...tracing,
      clock,
      log,
      dial: createDial(wayOut),
      mayReach: createMayReach(wayOut),
      async audit(given) {
        const openLink = auditLinks(wayOut, config.egress.sockets);
        const broker = createAuditBroker({ ...given, openLink });
        await broker.load();
        audit = broker;
        return broker;
      },
    });
    closing.push(async () => {
      const ended = server.close();
      // It waits for what it asked of a seal; one that is closed answers at once.
      closeSeals();
      await ended;
      await crew?.end();
    });
    const standing: Standing[] = [];
    closing.push(async (graceMs) => {
      await Promise.all([...standing.map(({ listener }) => listener.close(graceMs)), crew?.close(graceMs)]);
    });
    for (const [index, settings] of config.listeners.entries()) {
      const tls = certificates[index];
      const stamp = settings.tls === undefined ? '' : await stampOf(settings.tls);
      const { host, port, openMetrics } = settings;
      const listener = await opened(settings, () =>
        listen(server, { host, port, openMetrics, ...(tls === undefined ? {} : { tls }) }),
      );
      const { descriptor } = listener;
      if (descriptor !== undefined)
        shared.push({ descriptor, host, port, openMetrics, ...(tls === undefined ? {} : { tls }) });
      const at = shared.length - 1;
      standing.push({
        listener: {
          ...listener,
          renew(next) {
            listener.renew(next);
            const known = shared[at];
            if (known !== undefined) shared[at] = { ...known, tls: next };
            crew?.renew(at, next);
          },
        },
        settings,
        stamp,
      });
      bound ??= listener.address;
      log.info('listening', { address: addressText(listener.address), tls: tls !== undefined });
    }
    if (crew !== undefined) {
      await crew.start(server);
      log.info('answering by threads', { threads: config.threads });
    }
    const watch = watchCertificates(standing, log, world.lookMs ?? LOOK_MS);
    closing.push(async () => watch.stop());
    if (registration !== undefined) {
      const { pod, cluster } = registration;
      const kube = createKube(cluster, { timeoutMs: KUBE_MS });
      const state = () => server.seal.status();
      const labels = register({ kube, pod, version: REPORTED_VERSION, state, log });
      closing.push(async () => {
        await labels.stop();
        kube.close();
      });
    }
    return {
      server,
      listeners: standing.map(({ listener }) => listener),
      async reload() {
        await watch.renew();
        await audit
          ?.reopen()
          .catch((error: unknown) => log.error('an audit file was not reopened', { error }));
      },
      close,
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

function crewOf(
  config: ServerConfig,
  folder: string,
  world: {
    readonly announcer: Announcer;
    readonly place: URL;
    readonly shared: readonly SharedListener[];
    readonly clock: Clock;
    readonly log: Log;
    readonly audit: () => ManagedAuditBroker | undefined;
  },
): Crew {
  const { announcer, place, shared, clock, log, audit } = world;
  return new Crew({
    threads: config.threads - 1,
    announcer,
    clock,
    log,
    make: (joining) =>
      makeThread(place, {
        joining,
        folder,
        logLevel: config.logLevel,
        ttl: config.ttl,
        apiAddress: config.apiAddress,
        listeners: shared,
      }),
    async append(line) {
      const broker = audit();
      if (broker === undefined) throw failure('server.sealed');
      await broker.append(line);
    },
  });
}

/** What the configuration says of this node, for the routes that tell it. */
const nodeOf = ({ clusterAddress, lockout, listeners, logLevel }: ServerConfig) => ({
  clusterAddress,
  lockout: (type: string) => lockout.get(type),
  node: {
    logLevel,
    listeners: listeners.map((listener) => ({
      address: addressText(listener),
      tlsDisabled: listener.tls === undefined,
    })),
  },
});

/** The pod that is labelled, and how its cluster is reached. */
function registrationOf({ registration }: ServerConfig, env: Env) {
  if (registration === undefined) return undefined;
  const cluster = inClusterConfig(env, (path) => readFileSync(path, 'utf8'));
  const pod = podOf(registration, cluster, env);
  return cluster === undefined ? undefined : { pod, cluster };
}

interface Standing {
  readonly listener: Listener;
  readonly settings: ListenerSettings;
  /** The state of the files that is served. */
  stamp: string;
}

interface Watch {
  /** Reads all of them, whether they look changed or not. */
  renew(): Promise<void>;
  stop(): void;
}

/** Looks at the files by their stamps; a pair that does not fit yet is looked at again, and the old one is served on. */
function watchCertificates(standing: readonly Standing[], log: Log, lookMs: number): Watch {
  let told = '';
  const renew = async (all: boolean): Promise<void> => {
    for (const one of standing) {
      const { tls } = one.settings;
      if (tls === undefined) continue;
      const stamp = await stampOf(tls);
      if (!all && stamp === one.stamp) continue;
      try {
        one.listener.renew(await readTls(tls));
        one.stamp = stamp;
        told = '';
        log.info('the certificate was renewed', { file: tls.cert });
      } catch (error) {
        if (all || told !== stamp) log.error('the certificate was not renewed', { file: tls.cert, error });
        told = stamp;
      }
    }
  };
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (all: boolean): Promise<void> => {
    turn = turn.then(() => renew(all));
    return turn;
  };
  const timer = setInterval(() => void inTurn(false), lookMs);
  timer.unref();
  return { renew: () => inTurn(true), stop: () => clearInterval(timer) };
}

/** The API server of the cluster that this runs in, by the names and the address that a pod knows it by. */
function clusterRules(env: Env): EgressRule[] {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = Number(env['KUBERNETES_SERVICE_PORT']);
  if (!host || !Number.isInteger(port) || port < 1) return [];
  const names = ['', '.svc', '.svc.cluster.local'].map((tail) => `kubernetes.default${tail}`);
  return [{ to: host, port }, ...names.map((to) => ({ to, port: 443 }))];
}

async function opened(at: ListenerSettings, open: () => Promise<Listener>): Promise<Listener> {
  try {
    return await open();
  } catch (error) {
    if (isFailure(error) && error.code !== 'base.internal') throw error;
    const cause: unknown = error instanceof Error ? error.cause : undefined;
    const code = (cause as { code?: unknown } | undefined)?.code;
    throw failure('config.refused', {
      reason: `cannot listen on ${addressText(at)}: ${typeof code === 'string' ? code : 'unknown'}`,
      mend: 'Name an address of this machine, and a port that this user may open.',
    });
  }
}

const addressText = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;
