/**
 * What the operator may do in a cluster: the one table that `deploy/operator` is generated from and that `holdfast dev`
 * grants. A test runs the operator through all that it can do and holds this table against the requests that it made, both
 * ways: a right that nothing uses is as wrong as one that is missing.
 */

import { LEASES } from '../../kube/lease.ts';
import { CLUSTER_GENERATORS, GENERATOR_KINDS, GENERATOR_STATES } from './generators/kinds.ts';
import {
  CLUSTER_EXTERNAL_SECRETS,
  CLUSTER_PUSH_SECRETS,
  CLUSTER_SECRET_STORES,
  CONFIG_MAPS,
  DATABASE_SECRETS,
  EVENTS,
  EXTERNAL_SECRETS,
  NAMESPACES,
  PUSH_SECRETS,
  SECRET_STORES,
  SECRETS,
  SERVICE_ACCOUNTS,
  VALIDATING_WEBHOOKS,
} from './resources.ts';
import { SYNC_REPORTS } from './syncreport.ts';

export type KubeVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface Right {
  /** "" is the core group. */
  readonly group: string;
  /** With its subresource: "externalsecrets/status". */
  readonly resource: string;
  readonly verbs: readonly KubeVerb[];
  readonly why: string;
  /** Of these objects alone; absent: of all. */
  readonly names?: readonly string[];
}

const of = (
  { group, plural }: { readonly group: string; readonly plural: string },
  verbs: readonly KubeVerb[],
  why: string,
  subresource?: string,
): Right => ({
  group,
  resource: subresource === undefined ? plural : `${plural}/${subresource}`,
  verbs,
  why,
});

/** Whoever may write all of these decides over every object of the cluster, so the operator has this one alone. */
export const WEBHOOK_CONFIGURATION = 'holdfast-operator';

const READ = ['get', 'list', 'watch'] as const;

export const OPERATOR_RIGHTS: readonly Right[] = [
  of(CLUSTER_EXTERNAL_SECRETS, [...READ, 'patch'], 'its finalizer is set by a patch'),
  of(CLUSTER_EXTERNAL_SECRETS, ['patch'], 'conditions, and in which namespaces it has a child', 'status'),
  of(CLUSTER_EXTERNAL_SECRETS, ['update'], 'owner references of its children', 'finalizers'),
  of(CLUSTER_PUSH_SECRETS, READ, 'it is read'),
  of(CLUSTER_PUSH_SECRETS, ['patch'], 'conditions, and in which namespaces it has a child', 'status'),
  of(CLUSTER_PUSH_SECRETS, ['update'], 'owner references of its children', 'finalizers'),
  of(EXTERNAL_SECRETS, [...READ, 'patch'], 'its finalizer is set by a patch'),
  of(DATABASE_SECRETS, READ, 'it is read'),
  of(DATABASE_SECRETS, ['patch'], 'conditions', 'status'),
  of(EXTERNAL_SECRETS, ['create', 'update', 'delete'], 'the children of ClusterExternalSecrets'),
  of(PUSH_SECRETS, ['create', 'update', 'delete'], 'the children of ClusterPushSecrets'),
  of(NAMESPACES, ['patch'], 'a finalizer while a ClusterExternalSecret has a child there'),
  of(EXTERNAL_SECRETS, ['patch'], 'conditions', 'status'),
  of(EXTERNAL_SECRETS, ['update'], 'owner references that block the deletion of their owner', 'finalizers'),
  of(PUSH_SECRETS, [...READ, 'patch'], 'its finalizer is set by a patch'),
  of(PUSH_SECRETS, ['patch'], 'conditions, and what was pushed', 'status'),
  of(SECRET_STORES, [...READ, 'patch'], 'a finalizer while something that was pushed is to be taken away'),
  of(SECRET_STORES, ['patch'], 'conditions', 'status'),
  of(CLUSTER_SECRET_STORES, [...READ, 'patch'], 'a finalizer, as on SecretStores'),
  of(CLUSTER_SECRET_STORES, ['patch'], 'conditions', 'status'),
  ...[...GENERATOR_KINDS.map(({ resource }) => resource), CLUSTER_GENERATORS].map((generator) =>
    of(generator, ['get'], 'ExternalSecrets and PushSecrets name it'),
  ),
  of(
    GENERATOR_STATES,
    [...READ, 'create', 'patch', 'delete'],
    'what generators left and has to be taken away',
  ),
  of(SECRETS, [...READ, 'create', 'update', 'delete'], 'targets, and what stores log in with'),
  of(SYNC_REPORTS, [...READ, 'create', 'update'], 'leases, and which keys name an engine'),
  of(CONFIG_MAPS, READ, 'templates and authorities'),
  of(NAMESPACES, ['list', 'watch'], 'the conditions of ClusterSecretStores name labels'),
  of(SERVICE_ACCOUNTS, ['get'], 'clouds write on an account which identity it stands for'),
  of(SERVICE_ACCOUNTS, ['create'], 'stores log in as an account', 'token'),
  of(EVENTS, ['create', 'patch'], 'what happened, counted up when it repeats'),
  {
    ...of(VALIDATING_WEBHOOKS, ['get', 'patch'], 'the API server is told which certificate its webhook has'),
    names: [WEBHOOK_CONFIGURATION],
  },
];

/** What it may do beside that in its own namespace alone. */
export const OPERATOR_OWN_RIGHTS: readonly Right[] = [
  of(LEASES, ['get', 'list', 'create', 'update', 'patch', 'delete'], 'which replica does what'),
];

interface PolicyRule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly resourceNames?: string[];
  readonly verbs: string[];
}

/** Rules of a ClusterRole: rights of one group with the same verbs stand together. */
export function policyRules(rights: readonly Right[]): readonly PolicyRule[] {
  const rules = new Map<string, PolicyRule>();
  for (const { group, resource, verbs, names } of rights) {
    const id = JSON.stringify([group, verbs, names]);
    const known = rules.get(id);
    if (known === undefined) {
      rules.set(id, {
        apiGroups: [group],
        resources: [resource],
        ...(names === undefined ? {} : { resourceNames: [...names] }),
        verbs: [...verbs],
      });
    } else known.resources.push(resource);
  }
  return [...rules.values()];
}
