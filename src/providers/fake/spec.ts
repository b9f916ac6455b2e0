/** `spec.provider.fake` of a store, as upstream's v1 has it, and the `valueMap` of older manifests. */

import { z } from 'zod';

const entry = z
  .object({
    key: z.string().min(1, { error: 'key must be set in data' }),
    value: z.string().optional(),
    /** An object instead of a value; upstream had it until v1. */
    valueMap: z.record(z.string(), z.string()).optional(),
    version: z.string().default(''),
  })
  .refine(({ value = '', valueMap }) => value !== '' || valueMap !== undefined, {
    error: 'at least one value must be set in data',
  });

export const fakeSpec = z.object({
  data: z.array(entry).default([]),
  /** What its check says: 0 ready, 1 unknown, 2 wrong. */
  validationResult: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(0),
});

export type FakeSpec = z.output<typeof fakeSpec>;
