/**
 * The operator: watches, one queue, and the controllers. It reconciles names, never events: what a watch tells only says
 * whom to look at. Stores are asked when the refresh policy says so or when something changed, and at no other time.
 */

import { setMaxListeners } from 'node:events';
import type { KubeObject } from '../kube/kube.ts';
import { createQueue } from '../kube/queue.ts';
import { NO_WAY_OUT } from '../provider/egress.ts';
import { allOf, createCaches } from './caches.ts';
import { conditionOf } from './conditions.ts';
import { Connections, storeKey } from './connections.ts';
import { listenForDatabaseSecrets } from './controllers/databasesecret/controller.ts';
import { listenForPushes, pushesRecoveredAt } from './controllers/pushsecret/wakeups.ts';
import { Demands, ReadIndex } from './demand.ts';
import { createDynamic } from './dynamic/dynamic.ts';
import { EventRecorder } from './events.ts';
import { createKinds, RETRY } from './kinds.ts';
import { countedQueue } from './observe/queue.ts';
import { SyncTraces } from './observe/traces.ts';
import type { Operator, OperatorOptions, Standing } from './options.ts';
import { Push } from './push.ts';
import { SharedReads } from './schedule/reads.ts';
import { Refusals } from './schedule/refusals.ts';
import { ALL } from './schedule/share.ts';
import { Traffic } from './schedule/traffic.ts';
import { readOnly } from './shadow/readonly.ts';
import { Shadow } from './shadow/shadow.ts';
import { listen, recoveredAt, wakes } from './wakeups.ts';
import { createWork } from './work.ts';
import { Written } from './written.ts';

const OWN_NAMESPACE = 'holdfast-system';
/** They wait for the API server and for stores nearly all the time. */
const WORKERS = 24;

export function createOperator(options: OperatorOptions): Operator {
  const { clock, log, random } = options;
  const shadow = options.shadow === true ? new Shadow(log) : undefined;
  const kube = shadow === undefined ? options.kube : readOnly(options.kube);
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
  metrics?.watch({ caches, queue, workers, expiring: () => connections.expiring() });
  const written = new Written();
  listen(caches, queue, connections, traffic, demands, index, written);
  listenForPushes(caches, queue, demands);
  for (const cache of [caches.externalSecrets, caches.pushSecrets, caches.stores, caches.clusterStores])
    cache.onChange(({ old, new: now }) => {
      if (old === undefined || now !== undefined) return;
      refusals.forget(storeKey(old.kind, old.metadata.namespace, old.metadata.name));
    });
  listenForDatabaseSecrets({ ...caches, queue });
  const kinds = createKinds({
    options,
    kube,
    controllerClass: options.controllerClass ?? 'default',
    caches,
    queue,
    traffic,
    events,
    connections,
    demands,
    index,
    refusals,
    dynamic,
    written,
    push,
    traces,
    shadow,
  });
  const work = createWork({
    kinds,
    queue,
    traffic,
    refusals,
    share: options.share ?? ALL,
    inShadow: shadow !== undefined,
    metrics,
    clock,
    log,
    random,
  });

  return {
    async start(signal) {
      // Every worker, watch and read waits for this one signal; that many listeners are no leak.
      setMaxListeners(0, signal);
      push?.start(signal);
      const watches = allOf(caches).map((cache) => cache.run(signal));
      try {
        await Promise.all(allOf(caches).map((cache) => cache.synced(signal)));
        await work.run(workers, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await Promise.allSettled([...watches, push?.ended()]);
        await events.flushed();
        await connections.close();
      }
    },
    drained: (owns) => work.drained(owns),
    ready: async (signal) => {
      await Promise.all(allOf(caches).map((cache) => cache.synced(signal)));
    },
    externalSecrets: () => caches.externalSecrets.list().map(standing),
    stores: () => [...caches.stores.list(), ...caches.clusterStores.list()].map(standing),
    differences: () => shadow?.differences() ?? [],
    eventsWritten: () => events.flushed(),
  };
}

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
