/**
 * What to do about one DatabaseSecret: it has an ExternalSecret of its own name, which does all the rest, and its condition is
 * that one's. Pure.
 */

import { failure } from '../../../base/errors.ts';
import type { KubeObject, Name } from '../../../kube/kube.ts';
import type { DatabaseSecretSpec } from '../../api/databasesecret.ts';
import { DATABASE_SECRETS, EXTERNAL_SECRETS } from '../../api/resources.ts';
import { conditionOf, told, withCondition } from '../../conditions.ts';
import type { Action, StoreName } from '../../plan.ts';

export interface Observed {
  readonly object: KubeObject;
  readonly spec: DatabaseSecretSpec | { readonly malformed: string };
  /** The ExternalSecret of that name, whosever it is. */
  readonly child: KubeObject | undefined;
  /** Which of the two kinds has a store of the name that `backend` gives. */
  readonly kind: StoreName['kind'];
}

const MANAGER = 'external-secrets';
const NO_CHILD = 'could not write the ExternalSecret';

export function plan(observed: Observed, now: Date): readonly Action[] {
  const { object, spec, child } = observed;
  if (object.metadata.deletionTimestamp !== undefined) return [];
  if ('malformed' in spec) {
    const cause = failure('operator.spec_invalid', { reason: spec.malformed });
    return says(object, 'False', 'InvalidSpec', told(cause), now);
  }
  const controller = child?.metadata.ownerReferences?.find((owner) => owner.controller === true);
  if (child !== undefined && controller?.uid !== object.metadata.uid) {
    const { name } = object.metadata;
    const message = `the ExternalSecret "${name}" is not ours: give one of the two another name`;
    return says(object, 'False', 'ExternalSecretExists', message, now);
  }
  const wanted = specOf(object, spec, observed.kind);
  const name: Name = {
    resource: EXTERNAL_SECRETS,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
  };
  if (child === undefined)
    return [
      { do: 'create', name, object: made(object, wanted), manager: MANAGER, failing: NO_CHILD },
      ...says(object, 'False', 'Pending', 'its ExternalSecret has not been synced yet', now),
    ];
  const written: Action[] =
    canonical(child['spec']) === canonical(wanted)
      ? []
      : [
          {
            do: 'update',
            name,
            object: { ...child, spec: wanted },
            manager: MANAGER,
            failing: NO_CHILD,
          },
        ];
  const ready = conditionOf(child);
  return [
    ...written,
    ...says(
      object,
      ready?.status === 'True' ? 'True' : 'False',
      ready?.reason ?? 'Pending',
      ready?.message ?? 'its ExternalSecret has not been synced yet',
      now,
    ),
  ];
}

/** An API server gives the fields of an object in an order of its own. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

function specOf({ metadata }: KubeObject, spec: DatabaseSecretSpec, kind: StoreName['kind']): object {
  const mount = spec.vaultMountPath.replace(/^\/+|\/+$/g, '');
  return {
    secretStoreRef: { name: spec.backend, kind },
    target: { name: spec.target?.name ?? metadata.name },
    ...(spec.refreshInterval === undefined ? {} : { refreshInterval: spec.refreshInterval }),
    dataFrom: [{ extract: { key: `${mount}/creds/${spec.vaultRole}` } }],
  };
}

const made = ({ apiVersion, kind, metadata }: KubeObject, spec: object): KubeObject => ({
  apiVersion: `${EXTERNAL_SECRETS.group}/${EXTERNAL_SECRETS.version}`,
  kind: EXTERNAL_SECRETS.kind,
  metadata: {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }],
  },
  spec,
});

/** Nothing where it says so already: each write would wake us again. */
function says(
  object: KubeObject,
  status: 'True' | 'False',
  reason: string,
  message: string,
  now: Date,
): Action[] {
  const before = conditionOf(object);
  if (before?.status === status && before.reason === reason && before.message === message) return [];
  const conditions = withCondition(
    (object['status'] as { conditions?: [] } | undefined)?.conditions ?? [],
    { type: 'Ready', status, reason, message },
    now,
  );
  const { namespace = '', name } = object.metadata;
  return [{ do: 'status', name: { resource: DATABASE_SECRETS, namespace, name }, status: { conditions } }];
}
