/**
 * A server, put together from its services: nothing here decides anything about a request. What exists only while the barrier
 * is open is made on unseal and dropped on seal, so that a sealed server has nothing left to give away.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { asFolder, parsePath } from '../base/path.ts';
import { Present } from '../base/present.ts';
import type { Soon } from '../base/soon.ts';
import type { PluginType, Verb } from '../plugin/plugin.ts';
import { Backups } from './backup/backups.ts';
import { Barrier } from './barrier/barrier.ts';
import type { ClusterNode } from './cluster/node.ts';
import {
  type ClusterMember,
  type Core,
  type HighAvailability,
  type Platform,
  type SealControl,
  type SnapshotControl,
  services as servicesOf,
  type UnderWay,
} from './core/core.ts';
import { answer } from './core/pipeline.ts';
import type { Answer, Request } from './core/request.ts';
import { createEventBus } from './events/bus.ts';
import type { EventBus } from './events/events.ts';
import { identityEngine } from './identity/index.ts';
import { Lifecycle } from './lifecycle.ts';
import type { Part } from './membership.ts';
import { createMetrics, type Metrics } from './metrics/registry.ts';
import type { ServerOptions } from './options.ts';
import { responding } from './respond.ts';
import { openByItself } from './seal/autounseal.ts';
import { Ceremonies } from './seal/ceremonies.ts';
import { SealKeeper } from './seal/keeper.ts';
import { sealControl } from './sealcontrol.ts';
import { readSnapshot, saveSnapshot } from './snapshot/snapshot.ts';
import type { Surroundings } from './surroundings.ts';
import { liveSystem } from './system/live.ts';
import { systemRoutes } from './system/system.ts';
import { tokenMethod } from './system/tokens.ts';

/** What clients take for Vault's version: Terraform and others turn features on and off by it. */
export const REPORTED_VERSION = '1.19.0';
const RING = 16_384;

export interface Server {
  readonly core: Core;
  readonly seal: SealControl;
  readonly events: EventBus;
  readonly metrics: Metrics;
  /** Answers a request; never throws. */
  handle(request: Request): Soon<Answer>;
  /** Takes over a socket that asks for events, where another node has to answer it; false: this one does. */
  join(message: IncomingMessage, socket: Socket, head: Buffer): boolean;
  /** Asks from within the process, as `holdfast dev` does. */
  call(asked: {
    readonly verb: Verb;
    readonly path: string;
    readonly token?: string;
    readonly data?: Readonly<Record<string, Json>>;
  }): Promise<Answer>;
  /** Seals, and lets go of everything; the backend stays its owner's to close. */
  close(): Promise<void>;
}

/**
 * Makes a server over the backend: sealed, or uninitialized, until somebody opens it; with a seal that needs nobody it
 * begins to open by itself.
 * @throws Failure seal.stranded where no seal of the configuration opens this store
 */
export async function createServer(options: ServerOptions): Promise<Server> {
  const { backend, clock, log, cacheBytes, tracer, version = REPORTED_VERSION } = options;
  const barrier = new Barrier(backend, cacheBytes === undefined ? {} : { cacheBytes });
  const keeper = new SealKeeper(backend, barrier, options.seals);
  await keeper.check();
  const ceremonies = new Ceremonies(keeper, clock);
  const events = createEventBus({ ringSize: RING, clock });
  const metrics = createMetrics();
  const underWay = new Present<UnderWay>();
  const leaving = new AbortController();
  const core: Core = {
    clock,
    log,
    get system() {
      return lifecycle.current?.services.mounts.get('sys/') ?? sealedSystem;
    },
    services: () => lifecycle.current?.services,
    initialized: () => seal.initialized,
    underWay: () => underWay.all(),
  };
  const around: Surroundings = {
    options,
    barrier,
    keeper,
    ceremonies,
    events,
    core,
    version,
    leaving: leaving.signal,
    types: () => types,
    backups: () => backups,
    sealedSystem: () => sealedSystem,
  };
  const lifecycle = new Lifecycle(around);
  const seal = await sealControl(around, lifecycle, () => waiting?.problem());
  const snapshots: SnapshotControl = {
    save: (signal) => saveSnapshot(barrier, { at: clock.now(), version, signal }),
    read: (source) => readSnapshot(barrier, source),
    restore: ({ entries }) =>
      lifecycle.inTurn(() =>
        lifecycle.replace(() => barrier.replaceAll(entries, new AbortController().signal)),
      ),
  };
  const backups = new Backups({
    barrier,
    clock,
    log,
    version,
    targets: options.backups?.targets ?? [],
    clusterId: () => lifecycle.current?.clusterId ?? '',
    scratch: async () => {
      if (options.backups === undefined) throw failure('backup.target', { name: '' });
      return options.backups.scratch();
    },
    seal: options.seals?.active,
  });
  const platform: Platform = {
    core,
    seal,
    ceremonies,
    snapshots,
    backups,
    barrier,
    metrics,
    version,
    plugins: options.plugins,
    startedAt: clock.now(),
    node: {
      apiAddress: () => options.apiAddress?.() ?? '',
      clusterAddress: options.clusterAddress ?? '',
      listeners: options.node?.listeners ?? [],
      logLevel: options.node?.logLevel ?? '',
      defaultTtlMs: options.ttl?.defaultMs ?? 0,
      maxTtlMs: options.ttl?.maxMs ?? 0,
    },
    ...(options.cluster === undefined ? {} : { ha: availability(lifecycle, version) }),
  };
  const types: readonly PluginType[] = [
    ...options.plugins,
    { name: 'system', kind: 'secret', create: () => systemRoutes(platform) },
    tokenMethod(core),
    identityEngine(
      () => servicesOf(core).identity,
      () => options.apiAddress?.() ?? '',
    ),
  ];
  const sealedSystem = liveSystem(systemRoutes(platform));
  const { active } = options.seals ?? {};
  const waiting =
    active && openByItself({ seal: active.type, open: () => lifecycle.openOnceMade(), clock, log });

  return {
    core,
    seal,
    events,
    metrics,
    handle: responding({ core, lifecycle, metrics, underWay, tracer }),
    async call({ verb, path, token, data }) {
      const parsed = parsePath(path);
      return answer(core, {
        verb,
        path: verb === 'list' ? asFolder(parsed) : parsed,
        headers: {},
        remote: { address: '', port: 0 },
        signal: new AbortController().signal,
        ...(data === undefined ? {} : { data }),
        ...(token === undefined ? {} : { token }),
      });
    },
    join: (message, socket, head) => lifecycle.dispatch?.join(message, socket, head) ?? false,
    close: () => {
      waiting?.stop();
      leaving.abort();
      return lifecycle.inTurn(() => lifecycle.shut());
    },
  };
}

/** What a node tells of its cluster. */
const availability = (lifecycle: Lifecycle, version: string): HighAvailability => ({
  leads: () => lifecycle.node?.leads ?? false,
  answers: () => lifecycle.node?.answers ?? false,
  since: () => (lifecycle.node?.role === 'leading' ? lifecycle.node.tenure?.since : undefined),
  leader: () => lifecycle.node?.leader,
  nodes: () => (lifecycle.node === undefined ? [] : membersOf(lifecycle.node, version)),
  stepDown: () => lifecycle.node?.stepDown(),
});

/** The nodes of the cluster, as this one knows them. */
function membersOf(node: ClusterNode<Part>, version: string): ClusterMember[] {
  const { leader, standbys } = node;
  const active = leader && {
    ...leader,
    active: true,
    version: leader.version || version,
    lastEcho: undefined,
  };
  return [
    ...(active === undefined ? [] : [active]),
    ...standbys.map((standby) => ({ ...standby, active: false, lastEcho: standby.at })),
  ];
}
