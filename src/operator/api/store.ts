/**
 * SecretStore and ClusterSecretStore, external-secrets.io/v1. The block of each provider is that provider's own to read,
 * so all of them are kept whole here: a manifest written for another build is accepted and the store's condition says
 * which providers this build has.
 */

import { z } from 'zod';
import { condition } from './externalsecret.ts';
import { intOrString, preserve } from './subset.ts';

/** Every provider name that public manifests use. */
const PROVIDER_NAMES = [
  'akeyless',
  'alibaba',
  'aws',
  'azurekv',
  'barbican',
  'beyondtrust',
  'beyondtrustworkloadcredentials',
  'bitwardensecretsmanager',
  'chef',
  'cloudrusm',
  'conjur',
  'delinea',
  'device42',
  'doppler',
  'dvls',
  'fake',
  'fortanix',
  'gcpsm',
  'github',
  'gitlab',
  'ibm',
  'infisical',
  'keepersecurity',
  'kubernetes',
  'nebiusmysterybox',
  'ngrok',
  'onboardbase',
  'onepassword',
  'onepasswordSDK',
  'openBao',
  'oracle',
  'ovh',
  'passbolt',
  'passworddepot',
  'previder',
  'pulumi',
  'scaleway',
  'secretserver',
  'senhasegura',
  'vault',
  'volcengine',
  'webhook',
  'yandexcertificatemanager',
  'yandexlockbox',
] as const;

const provider = z
  .looseObject(
    Object.fromEntries(PROVIDER_NAMES.map((name) => [name, preserve().optional()])) as Record<
      string,
      z.ZodOptional<ReturnType<typeof preserve>>
    >,
  )
  .meta({ description: 'Exactly one provider and its settings.' });

export const labelSelector = z.object({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z
    .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
});

export const storeSpec = z.object({
  controller: z
    .string()
    .default('')
    .describe('The class of the operator that looks after this store; absent: any.'),
  provider,
  retrySettings: z
    .object({
      maxRetries: z.number().int().optional().describe('How many more tries there are.'),
      retryInterval: z.string().optional().describe('The wait between two: a Go duration.'),
    })
    .optional()
    .describe('How often a request to the store is tried again, and after which wait.'),
  refreshInterval: intOrString()
    .optional()
    .describe('How often the store is checked: seconds, or a Go duration.'),
  conditions: z
    .array(
      z.object({
        namespaceSelector: labelSelector.optional().describe('Namespaces by their labels.'),
        namespaces: z.array(z.string()).optional().describe('Namespaces by their names.'),
        namespaceRegexes: z.array(z.string()).optional().describe('Namespaces by expressions of RE2.'),
      }),
    )
    .default([])
    .describe(
      'Which namespaces may use this ClusterSecretStore: all that any of these means; absent: every one.',
    ),
});

export const storeStatus = z.object({
  conditions: z.array(condition).optional(),
  capabilities: z.string().optional(),
});

export type StoreSpec = z.output<typeof storeSpec>;
export type StoreCondition = StoreSpec['conditions'][number];
export type LabelSelector = z.output<typeof labelSelector>;
