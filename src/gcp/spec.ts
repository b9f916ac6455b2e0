/** As whom Google is asked, as upstream's v1 schemas write it: for stores and for generators alike. */

import { z } from 'zod';

const namespace = z.string().optional();
const serviceAccountRef = z.object({
  name: z.string().min(1),
  namespace,
  audiences: z.array(z.string()).default([]),
});
/** Becomes a part of a URL. */
const account = z.string().regex(/^[^\s/@]+@[^\s/@]+\.iam\.gserviceaccount\.com$/, {
  error: 'not the address of a service account',
});

export const googleAuth = z.object({
  secretRef: z
    .object({
      secretAccessKeySecretRef: z.object({ name: z.string().min(1), key: z.string().min(1), namespace }),
    })
    .optional(),
  workloadIdentity: z
    .object({
      serviceAccountRef,
      clusterLocation: z.string().default(''),
      clusterName: z.string().default(''),
      clusterProjectID: z.string().default(''),
    })
    .optional(),
  workloadIdentityFederation: z
    .object({
      credConfig: z.object({ name: z.string().min(1), key: z.string().min(1), namespace }).optional(),
      serviceAccountRef: serviceAccountRef.optional(),
      awsSecurityCredentials: z
        .object({
          region: z.string().regex(/^[a-z0-9-]{1,50}$/),
          awsCredentialsSecretRef: z.object({ name: z.string().min(1), namespace }),
        })
        .optional(),
      audience: z.string().default(''),
      externalTokenEndpoint: z.string().default(''),
      gcpServiceAccountEmail: account.optional(),
    })
    .optional(),
});

export type GoogleAuthSpec = z.output<typeof googleAuth>;
export type WorkloadIdentity = NonNullable<GoogleAuthSpec['workloadIdentity']>;
export type Federation = NonNullable<GoogleAuthSpec['workloadIdentityFederation']>;
