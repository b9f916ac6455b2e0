import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { crds } from './crds.ts';
import { OPERATOR_NAME, OPERATOR_NAMESPACE, operatorRoles, peopleRoles, rbacYaml } from './rbac.ts';
import { OPERATOR_OWN_RIGHTS, OPERATOR_RIGHTS, type Right } from './rights.ts';

const folder = join(import.meta.dirname, '../../../deploy/operator');

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
const rulesOf = (object: object): readonly Rule[] =>
  (object as { readonly rules?: readonly Rule[] }).rules ?? [];

/** "group/resource verb", of every rule. */
const granted = (rules: readonly Rule[]): string[] =>
  rules
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
      ),
    )
    .sort();
const asked = (rights: readonly Right[]): string[] =>
  rights.flatMap(({ group, resource, verbs }) => verbs.map((verb) => `${group}/${resource} ${verb}`)).sort();

test('deploy/operator/rbac.yaml holds exactly what the table of rights says', () => {
  expect(readFileSync(join(folder, 'rbac.yaml'), 'utf8')).toBe(rbacYaml());
});

test('the roles grant each right of the table once, and nothing else', () => {
  const [cluster, , own] = operatorRoles();
  expect(granted(rulesOf(cluster ?? {}))).toEqual(asked(OPERATOR_RIGHTS));
  expect(granted(rulesOf(own ?? {}))).toEqual(asked(OPERATOR_OWN_RIGHTS));
});

test('no right is a wildcard, and none lets the operator give itself more', () => {
  for (const { group, resource, verbs } of [...OPERATOR_RIGHTS, ...OPERATOR_OWN_RIGHTS]) {
    expect([group, resource, ...verbs].join()).not.toContain('*');
    expect(group).not.toBe('rbac.authorization.k8s.io');
    expect(verbs).not.toContain('deletecollection');
  }
});

test('people who may view or edit a namespace may view or edit every kind of ours in it, and no cluster kind', () => {
  const spaced = crds().map(
    ({ spec }) => spec as { group: string; scope: string; names: { plural: string } },
  );
  for (const role of peopleRoles()) {
    const resources = rulesOf(role).flatMap(({ apiGroups, resources }) =>
      resources.map((name) => `${apiGroups[0]}/${name}`),
    );
    expect(resources.sort()).toEqual(
      spaced
        .filter(({ scope }) => scope === 'Namespaced')
        .map(({ group, names }) => `${group}/${names.plural}`)
        .sort(),
    );
  }
});

test('the Deployment runs as the account that the roles are bound to, and as nobody else on its node', () => {
  const [, account, deployment] = parseAllDocuments(readFileSync(join(folder, 'operator.yaml'), 'utf8')).map(
    (document) => document.toJS(),
  );
  expect(account.metadata).toMatchObject({ name: OPERATOR_NAME, namespace: OPERATOR_NAMESPACE });
  const { spec } = deployment.spec.template;
  expect(spec.serviceAccountName).toBe(OPERATOR_NAME);
  expect(spec.securityContext).toMatchObject({ runAsNonRoot: true });
  expect(spec.containers[0].securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  expect(spec.hostNetwork ?? spec.hostPID ?? spec.hostIPC).toBeUndefined();
});
