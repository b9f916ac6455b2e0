/**
 * The one table of the kinds that are always there. What a kind of a CustomResourceDefinition can do is read from its
 * definition into the same shape (`customkinds.ts`), so nothing else asks which of the two it has before it.
 */

import { builtInColumns, type Column } from './columns.ts';
import type { Obj } from './objects.ts';
import type { Rule } from './rules.ts';
import type { Schema } from './schema.ts';

export interface ScalePaths {
  readonly spec: readonly string[];
  readonly status: readonly string[];
  readonly selector: readonly string[] | undefined;
}

export interface KindVersion {
  readonly name: string;
  readonly served: boolean;
  readonly schema?: Schema;
  readonly columns: readonly Column[];
  /** Whether `status` is a resource of its own, which the main one then cannot write. */
  readonly status: boolean;
  readonly scale?: ScalePaths;
  readonly selectable: readonly string[];
  readonly deprecation?: string;
}

export interface Kind {
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly versions: readonly KindVersion[];
  /** The version in which objects are kept. */
  readonly stored: string;
  readonly builtIn: boolean;
  /** What makes `metadata.generation` rise; Kubernetes gives it to some kinds only. */
  readonly generation: 'spec' | 'any' | 'none';
  /** Which members an object may have beside apiVersion, kind and metadata. Absent: the schema says. */
  readonly members?: readonly string[];
  readonly rules: readonly Rule[];
  /** Where its objects are kept, when that is with another kind; `seen` and `kept` convert. */
  readonly alias?: { readonly id: string; seen(object: Obj): Obj; kept(object: Obj): Obj };
}

export const idOf = (kind: { readonly group: string; readonly plural: string }): string =>
  `${kind.group === '' ? 'core' : kind.group}/${kind.plural}`;

export const apiVersionOf = (group: string, version: string): string =>
  group === '' ? version : `${group}/${version}`;

interface Row {
  group?: string;
  version?: string;
  kind: string;
  plural?: string;
  cluster?: true;
  short?: readonly string[];
  all?: true;
  status?: true;
  scale?: true;
  generation?: 'spec' | 'any';
  members: string;
  rules?: readonly Rule[];
  selectable?: readonly string[];
  alias?: Kind['alias'];
}

/** Builds the table's kinds. `rules` says what a kind asks of its objects beyond its members; events come from `alias`. */
export function builtInKinds(
  rules: Readonly<Record<string, readonly Rule[]>>,
  events: Kind['alias'],
): Kind[] {
  return rows(events).map((row) => build({ ...row, rules: rules[row.kind] ?? [] }));
}

const rows = (events: Kind['alias']): Row[] => [
  {
    kind: 'Namespace',
    cluster: true,
    short: ['ns'],
    status: true,
    members: 'spec status',
    selectable: ['status.phase'],
  },
  { kind: 'Secret', members: 'data stringData type immutable', selectable: ['type'] },
  { kind: 'ConfigMap', short: ['cm'], members: 'data binaryData immutable' },
  { kind: 'ServiceAccount', short: ['sa'], members: 'secrets imagePullSecrets automountServiceAccountToken' },
  {
    kind: 'Service',
    short: ['svc'],
    all: true,
    status: true,
    members: 'spec status',
    selectable: ['spec.clusterIP', 'spec.type'],
  },
  { kind: 'Endpoints', plural: 'endpoints', short: ['ep'], members: 'subsets' },
  {
    kind: 'Pod',
    short: ['po'],
    all: true,
    status: true,
    members: 'spec status',
    selectable: ['spec.nodeName', 'status.phase', 'spec.serviceAccountName', 'spec.restartPolicy'],
  },
  {
    kind: 'Event',
    short: ['ev'],
    members:
      'involvedObject reason message source firstTimestamp lastTimestamp count type eventTime series action related reportingComponent reportingInstance',
    selectable: [
      'involvedObject.kind',
      'involvedObject.namespace',
      'involvedObject.name',
      'involvedObject.uid',
      'involvedObject.apiVersion',
      'involvedObject.fieldPath',
      'reason',
      'type',
      'source',
      'reportingComponent',
    ],
  },
  { kind: 'Node', cluster: true, short: ['no'], status: true, members: 'spec status' },
  { kind: 'PersistentVolumeClaim', short: ['pvc'], status: true, members: 'spec status' },
  { kind: 'PersistentVolume', cluster: true, short: ['pv'], status: true, members: 'spec status' },
  { kind: 'ResourceQuota', short: ['quota'], status: true, members: 'spec status' },
  { kind: 'LimitRange', short: ['limits'], members: 'spec' },
  {
    group: 'events.k8s.io',
    kind: 'Event',
    short: ['ev'],
    members:
      'regarding reason note deprecatedSource deprecatedFirstTimestamp deprecatedLastTimestamp deprecatedCount type eventTime series action related reportingController reportingInstance',
    alias: events,
  },
  {
    group: 'apps',
    kind: 'Deployment',
    short: ['deploy'],
    all: true,
    status: true,
    scale: true,
    generation: 'spec',
    members: 'spec status',
  },
  {
    group: 'apps',
    kind: 'StatefulSet',
    short: ['sts'],
    all: true,
    status: true,
    scale: true,
    generation: 'spec',
    members: 'spec status',
  },
  {
    group: 'apps',
    kind: 'ReplicaSet',
    short: ['rs'],
    all: true,
    status: true,
    scale: true,
    generation: 'spec',
    members: 'spec status',
  },
  {
    group: 'apps',
    kind: 'DaemonSet',
    short: ['ds'],
    all: true,
    status: true,
    generation: 'spec',
    members: 'spec status',
  },
  { group: 'batch', kind: 'Job', all: true, status: true, generation: 'spec', members: 'spec status' },
  {
    group: 'batch',
    kind: 'CronJob',
    short: ['cj'],
    all: true,
    status: true,
    generation: 'spec',
    members: 'spec status',
  },
  { group: 'rbac.authorization.k8s.io', kind: 'Role', members: 'rules' },
  { group: 'rbac.authorization.k8s.io', kind: 'RoleBinding', members: 'roleRef subjects' },
  {
    group: 'rbac.authorization.k8s.io',
    kind: 'ClusterRole',
    cluster: true,
    members: 'rules aggregationRule',
  },
  {
    group: 'rbac.authorization.k8s.io',
    kind: 'ClusterRoleBinding',
    cluster: true,
    members: 'roleRef subjects',
  },
  {
    group: 'networking.k8s.io',
    kind: 'NetworkPolicy',
    plural: 'networkpolicies',
    short: ['netpol'],
    generation: 'spec',
    members: 'spec',
  },
  {
    group: 'networking.k8s.io',
    kind: 'Ingress',
    plural: 'ingresses',
    short: ['ing'],
    status: true,
    generation: 'spec',
    members: 'spec status',
  },
  {
    group: 'networking.k8s.io',
    kind: 'IngressClass',
    plural: 'ingressclasses',
    cluster: true,
    generation: 'spec',
    members: 'spec',
  },
  {
    group: 'policy',
    kind: 'PodDisruptionBudget',
    short: ['pdb'],
    status: true,
    generation: 'spec',
    members: 'spec status',
  },
  {
    group: 'autoscaling',
    version: 'v2',
    kind: 'HorizontalPodAutoscaler',
    short: ['hpa'],
    all: true,
    status: true,
    members: 'spec status',
  },
  {
    group: 'storage.k8s.io',
    kind: 'StorageClass',
    plural: 'storageclasses',
    cluster: true,
    short: ['sc'],
    members:
      'provisioner parameters reclaimPolicy mountOptions allowVolumeExpansion volumeBindingMode allowedTopologies',
  },
  { group: 'storage.k8s.io', kind: 'CSIDriver', cluster: true, members: 'spec' },
  { group: 'storage.k8s.io', kind: 'CSINode', cluster: true, members: 'spec' },
  {
    group: 'scheduling.k8s.io',
    kind: 'PriorityClass',
    plural: 'priorityclasses',
    cluster: true,
    short: ['pc'],
    members: 'value globalDefault description preemptionPolicy',
  },
  { group: 'coordination.k8s.io', kind: 'Lease', members: 'spec' },
  {
    group: 'admissionregistration.k8s.io',
    kind: 'ValidatingWebhookConfiguration',
    cluster: true,
    generation: 'any',
    members: 'webhooks',
  },
  {
    group: 'admissionregistration.k8s.io',
    kind: 'MutatingWebhookConfiguration',
    cluster: true,
    generation: 'any',
    members: 'webhooks',
  },
  {
    group: 'apiextensions.k8s.io',
    kind: 'CustomResourceDefinition',
    cluster: true,
    short: ['crd', 'crds'],
    status: true,
    generation: 'spec',
    members: 'spec status',
  },
];

function build(row: Row): Kind {
  const singular = row.kind.toLowerCase();
  const group = row.group ?? '';
  const version = row.version ?? 'v1';
  return {
    group,
    plural: row.plural ?? `${singular}s`,
    singular,
    kind: row.kind,
    listKind: `${row.kind}List`,
    namespaced: row.cluster !== true,
    shortNames: row.short ?? [],
    categories: [
      ...(row.all === true ? ['all'] : []),
      ...(group === 'apiextensions.k8s.io' || group === 'admissionregistration.k8s.io'
        ? ['api-extensions']
        : []),
    ],
    versions: [
      {
        name: version,
        served: true,
        columns: builtInColumns(group, row.kind),
        status: row.status === true,
        ...(row.scale === true
          ? {
              scale: {
                spec: ['spec', 'replicas'],
                status: ['status', 'replicas'],
                selector: undefined,
              },
            }
          : {}),
        selectable: row.selectable ?? [],
      },
    ],
    stored: version,
    builtIn: true,
    generation: row.generation ?? 'none',
    members: row.members.split(' '),
    rules: row.rules ?? [],
    ...(row.alias === undefined ? {} : { alias: row.alias }),
  };
}
