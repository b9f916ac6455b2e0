/** `spec.provider.gcpsm` of a store, as upstream's v1 schema has it. */

import { z } from 'zod';
import { googleAuth } from '../../gcp/spec.ts';

export const gcpSpec = z.object({
  auth: googleAuth.prefault({}),
  /** Becomes a part of a path. */
  projectID: z
    .string()
    .regex(/^[A-Za-z0-9.:-]*$/)
    .refine((id) => !/^\.+$/.test(id))
    .default(''),
  /** Becomes a part of a host's name, so it may be nothing but a label. */
  location: z
    .string()
    .regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$/, { error: 'location not found' })
    .default(''),
  secretVersionSelectionPolicy: z.enum(['', 'LatestOrFail', 'LatestOrFetch']).default('LatestOrFail'),
});

export type GcpSpec = z.output<typeof gcpSpec>;
