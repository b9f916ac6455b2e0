/** The columns that `kubectl get` prints, as the server of Kubernetes sends them for the kinds people look at. */

import {
  asFields,
  asList,
  asText,
  at,
  isFields,
  meta,
  nameOf,
  type Obj,
  texts,
  type Value,
} from './objects.ts';

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  /** Above 0: only in `-o wide`. */
  readonly priority: number;
  cell(object: Obj, now: number): Value;
}

const column = (name: string, cell: Column['cell'], type = 'string', priority = 0): Column => ({
  name,
  type,
  priority,
  cell,
  ...(name === 'Name' ? { format: 'name' } : {}),
});
const wide = (name: string, cell: Column['cell']): Column => column(name, cell, 'string', 1);

export const nameColumn: Column = column('Name', nameOf);
export const ageColumn: Column = column('Age', (object, now) => age(meta(object)['creationTimestamp'], now));

/** A span as kubectl prints it: "12s", "3m20s", "5h", "2d". `duration.HumanDuration` of apimachinery. */
export function humanSpan(ms: number): string {
  const s = Math.floor(ms / 1000);
  if (s < -1) return '<invalid>';
  if (s < 0) return '0s';
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return s % 60 === 0 ? `${m}m` : `${m}m${s % 60}s`;
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 8) return m % 60 === 0 ? `${h}h` : `${h}h${m % 60}m`;
  if (h < 48) return `${h}h`;
  const d = Math.floor(h / 24);
  if (h < 192) return h % 24 === 0 ? `${d}d` : `${d}d${h % 24}h`;
  if (h < 24 * 365 * 2) return `${d}d`;
  const y = Math.floor(d / 365);
  return h < 24 * 365 * 8 && d % 365 !== 0 ? `${y}y${d % 365}d` : `${y}y`;
}

/** How long ago a time of the API was. */
function age(time: Value | undefined, now: number): string {
  const then = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(then) ? '<unknown>' : humanSpan(now - then);
}

const size = (value: Value | undefined): number =>
  Array.isArray(value) ? value.length : isFields(value) ? Object.keys(value).length : 0;
const number = (value: Value | undefined): number => (typeof value === 'number' ? value : 0);
const or = (text: string, other = '<none>'): string => (text === '' ? other : text);
const joined = (value: Value | undefined): string => or(texts(value).join(','));
const labels = (value: Value | undefined): string =>
  or(
    Object.entries(asFields(value))
      .map(([key, label]) => `${key}=${String(label)}`)
      .join(','),
  );
const containers = (object: Obj): Value[] => asList(at(object, 'spec', 'template', 'spec', 'containers'));
const names = (object: Obj): string =>
  containers(object)
    .map((c) => asText(at(c, 'name')) ?? '')
    .join(',');
const images = (object: Obj): string =>
  containers(object)
    .map((c) => asText(at(c, 'image')) ?? '')
    .join(',');
const workload = [
  wide('Containers', names),
  wide('Images', images),
  wide('Selector', (o) => labels(at(o, 'spec', 'selector', 'matchLabels'))),
];

function ready(object: Obj): string {
  return `${number(at(object, 'status', 'readyReplicas'))}/${number(at(object, 'spec', 'replicas'))}`;
}

function ports(object: Obj): string {
  return or(
    asList(at(object, 'spec', 'ports'))
      .map((port) => {
        const node = at(port, 'nodePort');
        const protocol = asText(at(port, 'protocol')) ?? 'TCP';
        return `${String(at(port, 'port'))}${typeof node === 'number' ? `:${node}` : ''}/${protocol}`;
      })
      .join(','),
  );
}

function endpoints(object: Obj): string {
  const all: string[] = [];
  for (const subset of asList(object['subsets'])) {
    for (const address of asList(at(subset, 'addresses'))) {
      for (const port of asList(at(subset, 'ports'))) {
        all.push(`${asText(at(address, 'ip')) ?? ''}:${String(at(port, 'port'))}`);
      }
    }
  }
  return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : or(all.join(','));
}

function podReady(object: Obj): string {
  const statuses = asList(at(object, 'status', 'containerStatuses'));
  return `${statuses.filter((s) => at(s, 'ready') === true).length}/${asList(at(object, 'spec', 'containers')).length}`;
}

function subjects(object: Obj, kind: string): string {
  return asList(object['subjects'])
    .filter((s) => at(s, 'kind') === kind)
    .map((s) => {
      const namespace = asText(at(s, 'namespace'));
      const name = asText(at(s, 'name')) ?? '';
      return kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name;
    })
    .join(', ');
}

const bindings: readonly Column[] = [
  nameColumn,
  column(
    'Role',
    (o) => `${asText(at(o, 'roleRef', 'kind')) ?? ''}/${asText(at(o, 'roleRef', 'name')) ?? ''}`,
  ),
  ageColumn,
  wide('Users', (o) => subjects(o, 'User')),
  wide('Groups', (o) => subjects(o, 'Group')),
  wide('ServiceAccounts', (o) => subjects(o, 'ServiceAccount')),
];
/** Roles have no Age: they print when they were created, and so do definitions. */
const created: readonly Column[] = [
  nameColumn,
  column('Created At', (o) => asText(meta(o)['creationTimestamp']) ?? '', 'date'),
];
const webhooks: readonly Column[] = [
  nameColumn,
  column('Webhooks', (o) => size(o['webhooks']), 'integer'),
  ageColumn,
];

const table: Readonly<Record<string, readonly Column[]>> = {
  '/Namespace': [nameColumn, column('Status', (o) => asText(at(o, 'status', 'phase')) ?? ''), ageColumn],
  '/Secret': [
    nameColumn,
    column('Type', (o) => asText(o['type']) ?? ''),
    column('Data', (o) => size(o['data'])),
    ageColumn,
  ],
  '/ConfigMap': [nameColumn, column('Data', (o) => size(o['data']) + size(o['binaryData'])), ageColumn],
  '/ServiceAccount': [nameColumn, column('Secrets', (o) => size(o['secrets'])), ageColumn],
  '/Service': [
    nameColumn,
    column('Type', (o) => asText(at(o, 'spec', 'type')) ?? 'ClusterIP'),
    column('Cluster-IP', (o) => or(asText(at(o, 'spec', 'clusterIP')) ?? '')),
    column(
      'External-IP',
      (o) => asText(at(o, 'spec', 'externalName')) ?? joined(at(o, 'spec', 'externalIPs')),
    ),
    column('Port(s)', ports),
    ageColumn,
    wide('Selector', (o) => labels(at(o, 'spec', 'selector'))),
  ],
  '/Endpoints': [nameColumn, column('Endpoints', endpoints), ageColumn],
  '/Pod': [
    nameColumn,
    column('Ready', podReady),
    column('Status', (o) =>
      meta(o)['deletionTimestamp'] === undefined ? (asText(at(o, 'status', 'phase')) ?? '') : 'Terminating',
    ),
    column('Restarts', (o) =>
      String(
        asList(at(o, 'status', 'containerStatuses')).reduce<number>(
          (sum, s) => sum + number(at(s, 'restartCount')),
          0,
        ),
      ),
    ),
    ageColumn,
    wide('IP', (o) => asText(at(o, 'status', 'podIP')) ?? '<none>'),
    wide('Node', (o) => asText(at(o, 'spec', 'nodeName')) ?? '<none>'),
    wide('Nominated Node', (o) => asText(at(o, 'status', 'nominatedNodeName')) ?? '<none>'),
    wide('Readiness Gates', () => '<none>'),
  ],
  '/Event': [
    column('Last Seen', (o, now) =>
      age(o['lastTimestamp'] ?? o['eventTime'] ?? meta(o)['creationTimestamp'], now),
    ),
    column('Type', (o) => asText(o['type']) ?? ''),
    column('Reason', (o) => asText(o['reason']) ?? ''),
    column('Object', (o) => {
      const kind = (asText(at(o, 'involvedObject', 'kind')) ?? '').toLowerCase();
      return `${kind}/${asText(at(o, 'involvedObject', 'name')) ?? ''}`;
    }),
    wide('Subobject', (o) => asText(at(o, 'involvedObject', 'fieldPath')) ?? ''),
    wide('Source', (o) => asText(at(o, 'source', 'component')) ?? asText(o['reportingComponent']) ?? ''),
    column('Message', (o) => (asText(o['message']) ?? '').trim()),
    wide('First Seen', (o, now) =>
      age(o['firstTimestamp'] ?? o['eventTime'] ?? meta(o)['creationTimestamp'], now),
    ),
    wide('Count', (o) => String(o['count'] ?? 1)),
    wide('Name', nameOf),
  ],
  '/Node': [
    nameColumn,
    column('Status', (o) =>
      asList(at(o, 'status', 'conditions')).some(
        (c) => at(c, 'type') === 'Ready' && at(c, 'status') === 'True',
      )
        ? 'Ready'
        : 'NotReady',
    ),
    column('Roles', () => '<none>'),
    ageColumn,
    column('Version', (o) => asText(at(o, 'status', 'nodeInfo', 'kubeletVersion')) ?? ''),
  ],
  '/PersistentVolumeClaim': [
    nameColumn,
    column('Status', (o) => asText(at(o, 'status', 'phase')) ?? 'Pending'),
    column('Volume', (o) => asText(at(o, 'spec', 'volumeName')) ?? ''),
    column('Capacity', (o) => asText(at(o, 'status', 'capacity', 'storage')) ?? ''),
    column('Access Modes', (o) => texts(at(o, 'spec', 'accessModes')).join(',')),
    column('StorageClass', (o) => asText(at(o, 'spec', 'storageClassName')) ?? ''),
    ageColumn,
  ],
  'apps/Deployment': [
    nameColumn,
    column('Ready', ready),
    column('Up-to-date', (o) => number(at(o, 'status', 'updatedReplicas')), 'integer'),
    column('Available', (o) => number(at(o, 'status', 'availableReplicas')), 'integer'),
    ageColumn,
    ...workload,
  ],
  'apps/StatefulSet': [nameColumn, column('Ready', ready), ageColumn, ...workload.slice(0, 2)],
  'apps/ReplicaSet': [
    nameColumn,
    column('Desired', (o) => number(at(o, 'spec', 'replicas')), 'integer'),
    column('Current', (o) => number(at(o, 'status', 'replicas')), 'integer'),
    column('Ready', (o) => number(at(o, 'status', 'readyReplicas')), 'integer'),
    ageColumn,
    ...workload,
  ],
  'apps/DaemonSet': [
    nameColumn,
    column('Desired', (o) => number(at(o, 'status', 'desiredNumberScheduled')), 'integer'),
    column('Current', (o) => number(at(o, 'status', 'currentNumberScheduled')), 'integer'),
    column('Ready', (o) => number(at(o, 'status', 'numberReady')), 'integer'),
    column('Up-to-date', (o) => number(at(o, 'status', 'updatedNumberScheduled')), 'integer'),
    column('Available', (o) => number(at(o, 'status', 'numberAvailable')), 'integer'),
    column('Node Selector', (o) => labels(at(o, 'spec', 'template', 'spec', 'nodeSelector'))),
    ageColumn,
    ...workload,
  ],
  'batch/Job': [
    nameColumn,
    column('Status', (o) => (number(at(o, 'status', 'succeeded')) > 0 ? 'Complete' : 'Running')),
    column(
      'Completions',
      (o) => `${number(at(o, 'status', 'succeeded'))}/${number(at(o, 'spec', 'completions')) || 1}`,
    ),
    column('Duration', () => ''),
    ageColumn,
    wide('Containers', names),
    wide('Images', images),
  ],
  'batch/CronJob': [
    nameColumn,
    column('Schedule', (o) => asText(at(o, 'spec', 'schedule')) ?? ''),
    column('Timezone', (o) => asText(at(o, 'spec', 'timeZone')) ?? '<none>'),
    column('Suspend', (o) => (at(o, 'spec', 'suspend') === true ? 'True' : 'False')),
    column('Active', (o) => size(at(o, 'status', 'active')), 'integer'),
    column('Last Schedule', (o, now) => {
      const last = at(o, 'status', 'lastScheduleTime');
      return last === undefined ? '<none>' : age(last, now);
    }),
    ageColumn,
  ],
  'rbac.authorization.k8s.io/Role': created,
  'rbac.authorization.k8s.io/ClusterRole': created,
  'rbac.authorization.k8s.io/RoleBinding': bindings,
  'rbac.authorization.k8s.io/ClusterRoleBinding': bindings,
  'networking.k8s.io/NetworkPolicy': [
    nameColumn,
    column('Pod-Selector', (o) => labels(at(o, 'spec', 'podSelector', 'matchLabels'))),
    ageColumn,
  ],
  'networking.k8s.io/Ingress': [
    nameColumn,
    column('Class', (o) => asText(at(o, 'spec', 'ingressClassName')) ?? '<none>'),
    column('Hosts', (o) =>
      or(
        asList(at(o, 'spec', 'rules'))
          .map((r) => asText(at(r, 'host')) ?? '*')
          .join(','),
        '*',
      ),
    ),
    column('Address', () => ''),
    column('Ports', (o) => (size(at(o, 'spec', 'tls')) > 0 ? '80, 443' : '80')),
    ageColumn,
  ],
  'policy/PodDisruptionBudget': [
    nameColumn,
    column('Min Available', (o) => String(at(o, 'spec', 'minAvailable') ?? 'N/A')),
    column('Max Unavailable', (o) => String(at(o, 'spec', 'maxUnavailable') ?? 'N/A')),
    column('Allowed Disruptions', (o) => number(at(o, 'status', 'disruptionsAllowed')), 'integer'),
    ageColumn,
  ],
  'storage.k8s.io/StorageClass': [
    nameColumn,
    column('Provisioner', (o) => asText(o['provisioner']) ?? ''),
    column('ReclaimPolicy', (o) => asText(o['reclaimPolicy']) ?? 'Delete'),
    column('VolumeBindingMode', (o) => asText(o['volumeBindingMode']) ?? 'Immediate'),
    column('AllowVolumeExpansion', (o) => o['allowVolumeExpansion'] === true),
    ageColumn,
  ],
  'storage.k8s.io/CSIDriver': [
    nameColumn,
    column('AttachRequired', (o) => at(o, 'spec', 'attachRequired') !== false),
    column('PodInfoOnMount', (o) => at(o, 'spec', 'podInfoOnMount') === true),
    column('Modes', (o) => joined(at(o, 'spec', 'volumeLifecycleModes'))),
    ageColumn,
  ],
  'coordination.k8s.io/Lease': [
    nameColumn,
    column('Holder', (o) => asText(at(o, 'spec', 'holderIdentity')) ?? ''),
    ageColumn,
  ],
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': webhooks,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': webhooks,
  'apiextensions.k8s.io/CustomResourceDefinition': created,
};

/** The columns of a kind of the table; its name and age where the table has no row. */
export function builtInColumns(group: string, kind: string): readonly Column[] {
  if (group === 'events.k8s.io') return table['/Event'] as readonly Column[];
  return table[`${group}/${kind}`] ?? [nameColumn, ageColumn];
}

/** The `Table` answer over objects. `include` is what each row carries of its object. */
export function tableOf(
  objects: readonly Obj[],
  columns: readonly Column[],
  include: 'None' | 'Metadata' | 'Object',
  now: number,
): Obj {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {},
    columnDefinitions: columns.map((c) => ({
      name: c.name,
      type: c.type,
      format: c.format ?? '',
      description: c.description ?? '',
      priority: c.priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((c) => c.cell(object, now)),
      ...(include === 'None' ? {} : { object: include === 'Object' ? object : partial(object) }),
    })),
  };
}

/** An object reduced to its metadata. */
export const partial = (object: Obj): Obj => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata: asFields(object['metadata']),
});
