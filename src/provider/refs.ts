/** How the specs of stores and generators name what lies in a Secret, as upstream's SecretKeySelector does. */

import { z } from 'zod';

/** A key of a Secret; a cluster-wide store says in which namespace, any other one asks in its own. */
export const secretKey = z.object({
  name: z.string().min(1),
  key: z.string().min(1),
  namespace: z.string().optional(),
});
export type SecretKey = z.output<typeof secretKey>;

/** The keys of an AWS user or of a session. */
export const awsKeys = z.object({
  accessKeyIDSecretRef: secretKey,
  secretAccessKeySecretRef: secretKey,
  sessionTokenSecretRef: secretKey.optional(),
});
