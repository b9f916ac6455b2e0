/**
 * PushSecret, external-secrets.io/v1alpha1: values of a Secret, or of a generator, written to external stores.
 * Source: external-secrets v2.9.
 */

import { z } from 'zod';
import { condition, generatorRef, name, template } from './externalsecret.ts';
import { labelSelector } from './store.ts';
import { exactlyOne, preserve, ruled } from './subset.ts';

const storeRef = () =>
  z.object({
    name: name().optional(),
    labelSelector: labelSelector.optional(),
    kind: z.enum(['', 'SecretStore', 'ClusterSecretStore']).default('SecretStore'),
  });

const remoteRef = z.object({ remoteKey: z.string(), property: z.string().default('') });

const conversionStrategy = z.enum(['', 'None', 'ReverseUnicode']).default('None');
const metadata = () =>
  preserve()
    .optional()
    .meta({ description: 'Settings of the store for this secret; each provider has its own.' });

const data = z.object({
  match: z.object({
    secretKey: z.string().default('').meta({ description: 'Absent: the whole Secret.' }),
    remoteRef,
  }),
  metadata: metadata(),
  conversionStrategy,
});

const rewrite = exactlyOne({
  regexp: z.object({ source: z.string(), target: z.string() }).optional(),
  transform: z.object({ template: z.string() }).optional(),
});

const dataTo = ruled(
  z.object({
    storeRef: storeRef().optional(),
    remoteKey: z.string().default('').meta({
      description: 'One secret that all matched keys go to, as a JSON object; absent: one secret for each.',
    }),
    match: z.object({ regexp: z.string().default('') }).optional(),
    rewrite: z.array(rewrite).default([]),
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
  secret: z.object({ name: name().optional(), selector: labelSelector.optional() }).optional(),
  generatorRef: generatorRef.optional(),
});

export const pushSecretSpec = z.object({
  refreshInterval: z
    .string()
    .default('1h0m0s')
    .meta({ description: 'A Go duration; 0 pushes when the PushSecret changes, and at no other time.' }),
  secretStoreRefs: z.array(storeRef()),
  updatePolicy: z.enum(['', 'Replace', 'IfNotExists']).default('Replace'),
  deletionPolicy: z.enum(['', 'Delete', 'None']).default('None'),
  selector,
  data: z.array(data).default([]),
  dataTo: z.array(dataTo).default([]),
  template: template.optional(),
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
