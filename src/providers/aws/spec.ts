/** `spec.provider.aws` of a store, as upstream's v1 schema has it. */

import { z } from 'zod';
import { awsKeys } from '../../provider/refs.ts';

/** The tags that `sessionTagsPolicy` writes itself. */
const RESERVED_TAGS = ['esoNamespace', 'esoStoreName', 'esoStoreKind'];

const secretsManager = z
  .object({
    forceDeleteWithoutRecovery: z.boolean().default(false),
    /** 0: AWS's own, which is 30. */
    recoveryWindowInDays: z.number().int().default(0),
  })
  .refine(({ recoveryWindowInDays: days }) => days === 0 || (days >= 7 && days <= 30), {
    error: 'invalid DeleteSecretInput: RecoveryWindowInDays must be between 7 and 30 days',
  })
  .refine(
    ({ forceDeleteWithoutRecovery, recoveryWindowInDays }) =>
      !(forceDeleteWithoutRecovery && recoveryWindowInDays !== 0),
    { error: 'invalid DeleteSecretInput: ForceDeleteWithoutRecovery conflicts with RecoveryWindowInDays' },
  );

const auth = z.object({
  secretRef: awsKeys.optional(),
  jwt: z
    .object({
      serviceAccountRef: z.object({
        name: z.string().min(1),
        namespace: z.string().optional(),
        audiences: z.array(z.string()).default([]),
      }),
    })
    .optional(),
});

export const awsSpec = z.object({
  service: z.enum(['SecretsManager', 'ParameterStore', 'CertificateManager']),
  /** Becomes a part of a host's name, so it may be nothing but a label. */
  region: z.string().regex(/^[a-z]{2,8}(?:-[a-z0-9]{1,16}){1,5}$/, { error: 'region not found' }),
  auth: auth.default({}),
  role: z.string().default(''),
  additionalRoles: z.array(z.string().min(1)).default([]),
  externalID: z.string().default(''),
  sessionTags: z.array(z.object({ key: z.string(), value: z.string() })).default([]),
  transitiveTagKeys: z.array(z.string()).default([]),
  sessionTagsPolicy: z.enum(['', 'None', 'Simple', 'Custom']).default('None'),
  customSessionTags: z
    .record(z.string(), z.string())
    .default({})
    .refine((tags) => !RESERVED_TAGS.some((name) => Object.hasOwn(tags, name)), {
      error: `customSessionTags cannot contain automatically injected reserved keys: ${RESERVED_TAGS.join(', ')}`,
    }),
  prefix: z.string().default(''),
  secretsManager: secretsManager.prefault({}),
});

export type AwsSpec = z.output<typeof awsSpec>;
export type AwsAuth = AwsSpec['auth'];
