/** With which keys the generators of AWS ask: those that a store with the same settings would have. */

import { failure } from '../../base/errors.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { ownKeys } from '../../providers/aws/aws.ts';
import { clientConfig } from '../../providers/aws/client.ts';
import type { Service } from '../../providers/aws/endpoints.ts';
import { keysOf } from '../../providers/aws/keys.ts';
import { awsSpec } from '../../providers/aws/spec.ts';

export interface AwsGeneratorOptions {
  /** Other endpoints than AWS's, by the operator's own settings. */
  readonly endpoint: (service: Service) => string | undefined;
  /** Whether who names no keys may have the operator's own. */
  readonly lendOwnKeys: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Asked {
  readonly region: string;
  readonly auth: object;
  readonly role: string;
}

/** Settings of a client of `service`. @throws Failure provider.*, operator.ref_* */
export async function sessionOf(
  service: Service,
  { region, auth, role }: Asked,
  env: ProviderEnv,
  { endpoint, lendOwnKeys, now }: AwsGeneratorOptions,
) {
  const parsed = awsSpec.safeParse({ service: 'SecretsManager', region, auth, role });
  if (!parsed.success)
    throw failure('provider.spec', {
      store: env.store,
      reason: parsed.error.issues[0]?.message ?? 'its settings are wrong',
    });
  const own = lendOwnKeys ? ownKeys(now) : undefined;
  const keys = await keysOf(parsed.data, env, { endpoint, own, now });
  return clientConfig(service, { region, keys, endpoint }, env);
}
