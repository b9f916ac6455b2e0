/** Role-based access: what the Roles and bindings stored here let a user do. Only allows; nothing denies. */

import { asFields, asList, asText, at, fields, namespaceOf, type Obj, texts, type Value } from './objects.ts';
import type { ObjectStore } from './store.ts';

export interface User {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export interface Ask {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: "pods/log". Empty for a path that is no resource. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  /** A path that is no resource: "/version". */
  readonly path?: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

const RBAC = 'rbac.authorization.k8s.io';
export const MASTERS = 'system:masters';

/** Whether a user may. */
export function decide(store: ObjectStore, user: User, ask: Ask): Decision {
  if (user.groups.includes(MASTERS)) return { allowed: true, reason: '' };
  for (const { rules, from } of rulesFor(store, user, ask.namespace)) {
    if (rules.some((rule) => permits(rule, ask)))
      return { allowed: true, reason: `RBAC: allowed by ${from}` };
  }
  return { allowed: false, reason: '' };
}

/** All rules that hold for a user in a namespace ("" for the whole cluster). */
export function rulesFor(
  store: ObjectStore,
  user: User,
  namespace: string,
): { rules: Value[]; from: string }[] {
  const found: { rules: Value[]; from: string }[] = [];
  for (const binding of store.list(`${RBAC}/clusterrolebindings`)) {
    if (bound(binding, user))
      found.push({ rules: rulesOf(store, binding, ''), from: told('ClusterRoleBinding', binding) });
  }
  if (namespace === '') return found;
  for (const binding of store.list(`${RBAC}/rolebindings`, namespace)) {
    if (bound(binding, user))
      found.push({ rules: rulesOf(store, binding, namespace), from: told('RoleBinding', binding) });
  }
  return found;
}

function told(kind: string, binding: Obj): string {
  const name = asText(at(binding, 'metadata', 'name')) ?? '';
  const namespace = namespaceOf(binding);
  const role = `${asText(at(binding, 'roleRef', 'kind')) ?? ''} "${asText(at(binding, 'roleRef', 'name')) ?? ''}"`;
  return `${kind} "${namespace === '' ? name : `${name}/${namespace}`}" of ${role}`;
}

function bound(binding: Obj, user: User): boolean {
  return asList(binding['subjects']).some((subject) => {
    const name = asText(at(subject, 'name')) ?? '';
    switch (asText(at(subject, 'kind'))) {
      case 'User':
        return name === user.name;
      case 'Group':
        return user.groups.includes(name);
      case 'ServiceAccount': {
        const namespace = asText(at(subject, 'namespace')) ?? namespaceOf(binding);
        return user.name === `system:serviceaccount:${namespace}:${name}`;
      }
      default:
        return false;
    }
  });
}

function rulesOf(store: ObjectStore, binding: Obj, namespace: string): Value[] {
  const kind = asText(at(binding, 'roleRef', 'kind'));
  const name = asText(at(binding, 'roleRef', 'name')) ?? '';
  const role =
    kind === 'ClusterRole'
      ? store.get({ resource: `${RBAC}/clusterroles`, namespace: '', name })
      : namespace === ''
        ? undefined
        : store.get({ resource: `${RBAC}/roles`, namespace, name });
  return asList(role?.['rules']);
}

function permits(rule: Value, ask: Ask): boolean {
  const source = asFields(rule);
  const lists = (key: string, wanted: string): boolean => {
    const values = texts(source[key]);
    return values.includes('*') || values.includes(wanted);
  };
  if (!lists('verbs', ask.verb)) return false;
  if (ask.path !== undefined) {
    const path = ask.path;
    return texts(source['nonResourceURLs']).some(
      (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
    );
  }
  if (!lists('apiGroups', ask.group) || !permitsResource(texts(source['resources']), ask.resource))
    return false;
  const names = texts(source['resourceNames']);
  return names.length === 0 || names.includes(ask.name);
}

function permitsResource(resources: readonly string[], wanted: string): boolean {
  const [, subresource] = wanted.split('/');
  return resources.some(
    (one) => one === '*' || one === wanted || (subresource !== undefined && one === `*/${subresource}`),
  );
}

/** `forbidden`'s reason, as kubectl's users know it. */
export function refusalText(user: User, ask: Ask): string {
  if (ask.path !== undefined) return `User "${user.name}" cannot ${ask.verb} path "${ask.path}"`;
  const scope = ask.namespace === '' ? 'at the cluster scope' : `in the namespace "${ask.namespace}"`;
  return `User "${user.name}" cannot ${ask.verb} resource "${ask.resource}" in API group "${ask.group}" ${scope}`;
}

const role = (name: string, rules: Value[]): Obj =>
  fields({
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRole',
    metadata: fields({ name, labels: fields({ 'kubernetes.io/bootstrapping': 'rbac-defaults' }) }),
    rules,
  });
const rule = (verbs: string[], apiGroups: string[], resources: string[]): Value =>
  fields({ verbs, apiGroups, resources });
const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const WORKLOADS = [
  'deployments',
  'deployments/scale',
  'daemonsets',
  'replicasets',
  'replicasets/scale',
  'statefulsets',
  'statefulsets/scale',
];
const PLAIN = ['configmaps', 'endpoints', 'persistentvolumeclaims', 'pods', 'serviceaccounts', 'services'];
/** `view` sees no secrets: they hold tokens, which are the right to act as their account. */
const VIEW: Value[] = [
  rule(READ, [''], [...PLAIN, 'events', 'namespaces', 'resourcequotas', 'limitranges']),
  rule(READ, ['apps'], WORKLOADS),
  rule(READ, ['batch'], ['jobs', 'cronjobs']),
  rule(READ, ['networking.k8s.io'], ['ingresses', 'networkpolicies']),
  rule(READ, ['policy'], ['poddisruptionbudgets']),
];
const EDIT: Value[] = [
  ...VIEW,
  rule([...READ, ...WRITE], [''], [...PLAIN, 'secrets']),
  rule(['create'], [''], ['serviceaccounts/token', 'events']),
  rule(WRITE, ['apps'], WORKLOADS),
  rule(WRITE, ['batch'], ['jobs', 'cronjobs']),
  rule(WRITE, ['networking.k8s.io'], ['ingresses', 'networkpolicies']),
  rule([...READ, ...WRITE], ['coordination.k8s.io'], ['leases']),
];

const binding = (name: string, roleName: string, groups: string[]): Obj =>
  fields({
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: fields({ name }),
    roleRef: fields({ apiGroup: RBAC, kind: 'ClusterRole', name: roleName }),
    subjects: groups.map((group) => fields({ kind: 'Group', apiGroup: RBAC, name: group })),
  });

/** The roles and bindings that are there from the start. */
export const bootstrapRoles: readonly Obj[] = [
  role('cluster-admin', [rule(['*'], ['*'], ['*']), fields({ verbs: ['*'], nonResourceURLs: ['*'] })]),
  role('admin', [...EDIT, rule([...READ, ...WRITE], [RBAC], ['roles', 'rolebindings'])]),
  role('edit', EDIT),
  role('view', VIEW),
  role('system:auth-delegator', [
    rule(['create'], ['authentication.k8s.io'], ['tokenreviews']),
    rule(['create'], ['authorization.k8s.io'], ['subjectaccessreviews']),
  ]),
  role('system:basic-user', [
    rule(['create'], ['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews']),
    rule(['create'], ['authentication.k8s.io'], ['selfsubjectreviews']),
  ]),
  role('system:discovery', [
    fields({
      verbs: ['get'],
      nonResourceURLs: [
        '/api',
        '/api/*',
        '/apis',
        '/apis/*',
        '/healthz',
        '/livez',
        '/openapi',
        '/openapi/*',
        '/readyz',
        '/version',
        '/version/',
      ],
    }),
  ]),
  role('system:service-account-issuer-discovery', [
    fields({
      verbs: ['get'],
      nonResourceURLs: ['/.well-known/openid-configuration', '/openid/v1/jwks', '/openid/v1/jwks/'],
    }),
  ]),
];

export const bootstrapBindings: readonly Obj[] = [
  binding('cluster-admin', 'cluster-admin', [MASTERS]),
  binding('system:basic-user', 'system:basic-user', ['system:authenticated']),
  binding('system:discovery', 'system:discovery', ['system:authenticated']),
  binding('system:service-account-issuer-discovery', 'system:service-account-issuer-discovery', [
    'system:serviceaccounts',
  ]),
];
