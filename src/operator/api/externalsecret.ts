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
    name: name().optional().describe('The name of the store.'),
    kind: z
      .enum(['SecretStore', 'ClusterSecretStore'])
      .default('SecretStore')
      .describe('SecretStore unless it says otherwise.'),
  });

export const generatorRef = z.object({
  apiVersion: z
    .string()
    .default('generators.external-secrets.io/v1alpha1')
    .describe('generators.external-secrets.io/v1alpha1 unless it says otherwise.'),
  kind: z.string().describe('The kind of the generator, such as Password or ClusterGenerator.'),
  name: name().describe('The name of the generator.'),
});

const sourceRef = exactlyOne({
  storeRef: storeRef().optional().describe('A store other than that of spec.secretStoreRef.'),
  generatorRef: generatorRef.optional().describe('A generator that makes the values; in dataFrom alone.'),
}).describe('Where this entry comes from, if not from spec.secretStoreRef.');

// An empty text is the default too: older releases wrote "Default" and "None" into stored objects, newer ones nothing.
const conversionStrategy = z
  .enum(['', 'Default', 'Unicode'])
  .default('Default')
  .describe(
    'What characters of a key become that no key of a Secret may have: "_" (Default), or "_U0020_" (Unicode). Of dataFrom alone, and only without rewrite.',
  );
const decodingStrategy = z
  .enum(['', 'Auto', 'Base64', 'Base64URL', 'None'])
  .default('None')
  .describe('How values are decoded before they are written; Auto leaves what is not base64 as it is.');
const nullBytePolicy = z
  .enum(['', 'Ignore', 'Fail'])
  .default('Ignore')
  .describe('Fail: a value that holds a byte 0 is refused.');

const remoteRef = z.object({
  key: z.string().describe('The name or path of the secret in the store.'),
  property: z
    .string()
    .default('')
    .describe('A member of the secret, or a path into its JSON (gjson); absent: the whole secret.'),
  version: z
    .string()
    .default('')
    .describe('A version of the secret, as its store names them; absent: the newest.'),
  metadataPolicy: z
    .enum(['', 'None', 'Fetch'])
    .default('None')
    .describe('Fetch: the tags or labels of the secret are read in place of its value.'),
  conversionStrategy,
  decodingStrategy,
  nullBytePolicy,
});

const find = z.object({
  path: z.string().optional().describe('Where the search begins.'),
  name: z
    .object({ regexp: z.string().optional().describe('An RE2 expression that names have to match.') })
    .optional()
    .describe('Secrets by name.'),
  tags: texts().optional().describe('Secrets that have all of these tags or labels.'),
  conversionStrategy,
  decodingStrategy,
  nullBytePolicy,
});

/** Steps of a rewrite, of dataFrom here and of a PushSecret's dataTo. */
export const regexpStep = z
  .object({
    source: z.string().describe('An RE2 expression.'),
    target: z.string().describe('What matches becomes; $1 is its first group.'),
  })
  .describe('Gives keys other names by an expression.');
export const transformStep = z
  .object({ template: z.string().describe('A template; .value is the key.') })
  .describe('Gives keys other names by a template.');

const rewrite = exactlyOne({
  regexp: regexpStep.optional(),
  transform: transformStep.optional(),
  merge: z
    .object({
      into: z.string().default('').describe('The key that the JSON object goes to (strategy JSON).'),
      priority: z
        .array(z.string())
        .default([])
        .describe('Keys that are merged last, in this order: later ones win.'),
      priorityPolicy: z
        .enum(['', 'IgnoreNotFound', 'Strict'])
        .default('Strict')
        .describe('Whether a key of priority that is missing is an error.'),
      conflictPolicy: z
        .enum(['', 'Ignore', 'Error'])
        .default('Error')
        .describe('Whether a key that two of the values have is an error.'),
      strategy: z
        .enum(['', 'Extract', 'JSON'])
        .default('Extract')
        .describe('Extract: the merged keys are the result. JSON: they are one object in the key into.'),
    })
    .optional()
    .describe('Merges values that are JSON objects.'),
});

const data = z.object({
  secretKey: key().describe('The key of the Secret.'),
  remoteRef: remoteRef.describe('What of the store is written there.'),
  sourceRef: sourceRef.optional(),
});

const dataFrom = z.object({
  extract: remoteRef.optional().describe('One secret, each member of which is a key.'),
  find: find.optional().describe('All secrets that match, each of which is a key.'),
  rewrite: z.array(rewrite).default([]).describe('Other names for the keys, one step after the other.'),
  sourceRef: sourceRef.optional(),
});

const templateItem = z.object({
  key: key().describe('The key that holds the template.'),
  templateAs: z
    .enum(['', 'Values', 'KeysAndValues'])
    .default('Values')
    .describe(
      'Values: what is rendered is the value of that key. KeysAndValues: it is YAML of keys and values.',
    ),
});
const templateSource = () =>
  z.object({
    name: name().describe('Its name, in the namespace of the object.'),
    items: z.array(templateItem).describe('Which of its keys are templates.'),
  });

const templateFrom = z.object({
  target: z.string().default('Data').describe('What the result becomes: Data, Annotations or Labels.'),
  configMap: templateSource().optional().describe('Templates out of a ConfigMap.'),
  secret: templateSource().optional().describe('Templates out of a Secret.'),
  literal: z.string().optional().describe('A template that gives YAML of keys and values.'),
  valuesDecodingStrategy: decodingStrategy,
});

export const template = z.object({
  type: z.string().optional().describe('The type of the Secret, such as kubernetes.io/tls.'),
  engineVersion: z
    .enum(['', 'v2'])
    .default('v2')
    .describe('Of the language of templates: v2 is the only one.'),
  metadata: z
    .object({
      annotations: texts().default({}).describe('Their values are templates.'),
      labels: texts().default({}).describe('Their values are templates.'),
      finalizers: z.array(z.string()).default([]).describe('They are added, and never taken away again.'),
    })
    .optional()
    .describe('Of the Secret. With a template, nothing is copied from the metadata of this object.'),
  mergePolicy: z
    .enum(['', 'Replace', 'Merge'])
    .default('Replace')
    .describe('Merge: the values of the store stay beside what is rendered.'),
  data: texts().optional().describe('Keys and the templates of their values, in the language of Go.'),
  templateFrom: z.array(templateFrom).optional().describe('More templates, one after the other.'),
});

const target = z.object({
  name: name().optional().describe('The name of the Secret; that of this object unless it says otherwise.'),
  creationPolicy: z
    .enum(['', 'Owner', 'Orphan', 'Merge', 'CreateOrMerge', 'None'])
    .default('Owner')
    .describe(
      'Owner: the Secret is made, and goes with this object. Orphan: it is made, and stays. Merge: keys are written into one that is there. CreateOrMerge: the same, and it is made where there is none. None: nothing is written.',
    ),
  deletionPolicy: z
    .enum(['', 'Delete', 'Merge', 'Retain'])
    .default('Retain')
    .describe(
      'What follows where the store has a secret no more. Retain: an error, and the Secret stays. Delete: its keys go, and with the last the Secret. Merge: its keys go, and the Secret stays.',
    ),
  template: template.optional().describe('What the Secret looks like.'),
  manifest: z
    .object({
      apiVersion: z.string().describe('Such as v1.'),
      kind: z.string().describe('Such as ConfigMap.'),
    })
    .optional()
    .describe('An object of another kind in place of a Secret. Not built: the condition says so.'),
  immutable: z.boolean().default(false).describe('Whether the Secret may never change once it is made.'),
});

const syncWindows = z.object({
  kind: z
    .enum(['allow', 'deny'])
    .describe('Whether refreshes happen inside the windows alone, or outside of them.'),
  windows: z
    .array(
      z.object({
        schedule: z
          .string()
          .describe('When a window opens: five fields of cron, or @daily and the like, in UTC.'),
        duration: z.string().describe('How long it is open: a Go duration.'),
      }),
    )
    .describe('When the windows are.'),
});

export const externalSecretSpec = z.object({
  secretStoreRef: storeRef().optional().describe('The store of all entries that name no other.'),
  target: target.optional().describe('The Secret that is written.'),
  refreshPolicy: z
    .enum(['', 'CreatedOnce', 'Periodic', 'OnChange'])
    .default('Periodic')
    .describe(
      'Periodic: the store is read at each interval. OnChange: when this object changes. CreatedOnce: only once.',
    ),
  refreshInterval: z
    .string()
    .default('1h0m0s')
    .describe('A Go duration, 1h0m0s unless it says otherwise; 0 reads the store once.'),
  syncWindows: syncWindows.optional().describe('When refreshes may happen.'),
  data: z
    .array(data)
    .default([])
    .describe('Keys of the Secret, one by one; such a key wins over the same one of dataFrom.'),
  dataFrom: z
    .array(dataFrom)
    .default([])
    .describe('Many keys at once; where two entries give the same, the later one stays.'),
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
