/** Brings the embedded Kubernetes API to where manifests can be applied: kinds, namespaces, accounts, rights, Services. */

import { failure, isFailure } from '../../base/errors.ts';
import type { Kube, KubeObject, Resource } from '../../kube/kube.ts';
import { crds } from '../../operator/api/crds.ts';
import { OPERATOR_NAME, OPERATOR_NAMESPACE, operatorRoles } from '../../operator/api/rbac.ts';
import type { Access } from '../../platform/access.ts';
import type { Manifest } from '../../platform/manifests.ts';
import type { Keys } from './home.ts';
import type { HostPort } from './options.ts';

export const MANAGER = 'holdfast-dev';
export const VAULT_NAMESPACE = 'vault-system';
export const OPERATOR = { namespace: OPERATOR_NAMESPACE, name: OPERATOR_NAME } as const;
export const REVIEWER = { namespace: VAULT_NAMESPACE, name: 'vault' } as const;
/** Where the address of a Service that has no pods is written down. */
export const ADDRESS = 'holdfast.dev/address';

const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});
const NAMESPACES = core('namespaces', 'Namespace', false);
const ACCOUNTS = core('serviceaccounts', 'ServiceAccount');
const SERVICES = core('services', 'Service');
const SECRETS = core('secrets', 'Secret');
const CRDS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
const rbac = (plural: string, kind: string): Resource => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: !kind.startsWith('Cluster'),
});

/** Kinds, accounts and rights that do not depend on the manifests. */
export async function prepareCluster(kube: Kube, vault: HostPort): Promise<void> {
  for (const crd of crds()) await put(kube, CRDS, crd);
  for (const name of [VAULT_NAMESPACE, 'vault', OPERATOR.namespace]) await namespace(kube, name);
  for (const account of [REVIEWER, OPERATOR]) await serviceAccount(kube, account);
  await put(
    kube,
    rbac('clusterrolebindings', 'ClusterRoleBinding'),
    binding('holdfast-vault-reviewer', 'system:auth-delegator', REVIEWER),
  );
  for (const object of operatorRoles())
    await put(kube, rbac(`${object.kind.toLowerCase()}s`, object.kind), object);
  // The two names under which the documents of this field reach their vault.
  for (const space of [VAULT_NAMESPACE, 'vault']) await service(kube, space, 'vault', vault);
}

/** The accounts that log in for the manifests. */
export async function prepareAccounts(kube: Kube, access: Access): Promise<void> {
  for (const account of access.serviceAccounts) {
    await namespace(kube, account.namespace);
    await serviceAccount(kube, account);
  }
}

/** The Secret in which the first demo of this field keeps its keys; here so that its scripts find them. */
export async function keepKeysInCluster(kube: Kube, keys: Keys): Promise<void> {
  await put(kube, SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'vault-init-keys', namespace: VAULT_NAMESPACE },
    type: 'Opaque',
    data: { 'unseal-key': encode(keys.unsealKey), 'root-token': encode(keys.rootToken) },
  });
}

/** A token of an account for an audience. */
export async function accountToken(
  kube: Kube,
  account: { namespace: string; name: string },
  audience: string | undefined,
  seconds: number,
): Promise<string> {
  const answer = await kube.create(
    { resource: ACCOUNTS, ...account },
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { ...(audience === undefined ? {} : { audiences: [audience] }), expirationSeconds: seconds },
    },
    { subresource: 'token' },
  );
  return (answer['status'] as { token: string }).token;
}

/** Applies a manifest as it stands. @throws Failure dev.apply naming its file and line */
export async function applyManifest(
  kube: Kube,
  resource: Resource | undefined,
  manifest: Manifest,
): Promise<void> {
  const { object, file, line } = manifest;
  if (resource === undefined)
    throw failure('dev.unknown_kind', { file, line, kind: `${object.apiVersion} ${object.kind}` });
  try {
    if (resource.namespaced && object.metadata.namespace !== undefined)
      await namespace(kube, object.metadata.namespace);
    await put(kube, resource, object);
  } catch (error) {
    throw failure('dev.apply', {
      file,
      line,
      object: `${object.kind} ${object.metadata.name}`,
      reason: error instanceof Error ? error.message : 'unknown',
    });
  }
}

async function put(kube: Kube, resource: Resource, object: KubeObject): Promise<void> {
  const { name, namespace: space } = object.metadata;
  await kube.apply(
    { resource, name, ...(resource.namespaced ? { namespace: space ?? 'default' } : {}) },
    object,
    { manager: MANAGER, force: true },
  );
}

async function namespace(kube: Kube, name: string): Promise<void> {
  try {
    await kube.create(
      { resource: NAMESPACES, name },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
      { manager: MANAGER },
    );
  } catch (error) {
    if (!isFailure(error, 'kube.exists')) throw error;
  }
}

const serviceAccount = (kube: Kube, account: { namespace: string; name: string }): Promise<void> =>
  put(kube, ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...account } });

const service = (kube: Kube, space: string, name: string, at: HostPort): Promise<void> =>
  put(kube, SERVICES, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: space, annotations: { [ADDRESS]: `${at.host}:${at.port}` } },
    spec: { ports: [{ name: 'http', port: 8200, protocol: 'TCP' }] },
  });

const binding = (name: string, role: string, account: { namespace: string; name: string }): KubeObject => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [{ kind: 'ServiceAccount', ...account }],
});

const encode = (text: string): string => Buffer.from(text).toString('base64');
