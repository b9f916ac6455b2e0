/**
 * The operator: watches, one queue, and the controllers. It reconciles names, never events: what a watch tells only says
 * whom to look at. Stores are asked when the refresh policy says so or when something changed, and at no other time.
 */

import { setMaxListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { ceiling } from '../base/retry.ts';
import type { Tracer } from '../base/trace/tracer.ts';
import type { Cache } from '../kube/cache.ts';
import type { Kube, KubeObject } from '../kube/kube.ts';
import { createQueue, type Work, workOff } from '../kube/queue.ts';
import { NO_WAY_OUT, type WayOut } from '../provider/egress.ts';
import type { GeneratorType } from '../provider/generator.ts';
import type { ProviderEnv, ProviderType } from '../provider/provider.ts';
import { CLUSTER_SECRET_STORES, SECRET_STORES } from './api/resources.ts';
import { allOf, createCaches, storesRead } from './caches.ts';
import { conditionOf } from './conditions.ts';
import { Connections, storeKey } from './connections.ts';
import { ClusterKindController } from './controllers/clusterkinds/controller.ts';
import { CLUSTER_EXTERNAL_SECRET, CLUSTER_PUSH_SECRET } from './controllers/clusterkinds/kinds.ts';
import { listenForChildren } from './controllers/clusterkinds/wakeups.ts';
import {
  DatabaseSecretController,
  listenForDatabaseSecrets,
} from './controllers/databasesecret/controller.ts';
import { ExternalSecretController } from './controllers/externalsecret/controller.ts';
import type { Env } from './controllers/externalsecret/observed.ts';
import { GeneratorStateController } from './controllers/generatorstate/controller.ts';
import { PushSecretController } from './controllers/pushsecret/controller.ts';
import { pushKeysOf } from './controllers/pushsecret/keys.ts';
import { listenForPushes, pushesRecoveredAt } from './controllers/pushsecret/wakeups.ts';
import { StoreController } from './controllers/secretstore/controller.ts';
import { Demands, ReadIndex } from './demand.ts';
import { createDynamic } from './dynamic/dynamic.ts';
import { ownerOf } from './dynamic/record.ts';
import { EventRecorder } from './events.ts';
import type { Outcome } from './executor.ts';
import { Generators } from './generators/generators.ts';
import type { OperatorMetrics } from './observe/metrics.ts';
import { countedQueue } from './observe/queue.ts';
import { SyncTraces } from './observe/traces.ts';
import { Push, type Subscribe } from './push.ts';
import type { Rate } from './schedule/bucket.ts';
import { SharedReads } from './schedule/reads.ts';
import { Refusals } from './schedule/refusals.ts';
import { ALL, type Share } from './schedule/share.ts';
import { Traffic } from './schedule/traffic.ts';
import type { Difference } from './shadow/difference.ts';
import { readOnly } from './shadow/readonly.ts';
import { Shadow } from './shadow/shadow.ts';
import { listen, recoveredAt, sweepKey, wakes } from './wakeups.ts';
import { Written } from './written.ts';

export interface OperatorOptions {
  readonly kube: Kube;
  readonly providers: readonly ProviderType[];
  /** Absent: none. */
  readonly generators?: readonly GeneratorType[];
  /** How long what a generator made stays after it was replaced. Absent: 2 minutes. */
  readonly generatorGraceMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1), for spreading. */
  readonly random: () => number;
  resolve(host: string, port: number): ReturnType<ProviderEnv['resolve']>;
  /** Where stores may have us connect to, beside servers of Vault. Absent: nowhere. */
  readonly wayOut?: WayOut;
  /** Opens the stream of changes of a server under the operator's own identity. Absent: intervals alone. */
  readonly subscribe?: Subscribe;
  /** Renders templates; `src/operator/rendering.ts` has the usual one. */
  envOf(object: KubeObject, now: Date): Env;
  readonly controllerClass?: string;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** The operator's own, where it keeps what is nobody else's to read. Absent: "holdfast-system". */
  readonly ownNamespace?: string;
  readonly concurrency?: number;
  /** How fast each store is asked at most. Absent: `schedule/traffic.ts` has the usual. */
  readonly storeRate?: Rate;
  /** How often a store is checked that is well and says nothing else, in milliseconds. Absent: five minutes. */
  readonly storeInterval?: number;
  /** What is counted while it works. */
  readonly metrics?: OperatorMetrics;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  /** What of the work is this replica's. Absent: all. */
  readonly share?: Share;
  /** Compares what it would write with what is there, and writes nothing. */
  readonly shadow?: boolean;
}

/** How one ExternalSecret or store stands, as `kubectl get` would print it. */
export interface Standing {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly ready: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface Operator {
  /** Works until the signal is aborted; resolves when what was begun has ended. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is being worked on that is not owned by this measure. */
  drained(owns: (key: string) => boolean): Promise<void>;
  /** Resolves when everything that is watched was listed once. */
  ready(signal?: AbortSignal): Promise<void>;
  externalSecrets(): readonly Standing[];
  stores(): readonly Standing[];
  /** In shadow: what of each ExternalSecret would be otherwise; else empty. */
  differences(): readonly Difference[];
  /** Resolves when all that was recorded is written. */
  eventsWritten(): Promise<void>;
}

/** A kind that is reconciled. */
interface Kind {
  readonly cache: Cache;
  /** The places of the stores that one of its objects reads. */
  readonly stores?: (object: KubeObject) => readonly string[];
  /** Whether its reconcile compares only, in shadow; else it is left out there. */
  readonly inShadow?: true;
  /** The key of what an object belongs to: the replica of that one works on it, too. Absent: it belongs to nothing. */
  readonly belongsTo?: (object: KubeObject) => string | undefined;
  /** Forgets what is known of a key that is another replica's now. */
  readonly drop?: (key: string) => void;
  reconcile(
    work: Work,
    at: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<Outcome>;
}

const OWN_NAMESPACE = 'holdfast-system';
/** They wait for the API server and for stores nearly all the time. */
const WORKERS = 24;
/** Between the failures of one key: whatever was mended, in half a minute all is right again. */
const RETRY = { baseMs: 1000, maxMs: 25_000 };
/** A reconcile that lost a race looks again after this long. */
const STALE_MS = 50;
const RESULTS = { done: 'success', failed: 'error', stale: 'requeue' } as const;

export function createOperator(options: OperatorOptions): Operator {
  const { clock, log, random } = options;
  const shadow = options.shadow === true ? new Shadow(log) : undefined;
  const kube = shadow === undefined ? options.kube : readOnly(options.kube);
  const controllerClass = options.controllerClass ?? 'default';
  const ownNamespace = options.ownNamespace ?? OWN_NAMESPACE;
  const { metrics } = options;
  const queue = countedQueue(createQueue({ clock, random, backoff: RETRY }), metrics);
  const caches = createCaches({
    kube,
    clock,
    log,
    random,
    ownNamespace,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  const events = new EventRecorder(kube, clock, log);
  const workers = options.concurrency ?? WORKERS;
  const traffic: Traffic = new Traffic({
    clock,
    random,
    workers,
    again: ({ key, class: workClass, since }) => queue.add(key, workClass, 0, since),
    recovered: (store) => {
      recoveredAt(store, caches, queue);
      pushesRecoveredAt(store, caches, queue);
    },
    ...(options.storeRate === undefined ? {} : { rate: options.storeRate }),
  });
  const connections = new Connections({
    kube,
    clock,
    traffic,
    reads: new SharedReads(clock),
    providers: options.providers,
    log,
    wayOut: options.wayOut ?? NO_WAY_OUT,
    resolve: options.resolve,
    ...(metrics === undefined ? {} : { count: metrics.called }),
    watch: (server) => push?.watch(server),
    versionOf: (kind, namespace, name) =>
      (kind === 'Secret' ? caches.secrets : caches.configMaps).get(namespace, name)?.metadata.resourceVersion,
  });
  const demands = new Demands();
  const index = new ReadIndex();
  const refusals = new Refusals({ clock, queue });
  const refused = (store: string, key: string, since: number): void => refusals.refused(store, key, since);
  const dynamic = createDynamic({
    kube,
    caches,
    clock,
    log,
    random,
    providers: options.providers,
    wayOut: options.wayOut ?? NO_WAY_OUT,
    resolve: options.resolve,
    connections,
    queue,
    demands,
    namespace: ownNamespace,
  });
  const traces = options.tracer === undefined ? undefined : new SyncTraces(options.tracer);
  const push =
    options.subscribe === undefined
      ? undefined
      : new Push({
          subscribe: options.subscribe,
          clock,
          random,
          log,
          ...wakes(caches, queue, demands, index, connections, refusals, random, traces),
        });
  const stores = new StoreController({
    kube,
    clock,
    connections,
    events,
    controllerClass,
    refused: (place, since) => refused(place, place, since),
    isHeld: (place) => caches.pushSecrets.byIndex('holds', place).length > 0,
    ...(options.storeInterval === undefined ? {} : { interval: options.storeInterval }),
  });
  const generators = new Generators({
    kube,
    clock,
    controllerClass,
    log,
    types: options.generators ?? [],
    ...(options.generatorGraceMs === undefined ? {} : { graceMs: options.generatorGraceMs }),
    wayOut: options.wayOut ?? NO_WAY_OUT,
    resolve: options.resolve,
    hasStates: ({ metadata }) => caches.generatorStates.byIndex('owner', metadata.uid ?? '').length > 0,
  });
  const databaseSecrets = new DatabaseSecretController({ kube, clock, events, ...caches });
  const generatorStates = new GeneratorStateController({
    kube,
    clock,
    generators,
    replace: ({ kind, namespace, name }) => {
      const key = `${kind}/${namespace}/${name}`;
      demands.add(key);
      queue.add(key, 'lease');
    },
  });
  const written = new Written();
  const noted = written.noting(kube);
  const externalSecrets = new ExternalSecretController({
    generators,
    kube: traces?.kube(noted) ?? noted,
    written,
    caches,
    clock,
    connections,
    dynamic: traces?.answers(dynamic.answers) ?? dynamic.answers,
    controllerClass,
    demands,
    index,
    events,
    ...(shadow === undefined ? {} : { shadow }),
    envOf: ({ object }, now) => options.envOf(object, now),
    unheard: (key, places) => {
      // A stream that is not open yet tells from the beginning when it is.
      if (places.some(({ server }) => push?.opened(server))) sweepKey(key, queue, demands, index, random);
    },
    suspect: (store) => queue.add(store, 'pushed'),
    refused,
    companion: (key, since) => {
      demands.add(key);
      queue.add(key, 'periodic', 0, since);
    },
    retryWithin: (key) => ceiling(queue.failures(key), RETRY),
    rotated: (since) => metrics?.rotated(clock.monotonic() - since),
  });
  metrics?.watch({ caches, queue, expiring: () => connections.expiring() });
  const pushSecrets = new PushSecretController({
    kube,
    caches,
    clock,
    log,
    connections,
    controllerClass,
    demands,
    events,
    envOf: ({ object }, now) => options.envOf(object, now),
    generators,
    suspect: (store) => queue.add(store, 'pushed'),
    refused,
    retryWithin: (key) => ceiling(queue.failures(key), RETRY),
  });
  listen(caches, queue, connections, traffic, demands, index, written);
  listenForPushes(caches, queue, demands);
  for (const cache of [caches.externalSecrets, caches.pushSecrets, caches.stores, caches.clusterStores])
    cache.onChange(({ old, new: now }) => {
      if (old === undefined || now !== undefined) return;
      refusals.forget(storeKey(old.kind, old.metadata.namespace, old.metadata.name));
    });
  listenForDatabaseSecrets({ ...caches, queue });
  const clusterKinds = [
    {
      kind: CLUSTER_EXTERNAL_SECRET,
      parents: caches.clusterExternalSecrets,
      children: caches.externalSecrets,
    },
    { kind: CLUSTER_PUSH_SECRET, parents: caches.clusterPushSecrets, children: caches.pushSecrets },
  ].map((given) => {
    const all = { ...given, namespaces: caches.namespaces, queue, kube, clock, events };
    listenForChildren(all);
    return {
      kind: given.kind.resource.kind,
      cache: given.parents,
      controller: new ClusterKindController(all),
    };
  });

  /** What is reconciled: a row each. */
  const kinds: ReadonlyMap<string, Kind> = new Map(
    Object.entries({
      ...Object.fromEntries(
        clusterKinds.map(({ kind, cache, controller }) => [
          kind,
          {
            cache,
            reconcile: (_: Work, { name }: { readonly name: string }, signal: AbortSignal) =>
              controller.reconcile(name, signal),
          },
        ]),
      ),
      SecretStore: {
        cache: caches.stores,
        reconcile: (_, { namespace, name }, signal) =>
          stores.reconcile(SECRET_STORES, namespace, name, signal),
      },
      ClusterSecretStore: {
        cache: caches.clusterStores,
        reconcile: (_, { name }, signal) => stores.reconcile(CLUSTER_SECRET_STORES, undefined, name, signal),
      },
      ExternalSecret: {
        cache: caches.externalSecrets,
        stores: storesRead,
        inShadow: true,
        drop: (key) => {
          demands.forget(key);
          index.remove(key);
          traces?.forget(key);
        },
        reconcile: (work, { namespace, name }, signal) => {
          const sync = () => externalSecrets.reconcile(work, namespace, name, signal);
          return traces === undefined ? sync() : traces.sync(work.key, sync);
        },
      },
      DatabaseSecret: {
        cache: caches.databaseSecrets,
        reconcile: (_, { namespace, name }, signal) => databaseSecrets.reconcile(namespace, name, signal),
      },
      GeneratorState: {
        cache: caches.generatorStates,
        reconcile: (_, { namespace, name }, signal) => generatorStates.reconcile(namespace, name, signal),
      },
      Lease: {
        cache: caches.leases,
        belongsTo: ownerOf,
        reconcile: (_, { name }, signal) => dynamic.keeper.reconcile(name, signal),
      },
      PushSecret: {
        cache: caches.pushSecrets,
        stores: (object) => pushKeysOf(object).stores,
        reconcile: (work, { namespace, name }, signal) =>
          pushSecrets.reconcile(work, namespace, name, signal),
      },
    } satisfies Record<string, Kind>),
  );

  /** By key: what decides over its replica, and its end. */
  const running = new Map<string, { readonly decides: string; readonly ended: Promise<void> }>();
  const share = options.share ?? ALL;
  share.onGain(() => {
    for (const [kind, { cache, belongsTo }] of kinds)
      for (const object of cache.list()) {
        const { namespace = '', name } = object.metadata;
        const key = `${kind}/${namespace}/${name}`;
        if (share.owns(belongsTo?.(object) ?? key)) queue.add(key, 'pushed');
      }
  });

  const settled = (work: Work, outcome: Outcome): void => {
    const { key, since } = work;
    if (outcome.end === 'stale') return queue.add(key, 'pushed', STALE_MS, since);
    if (outcome.end === 'failed') return void queue.retry(key, spread(outcome.retryAfterMs ?? 0, random));
    queue.succeeded(key);
    refusals.forget(key);
    if (outcome.requeueAt !== undefined) {
      queue.add(key, 'periodic', outcome.requeueAt.getTime() - clock.now());
    }
  };

  const handle = async (work: Work, signal: AbortSignal): Promise<void> => {
    const { key } = work;
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const row = kinds.get(kind);
    if (row === undefined || (shadow !== undefined && row.inShadow !== true)) return queue.succeeded(key);
    const object = row.cache.get(namespace === '' ? undefined : namespace, name);
    const decides = (object === undefined ? undefined : row.belongsTo?.(object)) ?? key;
    // Another replica's, which was woken by the same change.
    if (!share.owns(decides)) {
      row.drop?.(key);
      refusals.forget(key);
      return queue.succeeded(key);
    }
    const leave = traffic.enter(object === undefined ? [] : (row.stores?.(object) ?? []), work);
    // It waits for a store, and is planned again when there is room.
    if (leave === undefined) return;
    metrics?.began(key, work.waitedMs);
    const done = row.reconcile(work, { namespace, name }, signal).then(
      (outcome) => {
        metrics?.ended(key, RESULTS[outcome.end]);
        settled(work, outcome);
      },
      (error: unknown) => {
        metrics?.ended(key, 'error');
        throw error;
      },
    );
    const ended = done.catch(() => {}).finally(() => running.delete(key));
    running.set(key, { decides, ended });
    try {
      await done;
    } finally {
      leave();
    }
  };

  return {
    async start(signal) {
      // Every worker, watch and read waits for this one signal; that many listeners are no leak.
      setMaxListeners(0, signal);
      push?.start(signal);
      const watches = allOf(caches).map((cache) => cache.run(signal));
      try {
        await Promise.all(allOf(caches).map((cache) => cache.synced(signal)));
        await workOff(queue, {
          concurrency: workers,
          signal,
          handle: (work) => handle(work, signal),
          failed: ({ key }, error) => {
            if (signal.aborted) return;
            const known = asFailure(error);
            const facts = { key, code: known.code, reason: known.message };
            if (known.code === 'base.internal') log.error('a reconcile broke', { ...facts, cause: error });
            else log.warn('a reconcile could not reach the cluster', facts);
            queue.retry(key);
          },
        });
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await Promise.allSettled([...watches, push?.ended()]);
        await events.flushed();
        await connections.close();
      }
    },
    drained: async (owns) => {
      const lost = [...running.values()].filter(({ decides }) => !owns(decides));
      await Promise.all(lost.map(({ ended }) => ended));
    },
    ready: async (signal) => {
      await Promise.all(allOf(caches).map((cache) => cache.synced(signal)));
    },
    externalSecrets: () => caches.externalSecrets.list().map(standing),
    stores: () => [...caches.stores.list(), ...caches.clusterStores.list()].map(standing),
    differences: () => shadow?.differences() ?? [],
    eventsWritten: () => events.flushed(),
  };
}

/** Those who were told the same time do not come back in the same moment. */
const spread = (ms: number, random: () => number): number => ms + random() * Math.min(ms / 4, 10_000);

function standing(object: KubeObject): Standing {
  const condition = conditionOf(object);
  const ready = condition?.status;
  return {
    kind: object.kind,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    ready: ready === 'True' || ready === 'False' ? ready : 'Unknown',
    reason: condition?.reason ?? '',
    message: condition?.message ?? '',
  };
}
