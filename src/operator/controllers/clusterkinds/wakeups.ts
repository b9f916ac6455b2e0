/** Who makes or takes away children when something in the cluster changes: a namespace, a child, a stranger of its name. */

import type { Cache } from '../../../kube/cache.ts';
import type { KubeObject } from '../../../kube/kube.ts';
import type { Queue } from '../../../kube/queue.ts';
import { specChanged } from '../../wakeups.ts';
import { type ClusterKind, childNameOf } from './kinds.ts';

export interface Listening {
  readonly kind: ClusterKind;
  readonly parents: Cache;
  readonly children: Cache;
  readonly namespaces: Cache;
  readonly queue: Queue;
}

export function listenForChildren({ kind, parents, children, namespaces, queue }: Listening): void {
  const keyOf = ({ metadata }: KubeObject): string => `${kind.resource.kind}//${metadata.name}`;
  /** What leads from a child to its parent, by the parent's key: reading all parents for each child there is would be dear. */
  const known = new Map<string, { readonly uid: string | undefined; readonly childName: string }>();

  parents.onChange(({ old, new: now }) => {
    if (now !== undefined) {
      known.set(keyOf(now), { uid: now.metadata.uid, childName: childNameOf(kind, now) });
      if (specChanged(old, now)) queue.add(keyOf(now), 'pushed');
    } else if (old !== undefined) {
      known.delete(keyOf(old));
      queue.remove(keyOf(old));
    }
  });

  namespaces.onChange(({ old, new: now }) => {
    if (old !== undefined && now !== undefined && !specChanged(old, now)) return;
    for (const key of known.keys()) queue.add(key, 'pushed');
  });

  children.onChange(({ old, new: now }) => {
    // Only what a parent says of its child: a status moves with each sync.
    if (old !== undefined && now !== undefined && !specChanged(old, now)) return;
    const either = [old, now].flatMap((child) => child ?? []);
    for (const [key, { uid, childName }] of known)
      if (
        either.some(
          ({ metadata }) =>
            metadata.name === childName || metadata.ownerReferences?.some((owner) => owner.uid === uid),
        )
      )
        queue.add(key, 'pushed');
  });
}
