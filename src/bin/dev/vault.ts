/** Brings the server of `holdfast dev` to what the manifests need. Every step can be done again on the same data. */

import { isFailure } from '../../base/errors.ts';
import type { VaultClient } from '../../client/client.ts';
import { authMounts, enableAuth, enableMount, mounts, writePolicy } from '../../client/sys.ts';
import type { Access } from '../../platform/access.ts';
import { PLAINTEXT_MOUNT } from '../../platform/seed.ts';
import { OPERATOR } from './kubernetes.ts';

export interface VaultNeeds {
  readonly access: Access;
  readonly kubernetes: { readonly host: string; readonly ca: string; readonly reviewerToken: string };
  readonly auditFile: string;
}

/** What the operator itself may do: hear that something under a path, or somebody's rights, changed, never what. */
const EVENTS_POLICY = `path "sys/events/subscribe/*" {
  capabilities = ["read"]
}

path "+/data/*" {
  capabilities = ["subscribe"]
  subscribe_event_types = ["*"]
}

path "+/metadata/*" {
  capabilities = ["subscribe"]
  subscribe_event_types = ["*"]
}

path "sys/policies/acl" {
  capabilities = ["subscribe"]
  subscribe_event_types = ["system/rights-changed"]
}
`;

const ADMIN_POLICY = `path "*" {
  capabilities = ["create", "read", "update", "delete", "list", "patch", "sudo", "subscribe"]
}
`;

export const EVENTS_ROLE = 'holdfast-operator';
const DAY = '24h';

export async function configureVault(root: VaultClient, needs: VaultNeeds): Promise<void> {
  await enableAudit(root, needs.auditFile);
  const engines = new Set((await mounts(root)).map((mount) => mount.path));
  if (!engines.has('secret/'))
    await enableMount(root, 'secret', {
      type: 'kv',
      description: 'Key/value secrets',
      options: { version: '2' },
    });
  if (!engines.has(`${PLAINTEXT_MOUNT}/`)) {
    await enableMount(root, PLAINTEXT_MOUNT, {
      type: 'kv',
      description: 'The texts behind seeded hashes; for administrators',
      options: { version: '2' },
    });
  }
  await configureKubernetesAuth(root, needs);
}

async function enableAudit(root: VaultClient, file: string): Promise<void> {
  try {
    await root.request('PUT', 'sys/audit/file', {
      body: { type: 'file', description: 'Who did what', options: { file_path: file } },
    });
  } catch (error) {
    if (!isFailure(error, 'api.invalid') && !isFailure(error, 'api.conflict')) throw error;
  }
}

async function configureKubernetesAuth(root: VaultClient, { access, kubernetes }: VaultNeeds): Promise<void> {
  const present = new Set((await authMounts(root)).map((mount) => mount.path));
  for (const mount of new Set(['kubernetes', ...access.roles.map((role) => role.mount)])) {
    if (!present.has(`${mount}/`))
      await enableAuth(root, mount, { type: 'kubernetes', description: 'Service accounts of the cluster' });
    await root.request('PUT', `auth/${mount}/config`, {
      body: {
        kubernetes_host: kubernetes.host,
        kubernetes_ca_cert: kubernetes.ca,
        token_reviewer_jwt: kubernetes.reviewerToken,
      },
    });
  }
  await writePolicy(root, 'admin', ADMIN_POLICY);
  await writePolicy(root, EVENTS_ROLE, EVENTS_POLICY);
  for (const policy of access.policies) await writePolicy(root, policy.name, policy.text);
  await role(root, 'kubernetes', EVENTS_ROLE, [OPERATOR], [EVENTS_ROLE], 'vault');
  for (const { mount, name, serviceAccounts, policies, audience } of access.roles)
    await role(root, mount, name, serviceAccounts, policies, audience);
}

async function role(
  root: VaultClient,
  mount: string,
  name: string,
  accounts: Access['serviceAccounts'],
  policies: readonly string[],
  audience: string | undefined,
): Promise<void> {
  await root.request('PUT', `auth/${mount}/role/${name}`, {
    body: {
      bound_service_account_names: [...new Set(accounts.map((account) => account.name))],
      bound_service_account_namespaces: [...new Set(accounts.map((account) => account.namespace))],
      token_policies: policies,
      token_ttl: DAY,
      ...(audience === undefined ? {} : { audience }),
    },
  });
}

/** A token for the person at the keyboard: an administrator's, for a working day, not root. */
export async function adminToken(root: VaultClient): Promise<string> {
  const answer = await root.request('POST', 'auth/token/create-orphan', {
    body: { policies: ['admin'], ttl: '8h', display_name: 'dev-admin', renewable: true },
  });
  return answer.envelope?.auth?.clientToken ?? '';
}
