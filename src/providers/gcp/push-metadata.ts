/** `metadata` of a push to Google, read strictly, with upstream's fields. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { MANAGED_BY, ownershipBy } from '../../provider/ownership.ts';
import type { PushOptions, PushTarget } from '../../provider/provider.ts';
import { readPushMetadata } from '../../provider/push-metadata.ts';

/** In labels, whose letters are few: lower case, digits, dashes. */
export const ownership = ownershipBy('holdfast-pushed-by', '-');

const reserved = `Cannot specify '${MANAGED_BY}', nor a name that begins with ${ownership.ownerTag('')}`;
const labels = z
  .record(z.string(), z.string())
  .refine((given) => !Object.keys(given).some(ownership.isOurs), { error: reserved });

const spec = z.strictObject({
  annotations: z.record(z.string(), z.string()).optional(),
  labels: labels.optional(),
  /** Of Pub/Sub: "projects/p/topics/t". */
  topics: z.array(z.string().min(1)).default([]),
  mergePolicy: z.enum(['Replace', 'Merge']).default('Replace'),
  cmekKeyName: z.string().default(''),
  replicationLocation: z.string().default(''),
  replicationLocations: z.array(z.string().min(1)).default([]),
});

export type Metadata = z.output<typeof spec>;

/** Undefined where the push has none: then what others set stays. @throws Failure provider.push */
export function metadataOf(
  { property = '' }: PushTarget,
  { metadata }: PushOptions,
  store: string,
  path: string,
): Metadata | undefined {
  if (metadata === undefined || metadata === null) return undefined;
  if (property === '') return readPushMetadata(spec.prefault({}), metadata, store, path);
  const reason = 'cannot specify metadata and property at the same time';
  throw failure('provider.push', { store, path, reason });
}

/** Where copies of a new secret are kept, and under which key. */
export function replicationOf(metadata: Metadata | undefined): unknown {
  const { cmekKeyName = '', replicationLocation = '', replicationLocations = [] } = metadata ?? {};
  const locations =
    replicationLocations.length > 0 || replicationLocation === ''
      ? replicationLocations
      : [replicationLocation];
  const key = cmekKeyName === '' ? {} : { customerManagedEncryption: { kmsKeyName: cmekKeyName } };
  return locations.length === 0
    ? { automatic: key }
    : { userManaged: { replicas: locations.map((location) => ({ location, ...key })) } };
}
