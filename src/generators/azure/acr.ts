/**
 * ACRAccessToken: a token of Entra ID, changed at a registry of containers for one of its own; with a scope, that one
 * again for one that may do no more. (Azure Container Registry, "AAD-OAuth")
 */

import { cloudOf } from '../../azure/clouds.ts';
import { azureCredential } from '../../azure/credential.ts';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { acrAccessTokenSpec } from '../../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../../provider/generator.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { sendingBy } from '../../providers/azure/client.ts';
import { type IdentityOptions, identityOf } from '../../providers/azure/identity.ts';
import { type AzureSpec, azureSpec } from '../../providers/azure/spec.ts';

type Spec = ReturnType<typeof acrAccessTokenSpec.parse>;

/** By which a registry knows that the password is a token. */
const USERNAME = '00000000-0000-0000-0000-000000000000';
const HOST = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::\d{1,5})?$/i;

export const createAcrGenerator = (options: IdentityOptions): GeneratorType<Spec> => ({
  kind: 'ACRAccessToken',
  spec: acrAccessTokenSpec,
  async generate(spec, env, _reserve, signal) {
    const token = await entraToken(spec, env, options, signal);
    const refresh = await exchanged(
      spec,
      'exchange',
      { grant_type: 'access_token', service: spec.registry, tenant: spec.tenantId, access_token: token },
      'refresh_token',
      env,
      signal,
    );
    const password =
      spec.scope === ''
        ? refresh
        : await exchanged(
            spec,
            'token',
            {
              grant_type: 'refresh_token',
              service: spec.registry,
              scope: spec.scope,
              refresh_token: refresh,
            },
            'access_token',
            env,
            signal,
          );
    return new Map([
      ['username', utf8(USERNAME)],
      ['password', utf8(password)],
    ]);
  },
});

/** @throws Failure provider.*, operator.ref_*, dial.* */
async function entraToken(
  spec: Spec,
  env: ProviderEnv,
  options: IdentityOptions,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { store } = env;
  const cloud = cloudOf(spec.environmentType || 'PublicCloud');
  if (cloud === undefined)
    throw failure('provider.spec', {
      store,
      reason: `environmentType ${spec.environmentType} has no registries with addresses of its own`,
    });
  const identity = await identityOf(settingsOf(spec, store), env, options);
  const credential = await azureCredential(identity, {
    store,
    send: sendingBy(env),
    authority: cloud.authority,
  });
  const given = await credential.getToken(
    `${cloud.management}/.default`,
    signal === undefined ? {} : { abortSignal: signal },
  );
  return given.token;
}

/** As a store would say it; the first way that is given goes before the others, as in upstream. @throws Failure provider.spec */
function settingsOf({ auth, tenantId, registry }: Spec, store: string): AzureSpec {
  const { servicePrincipal: principal, managedIdentity: managed, workloadIdentity: workload } = auth;
  if (!HOST.test(registry))
    throw failure('provider.spec', { store, reason: 'registry is not the name of a host' });
  const way =
    principal !== undefined
      ? { authType: 'ServicePrincipal', authSecretRef: principal.secretRef }
      : managed !== undefined
        ? { authType: 'ManagedIdentity', identityId: managed.identityId }
        : workload !== undefined
          ? { authType: 'WorkloadIdentity', serviceAccountRef: workload.serviceAccountRef }
          : undefined;
  if (way === undefined)
    throw failure('provider.spec', {
      store,
      reason: 'auth names neither servicePrincipal, managedIdentity nor workloadIdentity',
    });
  const parsed = azureSpec.safeParse({ ...way, vaultUrl: `https://${registry}`, tenantId });
  if (parsed.success) return parsed.data;
  throw failure('provider.spec', { store, reason: parsed.error.issues[0]?.message ?? 'it is wrong' });
}

/** Changes one token for another at the registry. @throws Failure provider.*, dial.* */
async function exchanged(
  { registry }: Spec,
  endpoint: 'exchange' | 'token',
  form: Readonly<Record<string, string>>,
  member: 'refresh_token' | 'access_token',
  env: ProviderEnv,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { store } = env;
  const path = member === 'refresh_token' ? 'a refresh token' : 'an access token';
  const answer = await sendingBy(env)({
    url: `https://${registry}/oauth2/${endpoint}`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    signal: signal ?? new AbortController().signal,
  });
  const reason = `the registry answers ${answer.status}`;
  if (answer.status === 401 || answer.status === 403)
    throw failure('provider.denied', {
      store,
      path,
      reason,
      mend: 'Grant the identity AcrPull or AcrPush at the registry, and ask for no scope beyond that',
    });
  if (answer.status !== 200) throw failure('provider.read', { store, path, reason });
  const token = memberIn(answer.body, member);
  if (token === undefined) throw failure('provider.read', { store, path, reason: 'unable to get token' });
  return token;
}

function memberIn(body: Uint8Array, member: string): string | undefined {
  try {
    const token = (JSON.parse(textOf(body) ?? '') as Readonly<Record<string, unknown>>)[member];
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch {
    return undefined;
  }
}
