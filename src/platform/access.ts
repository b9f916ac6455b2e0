/**
 * Least privilege, derived: which roles and policies the manifests need, and not one path more. Every ExternalSecret names
 * what it reads and every store says as whom; the rest follows.
 */

import { bagOf, listOf } from '../base/shape.ts';
import type { KubeObject } from '../kube/kube.ts';

/** A role of the Kubernetes auth method. */
export interface Role {
  readonly mount: string;
  readonly name: string;
  readonly serviceAccounts: readonly { readonly namespace: string; readonly name: string }[];
  readonly audience: string | undefined;
  readonly policies: readonly string[];
}

export interface Policy {
  readonly name: string;
  readonly text: string;
}

export interface Access {
  readonly roles: readonly Role[];
  readonly policies: readonly Policy[];
  readonly serviceAccounts: readonly { readonly namespace: string; readonly name: string }[];
}

/** Where a remote key is read and listed: the Vault provider's own rules, handed in. Paths without a leading slash. */
export interface Locate {
  read(key: string, store: { readonly path?: string; readonly version: 'v1' | 'v2' }): string;
  list(folder: string, store: { readonly path?: string; readonly version: 'v1' | 'v2' }): string;
  /** Where a key leads that looks like one of an engine that issues credentials; undefined for all others. */
  issue?(key: string, store: { readonly path?: string; readonly version: 'v1' | 'v2' }): string | undefined;
  /** Every path that a push to a key writes, reads and deletes. Absent: nothing is written. */
  write?(key: string, store: { readonly path?: string; readonly version: 'v1' | 'v2' }): readonly string[];
}

/** A store that reads from a Vault server, and as whom. */
export interface VaultStore {
  readonly kind: 'SecretStore' | 'ClusterSecretStore';
  readonly name: string;
  readonly namespace: string | undefined;
  readonly vault: { readonly path?: string; readonly version: 'v1' | 'v2' };
  readonly auth:
    | {
        readonly mount: string;
        readonly role: string;
        readonly account: string;
        readonly accountNamespace: string | undefined;
        readonly audience: string | undefined;
        readonly audiences: readonly string[];
      }
    | undefined;
}

/** The role that a namespace has by convention, and the account that it is bound to. */
const OPERATOR_ACCOUNT = 'external-secrets';
const roleOf = (namespace: string): string => `eso-${namespace}-role`;
const policyOf = (namespace: string): string => `eso-${namespace}`;

/**
 * The access that a set of manifests needs. Each namespace with ExternalSecrets or PushSecrets gets its account, its role
 * `eso-<namespace>-role` (audience "vault") and a policy of exactly the paths it names; a store that logs in under another
 * role or account gets that one too, with the same policy.
 */
export function accessOf(objects: readonly KubeObject[], locate: Locate): Access {
  const stores = objects.flatMap(vaultStoreOf);
  const grants = new Map<string, Set<string>>();
  const roles = new Map<
    string,
    { role: Role; policies: Set<string>; accounts: Map<string, { namespace: string; name: string }> }
  >();

  const bind = (
    mount: string,
    name: string,
    audience: string | undefined,
    account: { namespace: string; name: string },
    policy: string,
  ): void => {
    const id = `${mount}\0${name}`;
    const entry = roles.get(id) ?? {
      role: { mount, name, serviceAccounts: [], audience, policies: [] },
      policies: new Set(),
      accounts: new Map(),
    };
    entry.policies.add(policy);
    entry.accounts.set(`${account.namespace}/${account.name}`, account);
    roles.set(id, entry);
  };

  for (const object of objects) {
    if (object.kind !== 'ExternalSecret' && object.kind !== 'PushSecret') continue;
    const namespace = object.metadata.namespace ?? 'default';
    const policy = policyOf(namespace);
    const rules = grants.get(policy) ?? new Set<string>();
    grants.set(policy, rules);
    bind('kubernetes', roleOf(namespace), 'vault', { namespace, name: OPERATOR_ACCOUNT }, policy);
    const wants = object.kind === 'PushSecret' ? pushesOf(object) : wantsOf(object);
    for (const { reference, read, list, write } of wants) {
      const store = stores.find(
        (s) =>
          s.kind === reference.kind &&
          s.name === reference.name &&
          (s.kind === 'ClusterSecretStore' || s.namespace === namespace),
      );
      if (store === undefined) continue;
      if (write !== undefined)
        for (const path of locate.write?.(write, store.vault) ?? [])
          rules.add(stanza(path, 'create', 'delete', 'read', 'update'));
      if (read !== undefined) rules.add(stanza(locate.read(read, store.vault), 'read'));
      const issue = read === undefined ? undefined : locate.issue?.(read, store.vault);
      if (issue !== undefined) rules.add(stanza(issue, 'read', 'update'));
      if (list !== undefined) {
        const folder = locate.list(list, store.vault);
        rules.add(stanza(`${folder}*`, 'list', 'read'));
        rules.add(stanza(`${locate.read(list === '' ? '' : `${list}/`, store.vault)}*`, 'read'));
      }
      if (store.auth === undefined) continue;
      const accountNamespace = store.auth.accountNamespace ?? store.namespace ?? namespace;
      bind(
        store.auth.mount,
        store.auth.role,
        store.auth.audience,
        { namespace: accountNamespace, name: store.auth.account },
        policy,
      );
    }
  }

  const accounts = new Map([...roles.values()].flatMap(({ accounts }) => [...accounts]));
  return {
    roles: [...roles.values()].map(({ role, policies, accounts: bound }) => ({
      ...role,
      policies: [...policies],
      serviceAccounts: [...bound.values()],
    })),
    policies: [...grants].map(([name, rules]) => ({ name, text: textOf(rules) })),
    serviceAccounts: [...accounts.values()],
  };
}

/** A server takes no empty policy: one whose stores are all missing grants nothing, in words. */
const textOf = (rules: ReadonlySet<string>): string =>
  rules.size === 0 ? '# The manifests name no path yet.\n' : [...rules].sort().join('\n');

const stanza = (path: string, ...capabilities: string[]): string =>
  `path ${JSON.stringify(path)} {\n  capabilities = [${capabilities.map((c) => JSON.stringify(c)).join(', ')}]\n}\n`;

interface Want {
  readonly reference: { readonly kind: string; readonly name: string };
  readonly read?: string;
  readonly list?: string;
  readonly write?: string;
}

/**
 * What a PushSecret names, in each of the stores that it names. A dataTo without a remoteKey takes its keys from a Secret, and
 * labels find stores that nobody knows yet: such rights are an administrator's to grant.
 */
function pushesOf(object: KubeObject): Want[] {
  const spec = bagOf(object['spec']);
  const keysOf = (entries: unknown, keyOf: (entry: unknown) => unknown): [unknown, string][] =>
    listOf(entries).flatMap((entry): [unknown, string][] => {
      const key = keyOf(entry);
      return typeof key === 'string' && key !== '' ? [[entry, key]] : [];
    });
  const data = keysOf(spec['data'], (entry) => bagOf(bagOf(bagOf(entry)['match'])['remoteRef'])['remoteKey']);
  const bundles = keysOf(spec['dataTo'], (entry) => bagOf(entry)['remoteKey']);
  const references = listOf(spec['secretStoreRefs']).flatMap((one) => referenceOf(one) ?? []);
  return [
    ...references.flatMap((reference) => data.map(([, write]): Want => ({ reference, write }))),
    ...bundles.flatMap(([entry, write]): Want[] => {
      const reference = referenceOf(bagOf(entry)['storeRef']);
      return reference === undefined ? [] : [{ reference, write }];
    }),
  ];
}

function wantsOf(object: KubeObject): Want[] {
  const spec = bagOf(object['spec']);
  const fallback = referenceOf(spec['secretStoreRef']);
  const of = (source: unknown): Want['reference'] | undefined =>
    referenceOf(bagOf(bagOf(source)['sourceRef'])['storeRef']) ?? fallback;
  const data = listOf(spec['data']).flatMap((entry): Want[] => {
    const reference = of(entry);
    const key = bagOf(bagOf(entry)['remoteRef'])['key'];
    return reference && typeof key === 'string' ? [{ reference, read: key }] : [];
  });
  const dataFrom = listOf(spec['dataFrom']).flatMap((entry): Want[] => {
    const reference = of(entry);
    if (reference === undefined) return [];
    const key = bagOf(bagOf(entry)['extract'])['key'];
    if (typeof key === 'string') return [{ reference, read: key }];
    const find = bagOf(entry)['find'];
    const path = bagOf(find)['path'];
    return find === undefined
      ? []
      : [{ reference, list: typeof path === 'string' ? path.replace(/\/+$/, '') : '' }];
  });
  return [...data, ...dataFrom];
}

function referenceOf(value: unknown): Want['reference'] | undefined {
  const { name, kind } = bagOf(value);
  return typeof name === 'string'
    ? { name, kind: typeof kind === 'string' && kind !== '' ? kind : 'SecretStore' }
    : undefined;
}

/** None where the object is no store, or one of another provider. */
export function vaultStoreOf(object: KubeObject): VaultStore[] {
  if (object.kind !== 'SecretStore' && object.kind !== 'ClusterSecretStore') return [];
  const vault = bagOf(bagOf(bagOf(object['spec'])['provider'])['vault']);
  if (Object.keys(vault).length === 0) return [];
  const kubernetes = bagOf(bagOf(vault['auth'])['kubernetes']);
  const account = bagOf(kubernetes['serviceAccountRef']);
  const role = kubernetes['role'];
  const audiences = listOf(account['audiences']).filter((one): one is string => typeof one === 'string');
  return [
    {
      kind: object.kind,
      name: object.metadata.name,
      namespace: object.kind === 'SecretStore' ? (object.metadata.namespace ?? 'default') : undefined,
      vault: {
        ...(typeof vault['path'] === 'string' ? { path: vault['path'] } : {}),
        version: vault['version'] === 'v1' ? 'v1' : 'v2',
      },
      auth:
        typeof role === 'string' && typeof account['name'] === 'string'
          ? {
              mount: typeof kubernetes['mountPath'] === 'string' ? kubernetes['mountPath'] : 'kubernetes',
              role,
              account: account['name'],
              // A namespaced store may not reach into another namespace, whatever it says: no account is bound there.
              accountNamespace:
                object.kind === 'ClusterSecretStore' && typeof account['namespace'] === 'string'
                  ? account['namespace']
                  : undefined,
              audience: audiences[0],
              audiences,
            }
          : undefined,
    },
  ];
}
