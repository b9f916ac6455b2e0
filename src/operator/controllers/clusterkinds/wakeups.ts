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
  const wake = (objects: Iterable<KubeObject>): void => {
    for (const object of objects) queue.add(keyOf(object), 'pushed');
  };

  parents.onChange(({ old, new: now }) => {
    if (now !== undefined && specChanged(old, now)) queue.add(keyOf(now), 'pushed');
    if (now === undefined && old !== undefined) queue.remove(keyOf(old));
  });

  namespaces.onChange(({ old, new: now }) => {
    if (old !== undefined && now !== undefined && !specChanged(old, now)) return;
    wake(parents.list());
  });

  children.onChange(({ old, new: now }) => {
    // Only what a parent says of its child: a status moves with each sync.
    if (old !== undefined && now !== undefined && !specChanged(old, now)) return;
    const either = [old, now].flatMap((child) => child ?? []);
    wake(
      parents
        .list()
        .filter((parent) =>
          either.some(
            ({ metadata }) =>
              metadata.name === childNameOf(kind, parent) ||
              metadata.ownerReferences?.some(({ uid }) => uid === parent.metadata.uid),
          ),
        ),
    );
  });
}
