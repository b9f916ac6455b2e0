/**
 * Access tokens of Google: for the key of a service account, for a service account of Kubernetes on GKE (workload identity),
 * for what another issuer gave (workload identity federation), or the operator's own, where it lends them. Each is renewed
 * before it ends. Nothing is taken from the environment, from files or from the machine but for the last.
 */

import { failure } from '../base/errors.ts';
import { renewed } from '../base/renewed.ts';
import { federated } from './federation.ts';
import { onGke } from './gke.ts';
import { byKey } from './key.ts';
import type { GoogleAuthSpec } from './spec.ts';
import { CLOUD_PLATFORM, type GoogleEnv, type TokenOptions, type TokenSource, tokenOf } from './token.ts';
import type { GoogleWay } from './transport.ts';

/** Where the tokens of an identity come from. @throws Failure provider.*, operator.ref_* for what its settings lack */
export async function googleTokens(
  auth: GoogleAuthSpec,
  env: GoogleEnv,
  options: TokenOptions,
): Promise<TokenSource> {
  const way: GoogleWay = { store: env.store, dial: env.wayOut.dial, endpoints: options.endpoints };
  const fetch = await sourceOf(auth, env, way, options);
  return renewed({ fetch, now: options.now, endsAt: ({ expiresAt }) => expiresAt });
}

async function sourceOf(
  auth: GoogleAuthSpec,
  env: GoogleEnv,
  way: GoogleWay,
  options: TokenOptions,
): Promise<TokenSource> {
  if (auth.secretRef !== undefined) return byKey(auth.secretRef, env, way, options);
  if (auth.workloadIdentity !== undefined) return onGke(auth.workloadIdentity, env, way, options);
  if (auth.workloadIdentityFederation !== undefined)
    return federated(auth.workloadIdentityFederation, env, way, options);
  if (options.lendOwnKeys) return ownTokens(env.store, options);
  throw failure('provider.unsupported', {
    store: env.store,
    reason: 'it names no identity of Google, and this operator lends its own to nobody',
    mend: 'Give auth.secretRef, auth.workloadIdentity or auth.workloadIdentityFederation.',
  });
}

/** The operator's own identity: of a file, of the machine or of the pod. */
function ownTokens(store: string, { now }: TokenOptions): TokenSource {
  return async () => {
    const { GoogleAuth } = await import('./sdk.ts');
    const mend = 'Give the operator an identity of Google, or the store one of its own.';
    const client = await new GoogleAuth({ scopes: [CLOUD_PLATFORM] }).getClient().catch(() => {
      throw failure('provider.login', { store, reason: 'the operator has no identity of Google', mend });
    });
    return tokenOf(client, store, undefined, now);
  };
}
