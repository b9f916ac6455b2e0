/** The objects that stand for one credential: what they are called, where they live, and what they say. Pure. */

import type { PolicyRule, Role } from './role.ts';

export type ObjectKind = 'Role' | 'ClusterRole' | 'RoleBinding' | 'ClusterRoleBinding' | 'ServiceAccount';

/** The objects of one credential share a name. `kinds` in the order in which they are made; the first owns the others. */
export interface Planned {
  readonly name: string;
  readonly namespace: string;
  readonly kinds: readonly ObjectKind[];
}

export interface Owner {
  readonly apiVersion: string;
  readonly kind: ObjectKind;
  readonly name: string;
  readonly uid: string;
}

const RBAC = 'rbac.authorization.k8s.io';
const PLURALS: Readonly<Record<ObjectKind, string>> = {
  Role: 'roles',
  ClusterRole: 'clusterroles',
  RoleBinding: 'rolebindings',
  ClusterRoleBinding: 'clusterrolebindings',
  ServiceAccount: 'serviceaccounts',
};
/** Whoever looks at the cluster sees whose they are; a role cannot say otherwise. */
const LABELS = {
  'app.kubernetes.io/managed-by': 'holdfast',
  'app.kubernetes.io/created-by': 'holdfast-kubernetes-engine',
} as const;

/** What is made for a role: nothing, or a binding and an account, or the role as well. */
export function kindsFor(role: Role, clusterWide: boolean): readonly ObjectKind[] {
  if (role.serviceAccount !== '') return [];
  const binding = clusterWide ? 'ClusterRoleBinding' : 'RoleBinding';
  return role.roleName === '' ? [role.roleType, binding, 'ServiceAccount'] : [binding, 'ServiceAccount'];
}

/** Where objects of a kind are made. */
export function folderOf(kind: ObjectKind, namespace: string): string {
  const api = kind === 'ServiceAccount' ? '/api/v1' : `/apis/${RBAC}/v1`;
  return `${api}${kind.startsWith('Cluster') ? '' : `/namespaces/${namespace}`}/${PLURALS[kind]}`;
}

export const tokenPath = (namespace: string, account: string): string =>
  `${folderOf('ServiceAccount', namespace)}/${account}/token`;

/** How an object is called in messages. */
export const label = (kind: ObjectKind, { namespace, name }: Planned): string =>
  `${kind} '${kind.startsWith('Cluster') ? '' : `${namespace}/`}${name}'`;

export const ownerOf = (kind: ObjectKind, { name }: Planned, uid: string): Owner => ({
  apiVersion: apiOf(kind),
  kind,
  name,
  uid,
});

/** The object as it is sent. @param rules of a role that is made */
export function manifestOf(
  kind: ObjectKind,
  planned: Planned,
  role: Role,
  rules: readonly PolicyRule[],
  owner: Owner | undefined,
): object {
  const { name, namespace } = planned;
  return {
    apiVersion: apiOf(kind),
    kind,
    metadata: {
      name,
      ...(kind.startsWith('Cluster') ? {} : { namespace }),
      labels: { ...role.labels, ...LABELS },
      ...(Object.keys(role.annotations).length === 0 ? {} : { annotations: role.annotations }),
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    ...(kind.endsWith('Role') ? { rules } : {}),
    ...(kind.endsWith('Binding')
      ? {
          roleRef: { apiGroup: RBAC, kind: role.roleType, name: role.roleName || name },
          subjects: [{ kind: 'ServiceAccount', name, namespace }],
        }
      : {}),
  };
}

const apiOf = (kind: ObjectKind): string => (kind === 'ServiceAccount' ? 'v1' : `${RBAC}/v1`);
