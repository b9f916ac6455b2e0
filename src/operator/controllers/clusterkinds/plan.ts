/**
 * What to do about one ClusterExternalSecret or ClusterPushSecret: in which namespaces it has a child, and in which it has one
 * no more. Pure. Children are known by their owner's UID, so that one is found wherever it was left: after a new name, after
 * a label that went, after a status that was lost.
 */

import { parseDuration } from '../../../base/duration.ts';
import { sameJson } from '../../../base/equal.ts';
import { asFailure } from '../../../base/errors.ts';
import type { KubeObject, Name } from '../../../kube/kube.ts';
import { type LabelSelector, matchesSelector } from '../../../kube/selectors.ts';
import { NAMESPACES } from '../../api/resources.ts';
import type { Action } from '../../plan.ts';
import { type ClusterKind, childNameOf, type Wanted } from './kinds.ts';

export interface Observed {
  readonly kind: ClusterKind;
  readonly object: KubeObject;
  readonly namespaces: readonly KubeObject[];
  /** By namespace: the object that has the children's name there, whosever it is. */
  readonly named: ReadonlyMap<string, KubeObject>;
  /** Every object of the children's kind that this one controls. */
  readonly owned: readonly KubeObject[];
}

/** What is to be done in one namespace; the rest goes on where it fails. */
export interface Place {
  readonly namespace: string;
  readonly actions: readonly Action[];
  /** The child is there once the actions are done. */
  readonly isProvisioned: boolean;
  /** It failed already, and why. */
  readonly failed?: string;
}

export interface Plan {
  /** Before anything is made in any namespace. */
  readonly first: readonly Action[];
  readonly places: readonly Place[];
  /** Once nothing is left in any namespace. */
  readonly last: readonly Action[];
  /** Nothing is to be told: it goes. */
  readonly isEnding: boolean;
  /** It cannot be told which namespaces are meant: all stay as they are. */
  readonly unreadable?: string;
  readonly requeueAfterMs?: number;
}

const MANAGER = 'external-secrets';
/** `--requeue-interval` of external-secrets. */
const REFRESH_MS = 3_600_000;

export function plan(observed: Observed): Plan {
  const { kind, object } = observed;
  if (object.metadata.deletionTimestamp !== undefined) return ending(observed);
  const wanted = kind.read(object['spec']);
  const problem = 'malformed' in wanted ? wanted.malformed : unreadable(wanted);
  if ('malformed' in wanted || problem !== undefined)
    return { first: [], places: [], last: [], isEnding: false, unreadable: problem ?? '' };
  const targets = observed.namespaces.filter((namespace) => isTarget(namespace, wanted));
  const inTargets = new Set(targets.map(({ metadata }) => metadata.name));
  const places = [
    ...targets.map((namespace) => provision(observed, wanted, namespace)),
    ...observed.namespaces
      .filter(({ metadata }) => !inTargets.has(metadata.name))
      .map((namespace) => retreat(observed, namespace)),
  ];
  const refreshMs = wanted.refreshTime === undefined ? REFRESH_MS : parseDuration(wanted.refreshTime);
  return {
    first: finalizerSet(object, parentName(observed), kind.finalizers?.own, true),
    places: places.filter(
      ({ actions, isProvisioned, failed }) => isProvisioned || failed !== undefined || actions.length > 0,
    ),
    last: [],
    isEnding: false,
    ...(refreshMs > 0 ? { requeueAfterMs: refreshMs } : {}),
  };
}

/** The status after what was planned was done, as far as that went. */
export function concluded(
  { kind, object }: Observed,
  { places, unreadable: problem }: Plan,
  failures: ReadonlyMap<string, string>,
): Action[] {
  const status = (object['status'] ?? {}) as Readonly<Record<string, unknown>>;
  const known = places
    .flatMap(({ namespace, failed }) => {
      const reason = failed ?? failures.get(namespace);
      return reason === undefined ? [] : [{ namespace, reason }];
    })
    .sort(byNamespace);
  // Upstream's word for a namespace that cannot be told.
  const failed = problem === undefined ? known : [{ namespace: 'unknown', reason: problem }];
  const provisioned = places
    .filter(({ namespace, isProvisioned }) => isProvisioned && !failures.has(namespace))
    .map(({ namespace }) => namespace)
    .sort();
  const condition =
    failed.length === 0
      ? { type: 'Ready', status: 'True' }
      : { type: 'Ready', status: 'False', message: 'one or more namespaces failed' };
  const next = {
    [kind.nameField]: childNameOf(kind, object),
    // A merge patch takes away what is null; upstream leaves empty lists out.
    ...(problem === undefined
      ? { provisionedNamespaces: provisioned.length === 0 ? null : provisioned }
      : {}),
    failedNamespaces: failed.length === 0 ? null : failed,
    conditions: [condition],
  };
  const same = Object.entries(next).every(([field, value]) => sameJson(status[field] ?? null, value));
  return same
    ? []
    : [{ do: 'status', name: { resource: kind.resource, name: object.metadata.name }, status: next }];
}

/** Nothing of it stays: finalizers of namespaces first, else one could not be deleted any more. */
function ending(observed: Observed): Plan {
  const { kind, object, namespaces } = observed;
  return {
    first: [],
    places: namespaces
      .map((namespace) => retreat(observed, namespace))
      .filter(({ actions }) => actions.length > 0),
    last: finalizerSet(object, parentName(observed), kind.finalizers?.own, false),
    isEnding: true,
  };
}

function provision(observed: Observed, wanted: Wanted, namespace: KubeObject): Place {
  const { kind, object, named, owned } = observed;
  const { name, deletionTimestamp } = namespace.metadata;
  // A namespace that goes takes its objects along; ours must not hold it up.
  if (deletionTimestamp !== undefined) return retreatFrom(observed, namespace, []);
  const existing = named.get(name);
  const isOurs = existing !== undefined && isOwned(existing, object);
  const renamed = owned.filter(
    (child) => child.metadata.namespace === name && child.metadata.name !== childNameOf(kind, object),
  );
  if (existing !== undefined && !isOurs)
    return { ...retreatFrom(observed, namespace, renamed), failed: kind.taken };
  const desired = childOf(observed, wanted, name, existing);
  const at: Name = { resource: kind.child, namespace: name, name: desired.metadata.name };
  const write = {
    name: at,
    object: desired,
    manager: MANAGER,
    failing: `could not create or update ${kind.child.kind}`,
  };
  const same = existing !== undefined && sameJson(faceOf(existing), faceOf(desired));
  return {
    namespace: name,
    isProvisioned: true,
    actions: [
      ...finalizerSet(
        namespace,
        nameOfNamespace(name),
        kind.finalizers?.inNamespace(object.metadata.name),
        true,
      ),
      ...(same ? [] : [{ do: existing === undefined ? ('create' as const) : ('update' as const), ...write }]),
      ...renamed.map((child) => deletion(kind, child)),
    ],
  };
}

/** Takes away what is in a namespace that is not meant, or no more. */
function retreat(observed: Observed, namespace: KubeObject): Place {
  const children = observed.owned.filter((child) => child.metadata.namespace === namespace.metadata.name);
  return retreatFrom(observed, namespace, children);
}

function retreatFrom(
  { kind, object }: Observed,
  namespace: KubeObject,
  children: readonly KubeObject[],
): Place {
  const { name } = namespace.metadata;
  const finalizer = kind.finalizers?.inNamespace(object.metadata.name);
  return {
    namespace: name,
    isProvisioned: false,
    actions: [
      ...children.map((child) => deletion(kind, child)),
      ...finalizerSet(namespace, nameOfNamespace(name), finalizer, false),
    ],
  };
}

const deletion = (kind: ClusterKind, { metadata }: KubeObject): Action => ({
  do: 'delete',
  name: { resource: kind.child, namespace: metadata.namespace ?? '', name: metadata.name },
  uid: metadata.uid ?? '',
  failing: `could not delete ${kind.child.kind}`,
});

/** The child as it should be: its labels, annotations and spec are the parent's to say, all of them. */
function childOf(
  { kind, object }: Observed,
  wanted: Wanted,
  namespace: string,
  existing: KubeObject | undefined,
): KubeObject {
  const mirrored = Object.entries(object.metadata.annotations ?? {}).filter(([key]) =>
    kind.mirrored.includes(key),
  );
  const kept = Object.entries(wanted.annotations ?? {}).filter(([key]) => !kind.mirrored.includes(key));
  const others = (existing?.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== object.metadata.uid);
  return {
    ...existing,
    apiVersion: `${kind.child.group}/${kind.child.version}`,
    kind: kind.child.kind,
    metadata: {
      ...existing?.metadata,
      name: childNameOf(kind, object),
      namespace,
      labels: wanted.labels ?? {},
      annotations: Object.fromEntries([...kept, ...mirrored]),
      ownerReferences: [
        ...others,
        {
          apiVersion: `${kind.resource.group}/${kind.resource.version}`,
          kind: kind.resource.kind,
          name: object.metadata.name,
          uid: object.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: wanted.childSpec,
  };
}

const faceOf = (child: KubeObject): unknown => [
  child['spec'],
  child.metadata.labels ?? {},
  child.metadata.annotations ?? {},
  child.metadata.ownerReferences ?? [],
];

export const isOwned = ({ metadata }: KubeObject, owner: KubeObject): boolean =>
  metadata.ownerReferences?.some(
    ({ uid, controller }) => controller === true && uid === owner.metadata.uid,
  ) === true;

/** Whether a namespace is meant: by its name, or by any of the selectors. */
export function isTarget({ metadata }: KubeObject, { selectors, namespaces }: Wanted): boolean {
  // The API server sets this label on every namespace; one that is too old to have it is told by its name.
  const labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
  return (
    namespaces.includes(metadata.name) || selectors.some((selector) => matchesSelector(selector, labels))
  );
}

function unreadable({ selectors, refreshTime }: Wanted): string | undefined {
  try {
    for (const selector of selectors) check(selector);
    if (refreshTime !== undefined) parseDuration(refreshTime);
    return undefined;
  } catch (error) {
    return asFailure(error).message;
  }
}

const check = (selector: LabelSelector): boolean => matchesSelector(selector, {});

/** A merge patch replaces the whole list, so it insists on the version that the list was read from. */
function finalizerSet(
  object: KubeObject,
  name: Name,
  finalizer: string | undefined,
  wanted: boolean,
): Action[] {
  const had = object.metadata.finalizers ?? [];
  if (finalizer === undefined || had.includes(finalizer) === wanted) return [];
  const finalizers = wanted ? [...had, finalizer] : had.filter((one) => one !== finalizer);
  return [
    {
      do: 'patch',
      name,
      patch: { metadata: { finalizers, resourceVersion: object.metadata.resourceVersion } },
    },
  ];
}

const nameOfNamespace = (name: string): Name => ({ resource: NAMESPACES, name });
const parentName = ({ kind, object }: Observed): Name => ({
  resource: kind.resource,
  name: object.metadata.name,
});

const byNamespace = (a: { namespace: string }, b: { namespace: string }): number =>
  a.namespace < b.namespace ? -1 : 1;
