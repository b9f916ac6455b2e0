/** The two kinds that make one object of another kind in each of many namespaces, and in what they differ. */

import { sha256 } from '../../../base/bytes.ts';
import type { Resource } from '../../../kube/kube.ts';
import { clusterExternalSecretSpec, clusterPushSecretSpec } from '../../api/clusterkinds.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  EXTERNAL_SECRETS,
  PUSH_SECRETS,
} from '../../api/resources.ts';
import type { LabelSelector } from '../../api/store.ts';
import { issueOf } from '../../connections.ts';

/** What a spec asks for, whatever the kind. */
export interface Wanted {
  /** The spec of the children, as it was written: a default would be drift in each of them. */
  readonly childSpec: unknown;
  /** Absent: the parent's own. */
  readonly childName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly selectors: readonly LabelSelector[];
  readonly namespaces: readonly string[];
  readonly refreshTime?: string;
}

export interface ClusterKind {
  readonly resource: Resource;
  readonly child: Resource;
  /** The field of the status that holds the children's name. */
  readonly nameField: string;
  /** Why a namespace failed in which somebody else's object has that name; upstream's words. */
  readonly taken: string;
  /** On the parent, and on each namespace while it has a child. */
  readonly finalizers?: { readonly own: string; inNamespace(name: string): string };
  /** Annotations of the parent that its children get, too. */
  readonly mirrored: readonly string[];
  read(spec: unknown): Wanted | { readonly malformed: string };
}

interface ChildMeta {
  readonly labels?: Record<string, string> | undefined;
  readonly annotations?: Record<string, string> | undefined;
}

const rawOf = (spec: unknown, field: string): unknown =>
  (spec as Record<string, unknown> | undefined)?.[field];

const optional = (
  name: string | undefined,
  metadata: ChildMeta | undefined,
  refreshTime: string | undefined,
): Partial<Wanted> => ({
  ...(name === undefined ? {} : { childName: name }),
  ...(metadata?.labels === undefined ? {} : { labels: metadata.labels }),
  ...(metadata?.annotations === undefined ? {} : { annotations: metadata.annotations }),
  ...(refreshTime === undefined ? {} : { refreshTime }),
});

const NAMESPACE_FINALIZER = 'externalsecrets.external-secrets.io/ces-';
/** A finalizer's name may have 63 letters behind the slash; upstream's longer ones are refused by the API server. */
const LONGEST_NAME = 63 - 'ces-'.length;

export const CLUSTER_EXTERNAL_SECRET: ClusterKind = {
  resource: CLUSTER_EXTERNAL_SECRETS,
  child: EXTERNAL_SECRETS,
  nameField: 'externalSecretName',
  taken: 'external secret already exists in namespace',
  finalizers: {
    own: 'externalsecrets.external-secrets.io/clusterexternalsecret-cleanup',
    inNamespace: (name) =>
      NAMESPACE_FINALIZER + (name.length > LONGEST_NAME ? sha256(name).toString('hex').slice(0, 40) : name),
  },
  mirrored: ['external-secrets.io/force-sync'],
  read(spec) {
    const parsed = clusterExternalSecretSpec.safeParse(spec);
    if (!parsed.success) return { malformed: issueOf(parsed.error, 'spec') };
    const { externalSecretName, externalSecretMetadata, namespaceSelector, refreshTime } = parsed.data;
    return {
      childSpec: rawOf(spec, 'externalSecretSpec'),
      selectors: [
        ...(namespaceSelector === undefined ? [] : [namespaceSelector]),
        ...parsed.data.namespaceSelectors,
      ],
      namespaces: parsed.data.namespaces,
      ...optional(externalSecretName, externalSecretMetadata, refreshTime),
    };
  },
};

export const CLUSTER_PUSH_SECRET: ClusterKind = {
  resource: CLUSTER_PUSH_SECRETS,
  child: PUSH_SECRETS,
  nameField: 'pushSecretName',
  taken: 'push secret already exists in namespace',
  mirrored: [],
  read(spec) {
    const parsed = clusterPushSecretSpec.safeParse(spec);
    if (!parsed.success) return { malformed: issueOf(parsed.error, 'spec') };
    const { pushSecretName, pushSecretMetadata, namespaceSelectors, refreshTime } = parsed.data;
    return {
      childSpec: rawOf(spec, 'pushSecretSpec'),
      selectors: namespaceSelectors,
      namespaces: [],
      ...optional(pushSecretName, pushSecretMetadata, refreshTime),
    };
  },
};

/** What the children of an object are called. */
export const childNameOf = (
  kind: ClusterKind,
  object: { metadata: { name: string }; readonly [field: string]: unknown },
): string => {
  const named = rawOf(object['spec'], kind.nameField);
  return typeof named === 'string' && named !== '' ? named : object.metadata.name;
};
