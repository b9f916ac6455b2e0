/**
 * The operator: watches, one queue, and the controllers. It reconciles names, never events: what a watch tells only says
 * whom to look at. Stores are asked when the refresh policy says so or when something changed, and at no other time.
 */

import { setMaxListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Kube, KubeObject } from '../kube/kube.ts';
import { createQueue, type Work, workOff } from '../kube/queue.ts';
import { NO_WAY_OUT, type WayOut } from '../provider/egress.ts';
import type { ProviderEnv, ProviderType } from '../provider/provider.ts';
import { CLUSTER_SECRET_STORES, SECRET_STORES } from './api/resources.ts';
import { allOf, createCaches } from './caches.ts';
import { conditionOf } from './conditions.ts';
import { Connections } from './connections.ts';
import { ExternalSecretController } from './controllers/externalsecret/controller.ts';
import type { Env } from './controllers/externalsecret/observed.ts';
import { StoreController } from './controllers/secretstore/controller.ts';
import { Demands, ReadIndex } from './demand.ts';
import { EventRecorder } from './events.ts';
import type { Outcome } from './executor.ts';
import { Push, type Subscribe } from './push.ts';
import { listen, sweepKey, wakes } from './wakeups.ts';

export interface OperatorOptions {
  readonly kube: Kube;
  readonly providers: readonly ProviderType[];
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
  readonly concurrency?: number;
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
  /** Resolves when everything that is watched was listed once. */
  ready(signal?: AbortSignal): Promise<void>;
  externalSecrets(): readonly Standing[];
  stores(): readonly Standing[];
  /** Resolves when all that was recorded is written. */
  eventsWritten(): Promise<void>;
}

/** A reconcile that lost a race looks again after this long. */
const STALE_MS = 50;
export function createOperator(options: OperatorOptions): Operator {
  const { kube, clock, log, random } = options;
  const controllerClass = options.controllerClass ?? 'default';
  const queue = createQueue({ clock, random });
  const caches = createCaches({
    kube,
    clock,
    log,
    random,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  const events = new EventRecorder(kube, clock, log);
  const connections = new Connections({
    kube,
    providers: options.providers,
    log,
    wayOut: options.wayOut ?? NO_WAY_OUT,
    resolve: options.resolve,
    versionOf: (kind, namespace, name) =>
      (kind === 'Secret' ? caches.secrets : caches.configMaps).get(namespace, name)?.metadata.resourceVersion,
  });
  const demands = new Demands();
  const index = new ReadIndex();
  const push =
    options.subscribe === undefined
      ? undefined
      : new Push({
          subscribe: options.subscribe,
          clock,
          random,
          log,
          ...wakes(caches, queue, demands, index, random),
        });
  const stores = new StoreController({ kube, clock, connections, events, controllerClass });
  const externalSecrets = new ExternalSecretController({
    kube,
    caches,
    clock,
    connections,
    controllerClass,
    demands,
    index,
    events,
    envOf: ({ object }, now) => options.envOf(object, now),
    watch: (server) => push?.watch(server),
    unheard: (key, places) => {
      // A stream that is not open yet tells from the beginning when it is.
      if (places.some(({ server }) => push?.opened(server))) sweepKey(key, queue, demands, index, random);
    },
    suspect: (store) => queue.add(store, 'pushed'),
  });
  listen(caches, queue, connections, demands, index);

  const reconcile = (key: string, signal: AbortSignal): Promise<Outcome> => {
    const [kind, namespace = '', name = ''] = key.split('/');
    switch (kind) {
      case 'SecretStore':
        return stores.reconcile(SECRET_STORES, namespace, name, signal);
      case 'ClusterSecretStore':
        return stores.reconcile(CLUSTER_SECRET_STORES, undefined, name, signal);
      default:
        return externalSecrets.reconcile(key, namespace, name, signal);
    }
  };

  const handle = async ({ key }: Work, signal: AbortSignal): Promise<void> => {
    const outcome = await reconcile(key, signal);
    if (outcome.end === 'stale') return queue.add(key, 'pushed', STALE_MS);
    if (outcome.end === 'failed') return void queue.retry(key);
    queue.succeeded(key);
    if (outcome.requeueAt !== undefined) {
      queue.add(key, 'periodic', outcome.requeueAt.getTime() - clock.now());
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
          concurrency: options.concurrency ?? 8,
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
    ready: async (signal) => {
      await Promise.all(allOf(caches).map((cache) => cache.synced(signal)));
    },
    externalSecrets: () => caches.externalSecrets.list().map(standing),
    stores: () => [...caches.stores.list(), ...caches.clusterStores.list()].map(standing),
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
