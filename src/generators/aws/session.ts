/** With which keys the generators of AWS ask: those that a store with the same settings would have. */

import type { ProviderEnv } from '../../provider/provider.ts';
import { ownKeys } from '../../providers/aws/aws.ts';
import { clientConfig } from '../../providers/aws/client.ts';
import type { Service } from '../../providers/aws/endpoints.ts';
import { type AwsIdentity, identitySpec, keysOf } from '../../providers/aws/keys.ts';

export interface AwsGeneratorOptions {
  /** Other endpoints than AWS's, by the operator's own settings. */
  readonly endpoint: (service: Service) => string | undefined;
  /** Whether who names no keys may have the operator's own. */
  readonly lendOwnKeys: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Settings of a client of `service`. @throws Failure provider.*, operator.ref_* */
export async function sessionOf(
  service: Service,
  { region, auth, role }: AwsIdentity,
  env: ProviderEnv,
  { endpoint, lendOwnKeys, now }: AwsGeneratorOptions,
) {
  const own = lendOwnKeys ? ownKeys(now) : undefined;
  const keys = await keysOf(identitySpec({ region, auth, role }, env), env, { endpoint, own, now });
  return clientConfig(service, { region, keys, endpoint }, env);
}
