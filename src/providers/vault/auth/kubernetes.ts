/** `auth.kubernetes`: the token of a service account, asked for or out of a Secret. */

import { failure } from '../../../base/errors.ts';
import { ask, isRefusal, type Login, type Method, mountOf, textAt, told } from './login.ts';
import type { Given } from './spec.ts';

const TOKEN_SECONDS = 600;

/** @throws Failure provider.login, provider.spec, provider.unsupported, operator.ref_*; api.* where the server is not to be reached */
export const byKubernetes: Method<Given<'kubernetes'>> = async (given, at) => {
  const { env, clouds } = at;
  const { serviceAccountRef: account, secretRef } = given;
  const mount = mountOf(given.mountPath);
  const role = given.role.trim();
  const attempt = (jwt: string): Promise<Login> => ask(at, { mount, body: { role, jwt } });
  try {
    if (account !== undefined) {
      const request = (audiences: readonly string[]): Promise<string> =>
        env.serviceAccountToken({
          name: account.name,
          ...(account.namespace === undefined ? {} : { namespace: account.namespace }),
          audiences,
          expirationSeconds: TOKEN_SECONDS,
        });
      const audiences = account.audiences ?? given.audiences ?? [];
      try {
        return await attempt(await request(audiences));
      } catch (error) {
        // No audience named means the cluster's own, as upstream has it; a role that is bound to "vault", the usual
        // one, refuses that. Asking again costs a request and gives nothing to a server that had no token before.
        if (audiences.length > 0 || !isRefusal(error)) throw error;
        return await attempt(await request(['vault']));
      }
    }
    if (secretRef !== undefined)
      return await attempt(await textAt(env, { ...secretRef, key: secretRef.key ?? 'token' }, 'token'));
    if (env.cluster && clouds.cluster !== undefined) return await attempt(await clouds.cluster(env));
  } catch (error) {
    throw told(
      error,
      env,
      `Check that auth/${mount} is enabled and that its role ${JSON.stringify(role)} is bound to this service account, its namespace and audience.`,
    );
  }
  // Upstream would send the operator's own token, which would let every tenant log in as the operator.
  throw failure('provider.unsupported', {
    store: env.store,
    reason: 'auth.kubernetes names neither a serviceAccountRef nor a secretRef',
    mend: "Name one of them. A ClusterSecretStore may do without where the operator runs with -lend-own-keys: it shows the operator's own token then.",
  });
};
