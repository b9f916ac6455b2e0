/** `spec.provider.vault` of a store, as upstream's v1 schema has it. How it logs in: `auth/spec.ts`. */

import { z } from 'zod';
import { authSpec, secretRef } from './auth/spec.ts';

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
  auth: authSpec.optional(),
});

export type VaultSpec = z.output<typeof vaultSpec>;
export type { VaultAuth } from './auth/spec.ts';
