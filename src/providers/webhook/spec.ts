/** `spec.provider.webhook` of a store, as upstream's v1 schema has it. */

import { z } from 'zod';
import { type Milliseconds, parseDuration } from '../../base/duration.ts';

const secretRef = z.object({
  name: z.string().min(1, { error: 'name cannot be empty' }),
  key: z.string().optional(),
  namespace: z.string().optional(),
});

const LONGEST_MS = 5 * 60_000;

/** A Go duration into milliseconds; "0s" is the default, as for Go's own client it is none. */
const timeout = z.string().transform((text, context): Milliseconds | undefined => {
  try {
    const ms = parseDuration(text);
    if (ms >= 0 && ms <= LONGEST_MS) return ms === 0 ? undefined : ms;
  } catch {
    // Told below, with what is meant.
  }
  context.addIssue({ code: 'custom', message: 'is not a duration up to 5m, such as "10s"' });
  return z.NEVER;
});

export const webhookSpec = z.object({
  /** Absent or empty: GET to read, POST to push. */
  method: z
    .string()
    .regex(/^[A-Za-z]{0,16}$/, { error: 'is not the name of an HTTP method' })
    .transform((method) => (method === '' ? undefined : method.toUpperCase()))
    .optional(),
  url: z.string().min(1, { error: 'url cannot be empty' }),
  headers: z
    .record(
      z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'is not the name of a header' }),
      z.string(),
    )
    .default({}),
  body: z.string().default(''),
  timeout: timeout.optional(),
  result: z.object({ jsonPath: z.string().default('') }).prefault({}),
  /** What the templates may name: `.<name>.<key>`. */
  secrets: z.array(z.object({ name: z.string().min(1), secretRef })).default([]),
  auth: z.object({ ntlm: z.looseObject({}).optional() }).optional(),
  caBundle: z.string().optional(),
  caProvider: z
    .object({
      type: z.enum(['Secret', 'ConfigMap']),
      name: z.string().min(1),
      key: z.string().optional(),
      namespace: z.string().optional(),
    })
    .optional(),
});

export type WebhookSpec = z.output<typeof webhookSpec>;
