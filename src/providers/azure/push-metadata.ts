/** `metadata` of a push to Azure, read strictly, with upstream's fields. */

import { z } from 'zod';
import { MANAGED_BY, ownershipBy } from '../../provider/ownership.ts';
import type { PushOptions } from '../../provider/provider.ts';
import { readPushMetadata } from '../../provider/push-metadata.ts';

/** In tags, by letters that every one of Azure's services takes. */
export const ownership = ownershipBy('holdfast-pushed-by', '-');

const spec = z
  .strictObject({
    expirationDate: z.iso
      .datetime({
        offset: true,
        error:
          'error parsing expiration date in metadata. Expected format: YYYY-MM-DDTHH:MM:SSZ (RFC3339). Example: 2024-12-31T20:00:00Z',
      })
      .transform((text) => new Date(text))
      .optional(),
    contentType: z.string().min(1).optional(),
    tags: z
      .record(z.string(), z.string())
      .refine((tags) => !Object.keys(tags).some(ownership.isOurs), {
        error: `error parsing tags in metadata: Cannot specify a '${MANAGED_BY}' tag, nor one of ${ownership.ownerTag('')}`,
      })
      .optional(),
  })
  .prefault({});

export type Metadata = z.output<typeof spec>;

/** @throws Failure provider.push */
export const metadataOf = (options: PushOptions, store: string, path: string): Metadata =>
  readPushMetadata(spec, options.metadata, store, path);
