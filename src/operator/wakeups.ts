/**
 * Who is looked at when something changes, in the cluster or in a server. A change only says whom to look at; what it was
 * is read again when the turn comes.
 */

import type { CacheChange } from '../kube/cache.ts';
import type { KubeObject } from '../kube/kube.ts';
import type { Queue } from '../kube/queue.ts';
import { SECRETS } from './api/resources.ts';
import type { Caches } from './caches.ts';
import { conditionOf } from './conditions.ts';
import { type Connections, storeKey } from './connections.ts';
import type { Demands, ReadIndex } from './demand.ts';
import type { SyncTraces } from './observe/traces.ts';
import type { PushOptions } from './push.ts';
import type { Refusals } from './schedule/refusals.ts';
import type { Traffic } from './schedule/traffic.ts';
import type { Written } from './written.ts';

/** A sweep is spread over this long for each key, up to a minute in all. */
const SWEEP_STEP_MS = 20;
const SWEEP_MOST_MS = 60_000;

/** The key under which the queue knows an ExternalSecret. */
const externalSecretKey = ({ metadata }: KubeObject): string =>
  `ExternalSecret/${metadata.namespace ?? ''}/${metadata.name}`;

/** Has a key read again, behind what is urgent and spread so that many at once are no storm. */
export function sweepKey(
  key: string,
  queue: Queue,
  demands: Demands,
  index: ReadIndex,
  random: () => number,
): void {
  demands.add(key);
  queue.add(key, 'periodic', random() * Math.min(SWEEP_MOST_MS, index.size * SWEEP_STEP_MS));
}

/** What a server's changes wake: the ExternalSecrets that read there, the stores that lead there, and whom these refused. */
export function wakes(
  caches: Caches,
  queue: Queue,
  demands: Demands,
  index: ReadIndex,
  connections: Pick<Connections, 'rightsChanged'>,
  refusals: Pick<Refusals, 'changed'>,
  random: () => number,
  traces?: Pick<SyncTraces, 'told'>,
): Pick<PushOptions, 'changed' | 'rightsChanged' | 'sweep' | 'lost' | 'back'> {
  const rightsChanged = (server: string): void => {
    for (const store of connections.rightsChanged(server)) refusals.changed(store);
  };
  /** The stores through which anything of a server is read. */
  const storesAt = (server: string): string[] => {
    const readers = new Set(index.of(server));
    return [...caches.stores.list(), ...caches.clusterStores.list()]
      .map(({ kind, metadata }) => storeKey(kind, metadata.namespace, metadata.name))
      .filter((store) =>
        caches.externalSecrets.byIndex('store', store).some((user) => readers.has(externalSecretKey(user))),
      );
  };
  return {
    changed: (server, path, version, wrote, traceparent) => {
      for (const key of index.at(server, path)) {
        const seen = index.seen(key, path);
        if (wrote && version !== undefined && seen !== undefined && version <= seen) continue;
        if (!wrote) index.saw(key, path, undefined);
        demands.add(key, path, version);
        traces?.told(key, traceparent);
        queue.add(key, 'pushed');
      }
    },
    rightsChanged,
    sweep: (server) => {
      for (const key of index.of(server)) sweepKey(key, queue, demands, index, random);
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
      // That, too, may have been told while nobody listened.
      rightsChanged(server);
    },
  };
}

/** Wakes who failed through a store that answers again: none of them waits for its own next try. */
export function recoveredAt(store: string, caches: Caches, queue: Queue): void {
  for (const user of caches.externalSecrets.byIndex('store', store))
    if (readyIs(user) !== 'True') queue.add(externalSecretKey(user), 'pushed');
}

/** Wakes whoever a change in the cluster concerns. */
export function listen(
  caches: Caches,
  queue: Queue,
  connections: Connections,
  traffic: Traffic,
  demands: Demands,
  index: ReadIndex,
  written: Written,
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
      traffic.forget(key);
      return;
    }
    const changed = specChanged(old, now);
    if (changed) queue.add(key, 'pushed');
    if (changed || (readyIs(now) === 'True' && readyIs(old) !== 'True')) traffic.hope(key);
    // Whoever waits for the store goes on the moment it is ready, not when its own wait is over (upstream's #4340).
    if (readyIs(now) !== readyIs(old) || changed) look(users, settingsChanged(old, now));
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
      const at = { resource: SECRETS, namespace, name };
      if (kind === 'Secret' && !(now !== undefined && written.isEcho(at, now)))
        look(caches.externalSecrets.byIndex('target', `${namespace}/${name}`), false);
    };
  caches.secrets.onChange(materialChanged('Secret'));
  caches.configMaps.onChange(materialChanged('ConfigMap'));

  caches.generatorStates.onChange(({ old, new: now }) => {
    const state = now ?? old;
    if (state === undefined) return;
    const key = `GeneratorState/${state.metadata.namespace ?? ''}/${state.metadata.name}`;
    if (now === undefined) queue.remove(key);
    else if (specChanged(old, now)) queue.add(key, 'pushed');
  });

  caches.namespaces.onChange(({ old, new: now }) => {
    if (now === undefined || old === undefined) return;
    if (JSON.stringify(old.metadata.labels) === JSON.stringify(now.metadata.labels)) return;
    look(caches.externalSecrets.list(now.metadata.name), false);
  });
}

/** Whether a store may lead elsewhere than before. Our own finalizer on it is no reason to read everything again. */
const settingsChanged = (old: KubeObject | undefined, now: KubeObject): boolean => {
  const bare = (store: KubeObject): KubeObject => ({
    ...store,
    metadata: { ...store.metadata, finalizers: [] },
  });
  return old !== undefined && specChanged(bare(old), bare(now));
};

/** Whether anything but the status changed. */
export function specChanged(old: KubeObject | undefined, now: KubeObject): boolean {
  const face = ({ metadata }: KubeObject): string =>
    JSON.stringify([
      metadata.uid,
      metadata.generation,
      metadata.labels,
      metadata.annotations,
      metadata.deletionTimestamp,
    ]);
  return old === undefined || face(old) !== face(now) || lostFinalizer(old, now);
}

/** One that came is nearly always our own, and no reason to look again at what we have just looked at. */
const lostFinalizer = (old: KubeObject, now: KubeObject): boolean =>
  (old.metadata.finalizers ?? []).some((name) => now.metadata.finalizers?.includes(name) !== true);

export const readyIs = (object: KubeObject | undefined): string | undefined => conditionOf(object)?.status;
