/**
 * The kinds that make one object of another kind in each of many namespaces: ClusterExternalSecret
 * (external-secrets.io/v1) and ClusterPushSecret (v1alpha1). Source: external-secrets v2.9.
 */

import { z } from 'zod';
import { condition, externalSecretSpec, name, texts } from './externalsecret.ts';
import { pushSecretSpec } from './pushsecret.ts';
import { labelSelector } from './store.ts';

const childMetadata = () =>
  z
    .object({
      labels: texts().optional().describe('They are set on each child.'),
      annotations: texts().optional().describe('They are set on each child.'),
    })
    .optional()
    .describe('Of the children.');
const selectors = () =>
  z.array(labelSelector).default([]).meta({ description: 'A namespace that any of them matches is meant.' });
const refreshTime = () =>
  z
    .string()
    .optional()
    .meta({ description: 'A Go duration: when all is looked at again, whatever changed.' });
const namespaceName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

export const clusterExternalSecretSpec = z.object({
  externalSecretSpec: externalSecretSpec.describe('The spec of the children.'),
  externalSecretName: name()
    .optional()
    .describe('The name of the children; that of this object unless it says otherwise.'),
  externalSecretMetadata: childMetadata(),
  namespaceSelector: labelSelector.optional().describe('The older form of namespaceSelectors; both count.'),
  namespaceSelectors: selectors(),
  namespaces: z
    .array(namespaceName)
    .default([])
    .describe('Namespaces by name, beside those that are selected.'),
  refreshTime: refreshTime(),
});

export const clusterPushSecretSpec = z.object({
  pushSecretSpec: pushSecretSpec.describe('The spec of the children.'),
  pushSecretName: name()
    .optional()
    .describe('The name of the children; that of this object unless it says otherwise.'),
  pushSecretMetadata: childMetadata(),
  namespaceSelectors: selectors(),
  refreshTime: refreshTime(),
});

const namespaces = {
  provisionedNamespaces: z.array(z.string()).optional(),
  failedNamespaces: z.array(z.object({ namespace: z.string(), reason: z.string().optional() })).optional(),
  conditions: z.array(condition).optional(),
};

export const clusterExternalSecretStatus = z.object({
  externalSecretName: z.string().optional(),
  ...namespaces,
});
export const clusterPushSecretStatus = z.object({ pushSecretName: z.string().optional(), ...namespaces });
