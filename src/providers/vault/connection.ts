/** How the server of a store is reached: its address, whom it is trusted by, and what every request carries. */

import { failure } from '../../base/errors.ts';
import type { ClientOptions } from '../../client/client.ts';
import { authorityOf } from '../../provider/authority.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { type ClientPair, clientPairOf } from './auth/cert.ts';
import { methodOf } from './auth.ts';
import type { VaultSpec } from './spec.ts';

type Connecting =
  | 'server'
  | 'namespace'
  | 'headers'
  | 'readYourWrites'
  | 'forwardInconsistent'
  | 'caBundle'
  | 'caProvider'
  | 'tls'
  | 'auth';

/** What a store's settings say of how its server is reached. @throws Failure provider.spec, operator.ref_* */
export async function connectionOf(
  spec: Pick<VaultSpec, Connecting>,
  env: ProviderEnv,
): Promise<ClientOptions> {
  const { certSecretRef, keySecretRef } = spec.tls ?? {};
  const secret = async (ref: NonNullable<typeof certSecretRef>, key: string): Promise<Uint8Array> =>
    env.secretKey({
      name: ref.name,
      key: ref.key ?? key,
      ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
    });
  const shown = await shownBy(spec, env);
  const inconsistent = spec.readYourWrites === true && spec.forwardInconsistent === true;
  return {
    address: spec.server,
    namespace: spec.namespace,
    headers: { ...spec.headers, ...(inconsistent ? { 'X-Vault-Inconsistent': 'forward-active-node' } : {}) },
    ca: await authorityOf(spec, env),
    clientCert:
      shown?.clientCert ?? (certSecretRef === undefined ? undefined : await secret(certSecretRef, 'tls.crt')),
    clientKey:
      shown?.clientKey ?? (keySecretRef === undefined ? undefined : await secret(keySecretRef, 'tls.key')),
    timeoutMs: 30_000,
    // Settings without a number of retries mean none, as upstream has it.
    retries: env.retry === undefined ? undefined : (env.retry.maxRetries ?? 0),
    retryWaitMs: env.retry?.retryIntervalMs,
    // Whoever asks has a queue, which has all users of the store wait: here each would wait and ask for itself.
    longestAskedMs: 0,
    resolve: (host, port) => env.resolve(host, port),
    allow: env.wayOut.mayReach,
    ended: (request, ok, ms) => env.called?.(request, ok, ms),
  };
}

/** The certificate that a store logs in by, which goes before that of `tls`. @throws as `clientPairOf` */
async function shownBy(
  { auth, tls }: Pick<VaultSpec, 'auth' | 'tls'>,
  env: ProviderEnv,
): Promise<ClientPair | undefined> {
  if (methodOf(auth) !== 'cert' || auth?.cert === undefined) return undefined;
  const pair = await clientPairOf(auth.cert, env);
  if (pair === undefined && (tls?.certSecretRef === undefined || tls.keySecretRef === undefined))
    throw failure('provider.spec', {
      store: env.store,
      reason: 'auth.cert names no certificate: give clientCert and secretRef, or tls of the store',
    });
  return pair;
}
