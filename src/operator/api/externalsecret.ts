/**
 * ExternalSecret, external-secrets.io/v1 (and v1beta1, which is served as the same superset with v1's defaults).
 * Source: external-secrets v2.9. What only a webhook refuses there is accepted here and told in the condition.
 */

import { z } from 'zod';
import { exactlyOne } from './subset.ts';

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const KEY = /^[-._a-zA-Z0-9]+$/;

/** A name of Kubernetes (RFC 1123 subdomain). */
export const name = () => z.string().min(1).max(253).regex(NAME);
const key = () => z.string().min(1).max(253).regex(KEY);
export const texts = () => z.record(z.string(), z.string());

const storeRef = () =>
  z.object({
    name: name().optional(),
    kind: z.enum(['SecretStore', 'ClusterSecretStore']).default('SecretStore'),
  });

export const generatorRef = z.object({
  apiVersion: z.string().default('generators.external-secrets.io/v1alpha1'),
  kind: z.string(),
  name: name(),
});

const sourceRef = exactlyOne({ storeRef: storeRef().optional(), generatorRef: generatorRef.optional() });

// An empty text is the default too: older releases wrote "Default" and "None" into stored objects, newer ones nothing.
const conversionStrategy = z.enum(['', 'Default', 'Unicode']).default('Default');
const decodingStrategy = z.enum(['', 'Auto', 'Base64', 'Base64URL', 'None']).default('None');
const nullBytePolicy = z.enum(['', 'Ignore', 'Fail']).default('Ignore');

const remoteRef = z.object({
  key: z.string(),
  property: z.string().default(''),
  version: z.string().default(''),
  metadataPolicy: z.enum(['', 'None', 'Fetch']).default('None'),
  conversionStrategy,
  decodingStrategy,
  nullBytePolicy,
});

const find = z.object({
  path: z.string().optional(),
  name: z.object({ regexp: z.string().optional() }).optional(),
  tags: texts().optional(),
  conversionStrategy,
  decodingStrategy,
  nullBytePolicy,
});

const rewrite = exactlyOne({
  regexp: z.object({ source: z.string(), target: z.string() }).optional(),
  transform: z.object({ template: z.string() }).optional(),
  merge: z
    .object({
      into: z.string().default(''),
      priority: z.array(z.string()).default([]),
      priorityPolicy: z.enum(['', 'IgnoreNotFound', 'Strict']).default('Strict'),
      conflictPolicy: z.enum(['', 'Ignore', 'Error']).default('Error'),
      strategy: z.enum(['', 'Extract', 'JSON']).default('Extract'),
    })
    .optional(),
});

const data = z.object({
  secretKey: key(),
  remoteRef,
  sourceRef: sourceRef.optional(),
});

const dataFrom = z.object({
  extract: remoteRef.optional(),
  find: find.optional(),
  rewrite: z.array(rewrite).default([]),
  sourceRef: sourceRef.optional(),
});

const templateItem = z.object({
  key: key(),
  templateAs: z.enum(['', 'Values', 'KeysAndValues']).default('Values'),
});
const templateSource = () => z.object({ name: name(), items: z.array(templateItem) });

const templateFrom = z.object({
  target: z.string().default('Data'),
  configMap: templateSource().optional(),
  secret: templateSource().optional(),
  literal: z.string().optional(),
  valuesDecodingStrategy: decodingStrategy,
});

export const template = z.object({
  type: z.string().optional(),
  engineVersion: z.enum(['', 'v2']).default('v2'),
  metadata: z
    .object({
      annotations: texts().default({}),
      labels: texts().default({}),
      finalizers: z.array(z.string()).default([]),
    })
    .optional(),
  mergePolicy: z.enum(['', 'Replace', 'Merge']).default('Replace'),
  data: texts().optional(),
  templateFrom: z.array(templateFrom).optional(),
});

const target = z.object({
  name: name().optional(),
  creationPolicy: z.enum(['', 'Owner', 'Orphan', 'Merge', 'CreateOrMerge', 'None']).default('Owner'),
  deletionPolicy: z.enum(['', 'Delete', 'Merge', 'Retain']).default('Retain'),
  template: template.optional(),
  manifest: z.object({ apiVersion: z.string(), kind: z.string() }).optional(),
  immutable: z.boolean().default(false),
});

const syncWindows = z.object({
  kind: z.enum(['allow', 'deny']),
  windows: z.array(z.object({ schedule: z.string(), duration: z.string() })),
});

export const externalSecretSpec = z.object({
  secretStoreRef: storeRef().optional(),
  target: target.optional(),
  refreshPolicy: z.enum(['', 'CreatedOnce', 'Periodic', 'OnChange']).default('Periodic'),
  refreshInterval: z
    .string()
    .default('1h0m0s')
    .meta({ description: 'A Go duration; 0 reads the store once.' }),
  syncWindows: syncWindows.optional(),
  data: z.array(data).default([]),
  dataFrom: z.array(dataFrom).default([]),
});

export const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().optional(),
});

export const externalSecretStatus = z.object({
  refreshTime: z.string().optional(),
  syncedResourceVersion: z.string().optional(),
  conditions: z.array(condition).optional(),
  binding: z.object({ name: z.string().optional() }).optional(),
});

export type ExternalSecretSpec = z.output<typeof externalSecretSpec>;
export type ExternalSecretStatus = z.output<typeof externalSecretStatus>;
export type Condition = z.output<typeof condition>;
export type DataEntry = ExternalSecretSpec['data'][number];
export type DataFromEntry = ExternalSecretSpec['dataFrom'][number];
export type Rewrite = DataFromEntry['rewrite'][number];
export type Template = z.output<typeof template>;
export type TemplateFrom = z.output<typeof templateFrom>;
export type StoreRef = z.output<ReturnType<typeof storeRef>>;
