/** `spec.provider.kubernetes` of a store, as upstream's v1 schema has it. */

import { z } from 'zod';

const secretKey = z.object({
  name: z.string().min(1, { error: 'name cannot be empty' }),
  key: z.string().min(1, { error: 'key cannot be empty' }),
  namespace: z.string().optional(),
});

const auth = z
  .object({
    cert: z.object({ clientCert: secretKey, clientKey: secretKey }).optional(),
    token: z.object({ bearerToken: secretKey }).optional(),
    serviceAccount: z
      .object({
        name: z.string().min(1),
        namespace: z.string().optional(),
        audiences: z.array(z.string()).default([]),
      })
      .optional(),
  })
  .refine((given) => Object.values(given).filter((method) => method !== undefined).length === 1, {
    error: 'exactly one of cert, token, serviceAccount must be set',
  });

export const kubernetesSpec = z.object({
  server: z
    .object({
      /** "https://" may be left out, as clients in Go let it. */
      url: z.string().min(1).default('kubernetes.default'),
      caBundle: z.string().optional(),
      caProvider: z
        .object({
          type: z.enum(['Secret', 'ConfigMap']),
          name: z.string(),
          key: z.string().optional(),
          namespace: z.string().optional(),
        })
        .optional(),
    })
    .prefault({}),
  auth: auth.optional(),
  /** A kubeconfig in a Secret; goes before `server` and `auth`. */
  authRef: secretKey.optional(),
  remoteNamespace: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
    .default('default'),
});

export type KubernetesSpec = z.output<typeof kubernetesSpec>;
