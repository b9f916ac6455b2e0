/**
 * The operator: watches, one queue, and the controllers. It reconciles names, never events: what a watch tells only says
 * whom to look at. Stores are asked when the refresh policy says so or when something changed, and at no other time.
 */

import { setMaxListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { CacheChange } from '../kube/cache.ts';
import type { Kube, KubeObject } from '../kube/kube.ts';
import { createQueue, type Queue, type Work, workOff } from '../kube/queue.ts';
import type { ProviderEnv, ProviderType } from '../provider/provider.ts';
import type { Condition } from './api/externalsecret.ts';
import { CLUSTER_SECRET_STORES, SECRET_STORES } from './api/resources.ts';
import { allOf, type Caches, createCaches } from './caches.ts';
import { readyOf } from './conditions.ts';
import { Connections, storeKey } from './connections.ts';
import { ExternalSecretController } from './controllers/externalsecret/controller.ts';
import type { Env } from './controllers/externalsecret/observed.ts';
import { StoreController } from './controllers/secretstore/controller.ts';
import { Demands, ReadIndex } from './demand.ts';
import { EventRecorder } from './events.ts';
import type { Outcome } from './executor.ts';
import { Push, type Subscribe } from './push.ts';

export interface OperatorOptions {
  readonly kube: Kube;
  readonly providers: readonly ProviderType[];
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1), for spreading. */
  readonly random: () => number;
  resolve(host: string, port: number): ReturnType<ProviderEnv['resolve']>;
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
/** A sweep is spread over this long for each key, up to a minute in all. */
const SWEEP_STEP_MS = 20;
const SWEEP_MOST_MS = 60_000;

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
          changed: (server, path, version, wrote) => {
            for (const key of index.at(server, path)) {
              const seen = index.seen(key, path);
              if (wrote && version !== undefined && seen !== undefined && version <= seen) continue;
              if (!wrote) index.saw(key, path, undefined);
              demands.add(key, path, version);
              queue.add(key, 'pushed');
            }
          },
          sweep: (server) => {
            const keys = index.of(server);
            const span = Math.min(SWEEP_MOST_MS, keys.length * SWEEP_STEP_MS);
            for (const key of keys) {
              demands.add(key);
              queue.add(key, 'periodic', random() * span);
            }
          },
          lost: (server) => {
            for (const store of storesAt(server)) queue.add(store, 'pushed');
          },
          back: (server) => {
            for (const store of storesAt(server)) queue.add(store, 'pushed');
            const readers = new Set(index.of(server));
            for (const object of caches.externalSecrets.list()) {
              const key = externalSecretKey(object);
              if (readers.has(key) && readyIs(object) !== 'True') queue.add(key, 'pushed');
            }
          },
        });
  /** The stores through which anything of a server is read. */
  const storesAt = (server: string): string[] => {
    const readers = new Set(index.of(server));
    return [...caches.stores.list(), ...caches.clusterStores.list()]
      .map(({ kind, metadata }) => storeKey(kind, metadata.namespace, metadata.name))
      .filter((store) =>
        caches.externalSecrets.byIndex('store', store).some((user) => readers.has(externalSecretKey(user))),
      );
  };
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

/** The key under which the queue knows an ExternalSecret. */
const externalSecretKey = ({ metadata }: KubeObject): string =>
  `ExternalSecret/${metadata.namespace ?? ''}/${metadata.name}`;

/** Who is looked at when something changes. */
function listen(
  caches: Caches,
  queue: Queue,
  connections: Connections,
  demands: Demands,
  index: ReadIndex,
): void {
  const look = (objects: readonly KubeObject[], again: boolean): void => {
    for (const object of objects) {
      const key = externalSecretKey(object);
      if (again) demands.add(key);
      queue.add(key, 'pushed');
    }
  };

  caches.externalSecrets.onChange(({ old, new: now }) => {
    const object = now ?? old;
    if (object === undefined) return;
    const key = externalSecretKey(object);
    if (now === undefined) {
      demands.forget(key);
      index.remove(key);
      queue.remove(key);
    } else if (specChanged(old, now)) {
      queue.add(key, 'pushed');
    }
  });

  const storeChanged = (kind: string) => (change: CacheChange) => {
    const { old, new: now } = change;
    const object = now ?? old;
    if (object === undefined) return;
    const key = storeKey(kind, object.metadata.namespace, object.metadata.name);
    const users = caches.externalSecrets.byIndex('store', key);
    if (now === undefined) {
      queue.remove(key);
      connections.retire(object.metadata.uid ?? '');
      return;
    }
    const changed = specChanged(old, now);
    if (changed) queue.add(key, 'pushed');
    // Whoever waits for the store goes on the moment it is ready, not when its own wait is over (upstream's #4340).
    if (readyIs(now) !== readyIs(old) || changed) look(users, changed && old !== undefined);
  };
  caches.stores.onChange(storeChanged('SecretStore'));
  caches.clusterStores.onChange(storeChanged('ClusterSecretStore'));

  const materialChanged =
    (kind: 'Secret' | 'ConfigMap') =>
    ({ old, new: now }: CacheChange): void => {
      const object = now ?? old;
      const { namespace = '', name } = object?.metadata ?? { name: '' };
      look(caches.externalSecrets.byIndex('source', `${kind}/${namespace}/${name}`), old !== undefined);
      for (const store of connections.readersOf(kind, namespace, name)) queue.add(store, 'pushed');
      if (kind === 'Secret') look(caches.externalSecrets.byIndex('target', `${namespace}/${name}`), false);
    };
  caches.secrets.onChange(materialChanged('Secret'));
  caches.configMaps.onChange(materialChanged('ConfigMap'));

  caches.namespaces.onChange(({ old, new: now }) => {
    if (now === undefined || old === undefined) return;
    if (JSON.stringify(old.metadata.labels) === JSON.stringify(now.metadata.labels)) return;
    look(caches.externalSecrets.list(now.metadata.name), false);
  });
}

/** Whether anything but the status changed. */
function specChanged(old: KubeObject | undefined, now: KubeObject): boolean {
  const face = ({ metadata }: KubeObject): string =>
    JSON.stringify([
      metadata.uid,
      metadata.generation,
      metadata.labels,
      metadata.annotations,
      metadata.finalizers,
      metadata.deletionTimestamp,
    ]);
  return old === undefined || face(old) !== face(now);
}

const conditionOf = (object: KubeObject | undefined): Condition | undefined =>
  readyOf((object?.['status'] as { conditions?: Condition[] } | undefined)?.conditions);

const readyIs = (object: KubeObject | undefined): string | undefined => conditionOf(object)?.status;

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
