/** The single steps that plans are made of. */

import type { KubeObject, Name } from '../../../kube/kube.ts';
import { EXTERNAL_SECRETS, SECRETS } from '../../api/resources.ts';
import { withCondition } from '../../conditions.ts';
import type { Action, Note } from '../../plan.ts';
import { namespaceOf, type Observed } from './observed.ts';

export const FINALIZER = 'externalsecrets.external-secrets.io/externalsecret-cleanup';

export const secretName = (namespace: string, name: string): Name => ({ resource: SECRETS, namespace, name });

const nameOf = (object: KubeObject): Name => ({
  resource: EXTERNAL_SECRETS,
  namespace: namespaceOf(object),
  name: object.metadata.name,
});

export const event = (regarding: KubeObject, note: Note): Action => ({ do: 'event', regarding, note });

/** The finalizer stands before the first Secret does, else a deletion in between would leave it behind. */
export function withFinalizer(object: KubeObject): Action[] {
  const finalizers = object.metadata.finalizers ?? [];
  return finalizers.includes(FINALIZER) ? [] : [setFinalizers(object, [...finalizers, FINALIZER])];
}

export const finalizerRemoved = (object: KubeObject): Action =>
  setFinalizers(
    object,
    (object.metadata.finalizers ?? []).filter((name) => name !== FINALIZER),
  );

/** A merge patch replaces the whole list, so it insists on the version that the list was read from. */
const setFinalizers = (object: KubeObject, finalizers: readonly string[]): Action => ({
  do: 'patch',
  name: nameOf(object),
  patch: { metadata: { finalizers, resourceVersion: object.metadata.resourceVersion } },
});

export const deletion = (object: KubeObject, secret: KubeObject, failing: string, why: string): Action[] => [
  {
    do: 'delete',
    name: secretName(namespaceOf(object), secret.metadata.name),
    uid: secret.metadata.uid ?? '',
    failing,
  },
  event(object, { type: 'Normal', reason: 'Deleted', message: why }),
];

export function ready(
  { object, status }: Observed,
  is: 'True' | 'False',
  reason: string,
  message: string,
  now: Date,
  more: object,
): Action {
  const conditions = withCondition(
    status.conditions ?? [],
    { type: 'Ready', status: is, reason, message },
    now,
  );
  return { do: 'status', name: nameOf(object), status: { ...more, conditions } };
}
