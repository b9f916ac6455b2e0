/** The roles of `deploy/operator/rbac.yaml`: the operator's own, and what people are granted over its kinds. */

import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/kube.ts';
import { crds } from './crds.ts';
import { OPERATOR_OWN_RIGHTS, OPERATOR_RIGHTS, policyRules } from './rights.ts';

/** Where `deploy/operator` puts the operator. */
export const OPERATOR_NAMESPACE = 'holdfast-system';
export const OPERATOR_NAME = 'holdfast-operator';

const API = 'rbac.authorization.k8s.io';
const SUBJECTS = [{ kind: 'ServiceAccount', name: OPERATOR_NAME, namespace: OPERATOR_NAMESPACE }];

/** The roles and bindings of an operator that looks after all namespaces. */
export function operatorRoles(): readonly KubeObject[] {
  return [
    role('ClusterRole', { name: OPERATOR_NAME }, policyRules(OPERATOR_RIGHTS)),
    binding('ClusterRoleBinding', { name: OPERATOR_NAME }, 'ClusterRole'),
    role('Role', { name: OPERATOR_NAME, namespace: OPERATOR_NAMESPACE }, policyRules(OPERATOR_OWN_RIGHTS)),
    binding('RoleBinding', { name: OPERATOR_NAME, namespace: OPERATOR_NAMESPACE }, 'Role'),
  ];
}

/** Whoever may view or edit a namespace may view or edit our kinds in it; cluster kinds stay with administrators. */
export function peopleRoles(): readonly KubeObject[] {
  const kinds = crds()
    .map(({ spec }) => spec as { group: string; scope: string; names: { plural: string } })
    .filter(({ scope }) => scope === 'Namespaced');
  const rules = (verbs: readonly string[]) =>
    [...new Set(kinds.map(({ group }) => group))].map((group) => ({
      apiGroups: [group],
      resources: kinds.filter((kind) => kind.group === group).map(({ names }) => names.plural),
      verbs: [...verbs],
    }));
  const aggregated = (name: string, into: readonly string[], verbs: readonly string[]): KubeObject =>
    role(
      'ClusterRole',
      {
        name: `${OPERATOR_NAME}-${name}`,
        labels: Object.fromEntries(into.map((to) => [`${API}/aggregate-to-${to}`, 'true'])),
      },
      rules(verbs),
    );
  return [
    aggregated('view', ['view', 'edit', 'admin'], ['get', 'list', 'watch']),
    aggregated('edit', ['edit', 'admin'], ['create', 'update', 'patch', 'delete', 'deletecollection']),
  ];
}

/** The text of `deploy/operator/rbac.yaml`. */
export const rbacYaml = (): string =>
  `# Generated from src/operator/api/rights.ts by npm run generate.\n${[...operatorRoles(), ...peopleRoles()]
    .map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 110 }))
    .join('---\n')}`;

type Rules = ReturnType<typeof policyRules>;

const role = (kind: 'ClusterRole' | 'Role', metadata: KubeObject['metadata'], rules: Rules): KubeObject => ({
  apiVersion: `${API}/v1`,
  kind,
  metadata,
  rules,
});

const binding = (
  kind: 'ClusterRoleBinding' | 'RoleBinding',
  metadata: KubeObject['metadata'],
  to: 'ClusterRole' | 'Role',
): KubeObject => ({
  apiVersion: `${API}/v1`,
  kind,
  metadata,
  roleRef: { apiGroup: API, kind: to, name: OPERATOR_NAME },
  subjects: SUBJECTS,
});
