/** `metadata` of a push to AWS, read strictly, with upstream's defaults. */

import { z } from 'zod';
import type { PushOptions } from '../../provider/provider.ts';
import { readPushMetadata } from '../../provider/push-metadata.ts';
import { isOurs, MANAGED_BY } from './ownership.ts';

const DESCRIPTION = "secret 'managed-by:external-secrets'";

const tags = z
  .record(z.string(), z.string())
  .refine((given) => !Object.keys(given).some(isOurs), {
    error: `error parsing tags in metadata: Cannot specify a '${MANAGED_BY}' tag, nor one of holdfast.dev/pushed-by`,
  })
  .optional();

const secretSpec = z
  .strictObject({
    tags,
    description: z.string().default(DESCRIPTION),
    secretPushFormat: z.enum(['binary', 'string']).default('binary'),
    kmsKeyId: z.string().default('alias/aws/secretsmanager'),
    resourcePolicy: z
      .strictObject({
        blockPublicPolicy: z.boolean().optional(),
        policySourceRef: z.strictObject({
          kind: z.enum(['ConfigMap', 'Secret']),
          name: z.string().min(1),
          key: z.string().min(1),
        }),
      })
      .optional(),
    replicationLocations: z.array(z.string().min(1)).optional(),
  })
  .prefault({});

const parameterSpec = z
  .strictObject({
    tags,
    description: z.string().default(DESCRIPTION),
    secretType: z.enum(['String', 'StringList', 'SecureString']).default('String'),
    kmsKeyID: z.string().default('alias/aws/ssm'),
    tier: z
      .strictObject({
        type: z.enum(['Standard', 'Advanced', 'Intelligent-Tiering']).default('Standard'),
        policies: z.json().optional(),
      })
      .prefault({}),
    /** Whether the values of a whole Secret are written as texts; upstream writes them in base64 without it. */
    encodeAsDecoded: z.boolean().default(false),
  })
  .prefault({});

export type SecretMetadata = z.output<typeof secretSpec>;
export type ParameterMetadata = z.output<typeof parameterSpec>;

/** @throws Failure provider.push */
export const secretMetadata = (options: PushOptions, store: string, path: string): SecretMetadata =>
  readPushMetadata(secretSpec, options.metadata, store, path);

/** @throws Failure provider.push */
export const parameterMetadata = (options: PushOptions, store: string, path: string): ParameterMetadata =>
  readPushMetadata(parameterSpec, options.metadata, store, path);
