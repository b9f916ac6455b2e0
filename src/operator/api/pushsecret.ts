/**
 * PushSecret, external-secrets.io/v1alpha1: values of a Secret, or of a generator, written to external stores.
 * Source: external-secrets v2.9.
 */

import { z } from 'zod';
import { condition, generatorRef, name, regexpStep, template, transformStep } from './externalsecret.ts';
import { labelSelector } from './store.ts';
import { exactlyOne, preserve, ruled } from './subset.ts';

const storeRef = () =>
  z.object({
    name: name().optional().describe('The name of the store.'),
    labelSelector: labelSelector.optional().describe('All stores with these labels.'),
    kind: z
      .enum(['', 'SecretStore', 'ClusterSecretStore'])
      .default('SecretStore')
      .describe('SecretStore unless it says otherwise.'),
  });

const remoteRef = z.object({
  remoteKey: z.string().describe('The name or path of the secret in the store.'),
  property: z.string().default('').describe('A member of that secret; absent: the whole of it.'),
});

const conversionStrategy = z
  .enum(['', 'None', 'ReverseUnicode'])
  .default('None')
  .describe('ReverseUnicode: "_U0020_" in a key of the Secret stands for that character.');
const metadata = () =>
  preserve()
    .optional()
    .meta({ description: 'Settings of the store for this secret; each provider has its own.' });

const data = z.object({
  match: z
    .object({
      secretKey: z.string().default('').meta({ description: 'Absent: the whole Secret.' }),
      remoteRef: remoteRef.describe('Where it goes.'),
    })
    .describe('A key of the Secret, and where it goes.'),
  metadata: metadata(),
  conversionStrategy,
});

const rewrite = exactlyOne({ regexp: regexpStep.optional(), transform: transformStep.optional() });

const dataTo = ruled(
  z.object({
    storeRef: storeRef().optional().describe('Which of the stores they go to.'),
    remoteKey: z.string().default('').meta({
      description: 'One secret that all matched keys go to, as a JSON object; absent: one secret for each.',
    }),
    match: z
      .object({ regexp: z.string().default('').describe('An RE2 expression; absent: every key.') })
      .optional()
      .describe('Which keys of the Secret are meant.'),
    rewrite: z
      .array(rewrite)
      .default([])
      .describe('The remote keys, made of those of the Secret step by step.'),
    metadata: metadata(),
    conversionStrategy,
  }),
  [
    {
      rule: 'has(self.storeRef) && (has(self.storeRef.name) || has(self.storeRef.labelSelector))',
      message: 'storeRef must specify either name or labelSelector',
    },
    {
      rule: '!has(self.remoteKey) || !has(self.rewrite) || size(self.rewrite) == 0',
      message:
        'remoteKey and rewrite are mutually exclusive: rewrite is only supported in per-key mode (without remoteKey)',
    },
  ],
);

const selector = exactlyOne({
  secret: z
    .object({
      name: name().optional().describe('The name of the Secret.'),
      selector: labelSelector.optional().describe('All Secrets with these labels.'),
    })
    .optional()
    .describe('Secrets of this namespace.'),
  generatorRef: generatorRef.optional().describe('A generator that makes what is pushed.'),
});

export const pushSecretSpec = z.object({
  refreshInterval: z
    .string()
    .default('1h0m0s')
    .describe('A Go duration; 0 pushes when the PushSecret changes, and at no other time.'),
  secretStoreRefs: z.array(storeRef()).describe('The stores that are written to.'),
  updatePolicy: z
    .enum(['', 'Replace', 'IfNotExists'])
    .default('Replace')
    .describe('IfNotExists: what is there already is left as it is.'),
  deletionPolicy: z
    .enum(['', 'Delete', 'None'])
    .default('None')
    .describe('Delete: what was pushed is deleted when it is no longer meant.'),
  selector: selector.describe('What is pushed.'),
  data: z.array(data).default([]).describe('Keys of the Secret, one by one.'),
  dataTo: z.array(dataTo).default([]).describe('Many keys at once.'),
  template: template.optional().describe('What is pushed, made of the Secret by templates.'),
});

/** By store ("SecretStore/aws") and place there ("remoteKey" or "remoteKey/property"): what was pushed. */
const synced = z.record(z.string(), z.record(z.string(), data));

export const pushSecretStatus = z.object({
  refreshTime: z.string().optional(),
  syncedResourceVersion: z.string().optional(),
  syncedPushSecrets: synced.optional(),
  conditions: z.array(condition).optional(),
});

export type PushSecretSpec = z.output<typeof pushSecretSpec>;
export type PushSecretStatus = z.output<typeof pushSecretStatus>;
export type PushData = PushSecretSpec['data'][number];
export type PushDataTo = PushSecretSpec['dataTo'][number];
export type PushStoreRef = PushSecretSpec['secretStoreRefs'][number];
export type Synced = NonNullable<PushSecretStatus['syncedPushSecrets']>;
