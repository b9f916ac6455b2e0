/** The kinds of generators, as URLs name them and as a ClusterGenerator holds them; and what is kept of those with a state. */

import { z } from 'zod';
import type { Resource } from '../../../kube/kube.ts';
import { condition } from '../externalsecret.ts';
import { exactlyOne, preserve } from '../subset.ts';
import {
  acrAccessTokenSpec,
  ecrAuthorizationTokenSpec,
  fakeSpec,
  gcrAccessTokenSpec,
  githubAccessTokenSpec,
  passwordSpec,
  sshKeySpec,
  stsSessionTokenSpec,
  uuidSpec,
  vaultDynamicSecretSpec,
  webhookSpec,
} from './schemas.ts';

export const GENERATORS_GROUP = 'generators.external-secrets.io';

export interface GeneratorKind {
  readonly resource: Resource;
  /** The member of a ClusterGenerator's `spec.generator`. */
  readonly member: string;
  readonly spec: z.ZodType;
  readonly description: string;
}

const resource = (plural: string, kind: string, namespaced = true): Resource => ({
  group: GENERATORS_GROUP,
  version: 'v1alpha1',
  plural,
  kind,
  namespaced,
});

const kind = (
  plural: string,
  name: string,
  member: string,
  spec: z.ZodType,
  description: string,
): GeneratorKind => ({ resource: resource(plural, name), member, spec, description });

/** Every kind that this build generates with. */
export const GENERATOR_KINDS: readonly GeneratorKind[] = [
  kind('passwords', 'Password', 'passwordSpec', passwordSpec, 'Password makes random passwords.'),
  kind('uuids', 'UUID', 'uuidSpec', uuidSpec, 'UUID makes random UUIDs.'),
  kind('fakes', 'Fake', 'fakeSpec', fakeSpec, 'Fake gives what its manifest says: for tests.'),
  kind('sshkeys', 'SSHKey', 'sshKeySpec', sshKeySpec, 'SSHKey makes pairs of SSH keys.'),
  kind(
    'vaultdynamicsecrets',
    'VaultDynamicSecret',
    'vaultDynamicSecretSpec',
    vaultDynamicSecretSpec,
    'VaultDynamicSecret has a Vault server make credentials, and keeps their lease.',
  ),
  kind(
    'webhooks',
    'Webhook',
    'webhookSpec',
    webhookSpec,
    'Webhook asks anything that answers over HTTP for values.',
  ),
  kind(
    'ecrauthorizationtokens',
    'ECRAuthorizationToken',
    'ecrAuthorizationTokenSpec',
    ecrAuthorizationTokenSpec,
    "ECRAuthorizationToken gets tokens of AWS's container registries.",
  ),
  kind(
    'stssessiontokens',
    'STSSessionToken',
    'stsSessionTokenSpec',
    stsSessionTokenSpec,
    'STSSessionToken gets temporary keys of AWS.',
  ),
  kind(
    'gcraccesstokens',
    'GCRAccessToken',
    'gcrAccessTokenSpec',
    gcrAccessTokenSpec,
    "GCRAccessToken gets tokens of Google's registries.",
  ),
  kind(
    'acraccesstokens',
    'ACRAccessToken',
    'acrAccessTokenSpec',
    acrAccessTokenSpec,
    "ACRAccessToken gets tokens of Azure's container registries.",
  ),
  kind(
    'githubaccesstokens',
    'GithubAccessToken',
    'githubAccessTokenSpec',
    githubAccessTokenSpec,
    'GithubAccessToken gets tokens of the installation of a GitHub App.',
  ),
];

/** Kinds that upstream has and this build does not; manifests that name them are accepted and told so when they are used. */
const OTHERS: Readonly<Record<string, string>> = {
  BeyondtrustWorkloadCredentialsDynamicSecret: 'beyondtrustWorkloadCredentialsDynamicSecretSpec',
  CloudsmithAccessToken: 'cloudsmithAccessTokenSpec',
  GitlabDeployToken: 'gitlabDeployTokenSpec',
  Grafana: 'grafanaSpec',
  MFA: 'mfaSpec',
  QuayAccessToken: 'quayAccessTokenSpec',
};

const names = [
  ...GENERATOR_KINDS.map(({ resource: { kind: name } }) => name),
  ...Object.keys(OTHERS),
].sort() as [string, ...string[]];

export const CLUSTER_GENERATORS = resource('clustergenerators', 'ClusterGenerator', false);

export const clusterGeneratorSpec = z.object({
  kind: z.enum(names),
  generator: exactlyOne(
    Object.fromEntries([
      ...GENERATOR_KINDS.map(({ member, spec }) => [member, spec.optional()] as const),
      ...Object.values(OTHERS).map((member) => [member, preserve().optional()] as const),
    ]) as Record<string, z.ZodOptional<z.ZodType>>,
  ),
});

export const GENERATOR_STATES = resource('generatorstates', 'GeneratorState');

export const generatorStateSpec = z.object({
  /** RFC 3339: from then on nobody needs what was made, and it is taken away. */
  garbageCollectionDeadline: z.string().optional(),
  /** The generator's manifest when it made this: what it names has to be there until this is taken away. */
  resource: preserve(),
  state: preserve(),
});

export const generatorStateStatus = z.object({ conditions: z.array(condition).optional() });

export type GeneratorStateSpec = z.output<typeof generatorStateSpec>;
