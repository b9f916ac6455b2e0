/** `spec.provider.vault` of a store, as upstream's v1 schema has it. What a method of login holds is that method's business. */

import { z } from 'zod';

const secretRef = z.object({
  name: z.string(),
  key: z.string().optional(),
  namespace: z.string().optional(),
});

const serviceAccountRef = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  audiences: z.array(z.string()).optional(),
});

const method = z.record(z.string(), z.unknown());

export const vaultSpec = z.object({
  server: z.string(),
  path: z.string().optional(),
  version: z.enum(['v1', 'v2']).default('v2'),
  namespace: z.string().optional(),
  /** PEM, or PEM in base64. */
  caBundle: z.string().optional(),
  caProvider: z
    .object({
      type: z.enum(['Secret', 'ConfigMap']),
      name: z.string(),
      key: z.string().optional(),
      namespace: z.string().optional(),
    })
    .optional(),
  tls: z.object({ certSecretRef: secretRef.optional(), keySecretRef: secretRef.optional() }).optional(),
  readYourWrites: z.boolean().optional(),
  forwardInconsistent: z.boolean().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  checkAndSet: z.object({ required: z.boolean().optional() }).optional(),
  auth: z
    .object({
      namespace: z.string().optional(),
      tokenSecretRef: secretRef.optional(),
      kubernetes: z
        .object({
          mountPath: z.string().default('kubernetes'),
          role: z.string(),
          serviceAccountRef: serviceAccountRef.optional(),
          secretRef: secretRef.optional(),
          /** Where people put what belongs into `serviceAccountRef`; upstream drops it without a word. */
          audiences: z.array(z.string()).optional(),
        })
        .optional(),
      appRole: method.optional(),
      ldap: method.optional(),
      userPass: method.optional(),
      jwt: method.optional(),
      cert: method.optional(),
      iam: method.optional(),
      gcp: method.optional(),
    })
    .optional(),
});

export type VaultSpec = z.output<typeof vaultSpec>;
export type VaultAuth = NonNullable<VaultSpec['auth']>;
