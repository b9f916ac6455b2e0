/** `auth.jwt`: a token that somebody else signed, out of a Secret, or of a service account of the cluster. */

import { failure } from '../../../base/errors.ts';
import type { ProviderEnv } from '../../../provider/provider.ts';
import { askOr, type Method, mountOf, textAt } from './login.ts';
import type { Given } from './spec.ts';

/** @throws Failure provider.login, provider.spec, operator.ref_*; api.* where the server is not to be reached */
export const byJwt: Method<Given<'jwt'>> = async (given, at) => {
  const mount = mountOf(given.path);
  const role = given.role.trim();
  const jwt = await shown(given, at.env);
  const whose = role === '' ? 'its default role' : `its role ${JSON.stringify(role)}`;
  return await askOr(
    `Check that auth/${mount} is enabled, and that ${whose} takes tokens of this issuer, audience and subject, and that the token has not expired.`,
    at,
    { mount, body: { role, jwt } },
  );
};

async function shown(
  { secretRef, kubernetesServiceAccountToken: asked }: Given<'jwt'>,
  env: ProviderEnv,
): Promise<string> {
  // The Secret goes first, as upstream has it.
  if (secretRef !== undefined) return await textAt(env, secretRef, 'token');
  if (asked === undefined) throw failure('base.internal');
  const { serviceAccountRef: account, audiences, expirationSeconds } = asked;
  return await env.serviceAccountToken({
    name: account.name,
    ...(account.namespace === undefined ? {} : { namespace: account.namespace }),
    audiences: [...new Set([...(account.audiences ?? []), ...audiences])],
    expirationSeconds,
  });
}
