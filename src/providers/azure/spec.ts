/** `spec.provider.azurekv` of a store, as upstream's v1 schema has it. */

import { z } from 'zod';
import { secretKey } from '../../provider/refs.ts';

const namespace = z.string().optional();

/** The address of a service: https alone, since tokens and secrets go there, and nothing behind the host. */
const origin = z
  .url({ protocol: /^https$/ })
  .refine((text) => {
    // What is no URL was told by the check before, and zod asks this one all the same.
    if (!URL.canParse(text)) return true;
    const { username, password, pathname, search, hash } = new URL(text);
    return `${username}${password}${search}${hash}` === '' && pathname === '/';
  })
  .transform((text) => new URL(text).origin);

export const azureSpec = z
  .object({
    authType: z.enum(['ServicePrincipal', 'ManagedIdentity', 'WorkloadIdentity']).default('ServicePrincipal'),
    vaultUrl: origin,
    tenantId: z.string().default(''),
    environmentType: z
      .enum(['PublicCloud', 'USGovernmentCloud', 'ChinaCloud', 'GermanCloud', 'AzureStackCloud'])
      .default('PublicCloud'),
    authSecretRef: z
      .object({
        clientId: secretKey.optional(),
        tenantId: secretKey.optional(),
        clientSecret: secretKey.optional(),
        clientCertificate: secretKey.optional(),
      })
      .optional(),
    serviceAccountRef: z
      .object({ name: z.string().min(1), namespace, audiences: z.array(z.string()).default([]) })
      .optional(),
    identityId: z.string().default(''),
    /** Upstream's choice between two libraries; here there is one. */
    useAzureSDK: z.boolean().default(false),
    customCloudConfig: z
      .object({
        activeDirectoryEndpoint: origin,
        keyVaultEndpoint: z.string().optional(),
        keyVaultDNSSuffix: z.string().optional(),
        resourceManagerEndpoint: z.string().optional(),
      })
      .optional(),
  })
  .refine(
    ({ environmentType, customCloudConfig: custom }) => environmentType !== 'AzureStackCloud' || custom,
    {
      path: ['customCloudConfig'],
      error: 'CustomCloudConfig is required when EnvironmentType is AzureStackCloud',
    },
  )
  .refine(({ environmentType }) => environmentType !== 'GermanCloud', {
    path: ['environmentType'],
    error:
      'the German cloud of Azure was closed on October 29, 2021; use PublicCloud, or AzureStackCloud with its addresses',
  });

export type AzureSpec = z.output<typeof azureSpec>;
