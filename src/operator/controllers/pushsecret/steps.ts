/** The single steps that plans of PushSecrets are made of. */

import type { KubeObject, Name } from '../../../kube/kube.ts';
import type { Synced } from '../../api/pushsecret.ts';
import { PUSH_SECRETS } from '../../api/resources.ts';
import { readyOf, withCondition } from '../../conditions.ts';
import type { Action } from '../../plan.ts';
import type { Observed } from './observed.ts';
import { syncedPatch } from './synced.ts';

export const FINALIZER = 'pushsecret.externalsecrets.io/finalizer';
const COMPONENT = 'pushsecret';

const nameOf = ({ metadata }: KubeObject): Name => ({
  resource: PUSH_SECRETS,
  namespace: metadata.namespace ?? '',
  name: metadata.name,
});

/** A merge patch replaces the whole list, so it insists on the version that the list was read from. */
export function finalizerSet(object: KubeObject, wanted: boolean): Action[] {
  const had = object.metadata.finalizers ?? [];
  if (had.includes(FINALIZER) === wanted) return [];
  const finalizers = wanted ? [...had, FINALIZER] : had.filter((name) => name !== FINALIZER);
  const patch = { metadata: { finalizers, resourceVersion: object.metadata.resourceVersion } };
  return [{ do: 'patch', name: nameOf(object), patch }];
}

/** The record alone, before what it tells of is done. */
export function noted(observed: Observed, after: Synced): Action[] {
  const { object } = observed;
  const patch = syncedPatch(recordOf(observed), after);
  return patch === undefined
    ? []
    : [{ do: 'status', name: nameOf(object), status: { syncedPushSecrets: patch } }];
}

export const event = (
  object: KubeObject,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
): Action => ({
  do: 'event',
  regarding: object,
  note: { type, reason, message, component: COMPONENT },
});

/** What the cluster's status says by now. */
const recordOf = ({ record, status }: Observed): Synced => record ?? status.syncedPushSecrets ?? {};

/** The condition, the record as it is then, and an event where there is news. */
export function told(
  observed: Observed,
  given: {
    readonly is: 'True' | 'False';
    readonly reason: 'Synced' | 'Errored' | 'SourceDeleted';
    readonly message: string;
    readonly synced: Synced;
    readonly news?: boolean;
    readonly more?: object;
  },
  now: Date,
): Action[] {
  const { object, status } = observed;
  const { is, reason, message, synced, more = {} } = given;
  const before = readyOf(status.conditions);
  const conditions = withCondition(
    status.conditions ?? [],
    { type: 'Ready', status: is, reason, message },
    now,
  );
  const patch = syncedPatch(recordOf(observed), synced);
  // When it is tried again is said behind it, and is no news.
  const said = before?.message?.replace(/; tried again within [^;]*$/, '');
  const same = before?.status === is && before.reason === reason && said === message;
  const type = reason === 'Errored' ? 'Warning' : 'Normal';
  return [
    ...(given.news === true || !same ? [event(object, type, reason, message)] : []),
    {
      do: 'status',
      name: nameOf(object),
      status: { ...more, ...(patch === undefined ? {} : { syncedPushSecrets: patch }), conditions },
    },
  ];
}
