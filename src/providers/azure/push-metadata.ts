/** `metadata` of a push to Azure, read strictly, with upstream's fields. */

import { z } from 'zod';
import { MANAGED_BY, ownershipBy } from '../../provider/ownership.ts';
import type { PushOptions } from '../../provider/provider.ts';
import { readPushMetadata } from '../../provider/push-metadata.ts';

/** In tags, by letters that every one of Azure's services takes. */
export const ownership = ownershipBy('holdfast-pushed-by', '-');

/** What 32 bits can say: Azure's library has no more for times, and those after 2038 have to be told from a sign. */
export const MOST_SECONDS = 2 ** 32;

const spec = z
  .strictObject({
    /** Whole seconds, as vaults have them: a finer end would be another one at each push. */
    expirationDate: z.iso
      .datetime({
        offset: true,
        error:
          'error parsing expiration date in metadata. Expected format: YYYY-MM-DDTHH:MM:SSZ (RFC3339). Example: 2024-12-31T20:00:00Z',
      })
      .transform((text) => new Date(Math.floor(Date.parse(text) / 1000) * 1000))
      .refine((date) => date.getTime() > 0 && date.getTime() / 1000 < MOST_SECONDS, {
        error: 'error parsing expiration date in metadata: it has to lie between 1970 and 2106',
      })
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
