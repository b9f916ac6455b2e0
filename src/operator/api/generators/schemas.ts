/**
 * The generators of generators.external-secrets.io/v1alpha1 (external-secrets v2.9), a row for each kind: one source of
 * types, validation and CustomResourceDefinitions. Defaults are applied where we read, never in stored objects.
 */

import { z } from 'zod';
import { preserve } from '../subset.ts';

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const keyRef = () =>
  z.object({ name: z.string().min(1), key: z.string().min(1), namespace: z.string().optional() });
const serviceAccountRef = () =>
  z.object({
    name: z.string().min(1),
    namespace: z.string().optional(),
    audiences: z.array(z.string()).default([]),
  });

export const passwordSpec = z.object({
  /** 0 means the default, as upstream reads it. */
  length: z.number().int().min(0).max(4096).default(24),
  digits: z.number().int().min(0).max(4096).optional(),
  symbols: z.number().int().min(0).max(4096).optional(),
  symbolCharacters: z.string().optional(),
  noUpper: z.boolean().default(false),
  allowRepeat: z.boolean().default(false),
  secretKeys: z.array(z.string().min(1)).min(1).max(64).optional(),
  encoding: z.enum(['base64', 'base64url', 'base32', 'hex', 'raw']).default('raw'),
});

export const uuidSpec = z.object({});

export const fakeSpec = z.object({
  controller: z.string().optional(),
  data: z.record(z.string(), z.string()).default({}),
});

export const sshKeySpec = z.object({
  keyType: z.enum(['', 'rsa', 'ecdsa', 'ed25519']).default('rsa'),
  keySize: z.number().int().min(256).max(8192).optional(),
  comment: z.string().default(''),
});

export const vaultDynamicSecretSpec = z.object({
  controller: z.string().optional(),
  method: z.string().default('GET'),
  parameters: preserve().optional(),
  getParameters: z.record(z.string(), z.array(z.string())).optional(),
  resultType: z.enum(['Data', 'Auth', 'Raw']).default('Data'),
  retrySettings: z
    .object({ maxRetries: z.number().int().optional(), retryInterval: z.string().optional() })
    .optional(),
  /** `spec.provider.vault` of a store; its `path` and `version` mean nothing here. */
  provider: preserve(),
  path: z.string().min(1),
  allowEmptyResponse: z.boolean().default(false),
});

export const webhookSpec = z.object({
  method: z.string().optional(),
  url: z.string().min(1),
  headers: z.record(z.string(), z.string()).optional(),
  auth: preserve().optional(),
  body: z.string().optional(),
  timeout: z.string().optional(),
  result: z.object({ jsonPath: z.string().optional() }),
  secrets: z
    .array(
      z.object({
        name: z.string(),
        secretRef: z.object({ name: z.string().optional(), key: z.string().optional() }),
      }),
    )
    .optional(),
  caBundle: z.string().optional(),
  caProvider: z
    .object({
      type: z.enum(['Secret', 'ConfigMap']),
      name: z.string().min(1).max(253).regex(NAME),
      key: z.string().optional(),
      namespace: z.string().optional(),
    })
    .optional(),
});

const awsAuth = z.object({
  secretRef: z
    .object({
      accessKeyIDSecretRef: keyRef(),
      secretAccessKeySecretRef: keyRef(),
      sessionTokenSecretRef: keyRef().optional(),
    })
    .optional(),
  jwt: z.object({ serviceAccountRef: serviceAccountRef() }).optional(),
});

export const ecrAuthorizationTokenSpec = z.object({
  region: z.string().min(1),
  auth: awsAuth.default({}),
  role: z.string().default(''),
  scope: z.string().default(''),
});

export const stsSessionTokenSpec = z.object({
  region: z.string().min(1),
  auth: awsAuth.default({}),
  role: z.string().default(''),
  requestParameters: z
    .object({
      sessionDuration: z.number().int().optional(),
      serialNumber: z.string().optional(),
      tokenCode: z.string().optional(),
    })
    .default({}),
});

export const gcrAccessTokenSpec = z.object({
  /** `spec.provider.gcpsm.auth` of a store. */
  auth: preserve(),
  projectID: z.string().default(''),
});

export const acrAccessTokenSpec = z.object({
  auth: z.object({
    servicePrincipal: z
      .object({ secretRef: z.object({ clientId: keyRef(), clientSecret: keyRef() }) })
      .optional(),
    managedIdentity: z.object({ identityId: z.string().default('') }).optional(),
    workloadIdentity: z.object({ serviceAccountRef: serviceAccountRef().optional() }).optional(),
  }),
  tenantId: z.string().default(''),
  registry: z.string().min(1),
  scope: z.string().default(''),
  environmentType: z
    .enum(['', 'PublicCloud', 'USGovernmentCloud', 'ChinaCloud', 'GermanCloud', 'AzureStackCloud'])
    .default('PublicCloud'),
});

export const githubAccessTokenSpec = z.object({
  url: z.string().default(''),
  appID: z.string().min(1),
  installID: z.string().min(1),
  repositories: z.array(z.string()).default([]),
  permissions: z.record(z.string(), z.string()).optional(),
  auth: z.object({ privateKey: z.object({ secretRef: keyRef() }) }),
});
