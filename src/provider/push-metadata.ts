/** `metadata` of a push: an object that upstream reads strictly, with a `spec` of each provider's own. */

import { z } from 'zod';
import { failure } from '../base/errors.ts';

const API_VERSION = 'kubernetes.external-secrets.io/v1alpha1';
const KIND = 'PushSecretMetadata';

/**
 * @param spec the schema of the provider's own part, which also says what holds where nothing is given
 * @throws Failure provider.push naming the member that is wrong
 */
export function readPushMetadata<S extends z.ZodType>(
  spec: S,
  given: unknown,
  store: string,
  path: string,
): z.output<S> {
  const schema = z.strictObject({ apiVersion: z.literal(API_VERSION), kind: z.literal(KIND), spec });
  const result = schema.safeParse(given ?? { apiVersion: API_VERSION, kind: KIND });
  if (result.success) return (result.data as { spec: z.output<S> }).spec;
  const [issue] = result.error.issues;
  const reason = `failed to parse metadata: ${issue?.path.join('.')}: ${issue?.message}`;
  throw failure('provider.push', { store, path, reason });
}
