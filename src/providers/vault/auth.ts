/** How a store logs in: a table of methods, in the order in which upstream picks the first that is set. */

import { textOf } from '../../base/bytes.ts';
import { asFailure, Failure, failure, isFailure } from '../../base/errors.ts';
import { login } from '../../client/auth.ts';
import type { VaultClient } from '../../client/client.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import type { VaultAuth } from './spec.ts';

export interface Login {
  readonly token: string;
  readonly policies: readonly string[];
  /** Seconds; 0: it does not end, or nobody said. */
  readonly leaseSeconds: number;
  readonly renewable: boolean;
  /** Whether the token was made for us, and is ours to revoke. */
  readonly ours: boolean;
}

type Method = (
  auth: VaultAuth,
  client: VaultClient,
  env: ProviderEnv,
  signal?: AbortSignal,
) => Promise<Login>;

const notYet =
  (name: string): Method =>
  async (_auth, _client, env) => {
    throw failure('provider.unsupported', {
      store: env.store,
      reason: `this build does not log in by auth.${name}`,
      mend: 'It logs in by auth.kubernetes and auth.tokenSecretRef.',
    });
  };

const METHODS: readonly (readonly [Exclude<keyof VaultAuth, 'namespace'>, Method])[] = [
  ['tokenSecretRef', byToken],
  ['appRole', notYet('appRole')],
  ['kubernetes', byKubernetes],
  ['ldap', notYet('ldap')],
  ['userPass', notYet('userPass')],
  ['jwt', notYet('jwt')],
  ['cert', notYet('cert')],
  ['iam', notYet('iam')],
  ['gcp', notYet('gcp')],
];

/** @throws Failure provider.login, provider.unsupported, provider.spec; api.* where the server is not to be reached */
export async function logIn(
  auth: VaultAuth,
  client: VaultClient,
  env: ProviderEnv,
  signal?: AbortSignal,
): Promise<Login> {
  const method = METHODS.find(([name]) => auth[name] !== undefined)?.[1];
  if (method === undefined)
    throw failure('provider.spec', {
      store: env.store,
      reason: 'cannot initialize Vault client: no valid auth method specified',
    });
  const own = auth.namespace === undefined ? client : client.with({ namespace: auth.namespace });
  return await method(auth, own, env, signal);
}

async function byToken(auth: VaultAuth, _client: VaultClient, env: ProviderEnv): Promise<Login> {
  const ref = auth.tokenSecretRef;
  const token = ref === undefined ? '' : await text(env, { ...ref, key: ref.key ?? 'token' });
  return { token, policies: [], leaseSeconds: 0, renewable: false, ours: false };
}

async function byKubernetes(
  auth: VaultAuth,
  client: VaultClient,
  env: ProviderEnv,
  signal?: AbortSignal,
): Promise<Login> {
  const given = auth.kubernetes;
  if (given === undefined) throw failure('base.internal');
  const mount = given.mountPath.replace(/^\/+|\/+$/g, '');
  const role = given.role.trim();
  const attempt = async (jwt: string): Promise<Login> => {
    const granted = await login(
      client,
      mount,
      { role, jwt },
      { ...(signal === undefined ? {} : { signal }) },
    );
    return {
      token: granted.clientToken,
      policies: granted.policies,
      leaseSeconds: granted.leaseSeconds,
      renewable: granted.renewable,
      ours: true,
    };
  };
  const { serviceAccountRef: account, secretRef } = given;
  try {
    if (account !== undefined) {
      const request = (audiences: readonly string[]): Promise<string> =>
        env.serviceAccountToken({
          name: account.name,
          ...(account.namespace === undefined ? {} : { namespace: account.namespace }),
          audiences,
          expirationSeconds: 600,
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
      return await attempt(await text(env, { ...secretRef, key: secretRef.key ?? 'token' }));
  } catch (error) {
    throw told(error, env, `auth/${mount}`, role);
  }
  // Upstream would send the operator's own token, which would let every tenant log in as the operator.
  throw failure('provider.spec', {
    store: env.store,
    reason: 'auth.kubernetes names neither a serviceAccountRef nor a secretRef',
  });
}

const isRefusal = (error: unknown): boolean =>
  isFailure(error, 'api.denied') || isFailure(error, 'api.invalid') || isFailure(error, 'api.internal');

/** A refused login as the store's failure; a server that is away or sealed stays what it is. */
function told(error: unknown, env: ProviderEnv, mount: string, role: string): Failure {
  const cause = asFailure(error);
  if (!isRefusal(cause) && cause.code !== 'api.missing') return cause;
  return new Failure(
    'provider.login',
    {
      store: env.store,
      reason: cause.message,
      mend: `Check that ${mount} is enabled and that its role ${JSON.stringify(role)} is bound to this service account, its namespace and audience.`,
    },
    { cause },
  );
}

async function text(
  env: ProviderEnv,
  ref: { readonly name: string; readonly key: string; readonly namespace?: string | undefined },
): Promise<string> {
  const { name, key, namespace } = ref;
  const bytes = await env.secretKey({ name, key, ...(namespace === undefined ? {} : { namespace }) });
  const read = textOf(bytes)?.trim();
  if (read === undefined || read === '')
    throw failure('provider.spec', {
      store: env.store,
      reason: `the key ${key} of Secret ${name} holds no token`,
    });
  return read;
}
