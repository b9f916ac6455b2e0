/**
 * Who pushes again when something in the cluster changes. What a PushSecret reads is watched, so that a changed Secret is in
 * its stores at once (upstream waits for the interval: its #6069).
 */

import type { CacheChange } from '../../../kube/cache.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { Queue } from '../../../kube/queue.ts';
import { type LabelSelector, matchesSelector } from '../../../kube/selectors.ts';
import type { Caches } from '../../caches.ts';
import { storeKey } from '../../connections.ts';
import type { Demands } from '../../demand.ts';
import { readyIs, specChanged } from '../../wakeups.ts';
import { pushKeysOf, selection } from './keys.ts';

export const pushSecretKey = ({ metadata }: KubeObject): string =>
  `PushSecret/${metadata.namespace ?? ''}/${metadata.name}`;

/** Wakes the PushSecrets that a change concerns. */
export function listenForPushes(caches: Caches, queue: Queue, demands: Demands): void {
  const { pushSecrets, stores, clusterStores, secrets, configMaps, namespaces } = caches;
  const look = (objects: Iterable<KubeObject>, again: boolean): void => {
    for (const key of new Set([...objects].map(pushSecretKey))) {
      if (again) demands.add(key);
      queue.add(key, 'pushed');
    }
  };

  pushSecrets.onChange(({ old, new: now }) => {
    holdersChanged(old, now, queue);
    const object = now ?? old;
    if (object === undefined) return;
    const key = pushSecretKey(object);
    if (now === undefined) {
      demands.forget(key);
      queue.remove(key);
      // What it leaves behind may be what another one waits for.
      for (const store of pushKeysOf(object).stores) pushesRecoveredAt(store, caches, queue);
    } else if (specChanged(old, now)) {
      queue.add(key, 'pushed');
    }
  });

  const storeChanged =
    (kind: string) =>
    ({ old, new: now }: CacheChange): void => {
      const object = now ?? old;
      if (object === undefined) return;
      const { namespace = '', name } = object.metadata;
      const users = [
        ...pushSecrets.byIndex('store', storeKey(kind, object.metadata.namespace, name)),
        ...pushSecrets.byIndex('selects', selection(kind, namespace)),
      ];
      const changed = now !== undefined && old !== undefined && settings(old) !== settings(now);
      if (now === undefined || old === undefined || changed || readyIs(now) !== readyIs(old))
        look(users, changed);
    };
  stores.onChange(storeChanged('SecretStore'));
  clusterStores.onChange(storeChanged('ClusterSecretStore'));

  const sourceChanged =
    (kind: 'Secret' | 'ConfigMap') =>
    ({ old, new: now }: CacheChange): void => {
      const object = now ?? old;
      if (object === undefined) return;
      const { namespace = '', name } = object.metadata;
      // Before the first list nobody knows what changed; the plan tells by the time of the last write.
      look(pushSecrets.byIndex('source', `${kind}/${namespace}/${name}`), old !== undefined);
      if (kind !== 'Secret') return;
      const selecting = pushSecrets.byIndex('selects', selection(kind, namespace));
      const either = [old, now].flatMap((one) => one ?? []);
      look(
        selecting.filter((push) => either.some((secret) => isSelected(push, secret))),
        old !== undefined,
      );
    };
  secrets.onChange(sourceChanged('Secret'));
  configMaps.onChange(sourceChanged('ConfigMap'));

  namespaces.onChange(({ old, new: now }) => {
    if (now === undefined || old === undefined) return;
    if (JSON.stringify(old.metadata.labels) !== JSON.stringify(now.metadata.labels))
      look(pushSecrets.list(now.metadata.name), false);
  });
}

/** A selector that cannot be read selects nothing; the plan says so. */
function isSelected(push: KubeObject, secret: KubeObject): boolean {
  const { selector } = (push['spec'] ?? {}) as { selector?: { secret?: { selector?: LabelSelector } } };
  try {
    return matchesSelector(selector?.secret?.selector, secret.metadata.labels);
  } catch {
    return false;
  }
}

/** PushSecrets that failed through a store that answers again. */
export function pushesRecoveredAt(store: string, { pushSecrets }: Caches, queue: Queue): void {
  for (const user of pushSecrets.byIndex('store', store))
    if (readyIs(user) !== 'True') queue.add(pushSecretKey(user), 'pushed');
}

/** A store that a PushSecret begins or ceases to hold takes or gives up its finalizer. */
function holdersChanged(old: KubeObject | undefined, now: KubeObject | undefined, queue: Queue): void {
  const before = old === undefined ? [] : pushKeysOf(old).holds;
  const after = now === undefined ? [] : pushKeysOf(now).holds;
  for (const store of before) if (!after.includes(store)) queue.add(store, 'pushed');
  for (const store of after) if (!before.includes(store)) queue.add(store, 'pushed');
}

/** What a store leads to and is found by. */
const settings = ({ metadata }: KubeObject): string =>
  JSON.stringify([metadata.uid, metadata.generation, metadata.labels, metadata.deletionTimestamp]);
