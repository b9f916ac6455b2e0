/** How a store logs in: a table of methods, in the order in which upstream picks the first that is set. */

import { failure } from '../../base/errors.ts';
import { byAppRole } from './auth/approle.ts';
import { byCert } from './auth/cert.ts';
import { byJwt } from './auth/jwt.ts';
import { byKubernetes } from './auth/kubernetes.ts';
import type { At, Login, Method } from './auth/login.ts';
import { byLdap, byUserPass } from './auth/password.ts';
import type { Given, MethodName, VaultAuth } from './auth/spec.ts';
import { byToken } from './auth/token.ts';

export type { Login } from './auth/login.ts';

interface Entry {
  readonly name: MethodName;
  readonly built: boolean;
  readonly logIn: (auth: VaultAuth, at: At) => Promise<Login> | undefined;
}

const entry = <Name extends MethodName>(name: Name, by: Method<Given<Name>>, built = true): Entry => ({
  name,
  built,
  logIn: (auth, at) => {
    const given = auth[name];
    return given === undefined ? undefined : by(given as Given<Name>, at);
  },
});

const notYet = (name: MethodName): Entry => {
  const refuse = async (_given: unknown, { env }: At): Promise<never> => {
    const known = METHODS.filter(({ built }) => built).map((method) => `auth.${method.name}`);
    throw failure('provider.unsupported', {
      store: env.store,
      reason: `this build does not log in by auth.${name}`,
      mend: `It logs in by ${known.slice(0, -1).join(', ')} and ${known.at(-1)}.`,
    });
  };
  return entry(name, refuse, false);
};

const METHODS: readonly Entry[] = [
  entry('tokenSecretRef', byToken),
  entry('appRole', byAppRole),
  entry('kubernetes', byKubernetes),
  entry('ldap', byLdap),
  entry('userPass', byUserPass),
  entry('jwt', byJwt),
  entry('cert', byCert),
  notYet('iam'),
  notYet('gcp'),
];

/** The method that a store logs in by: the first that is set. */
export const methodOf = (auth: VaultAuth | undefined): MethodName | undefined =>
  METHODS.find(({ name }) => auth?.[name] !== undefined)?.name;

/** @throws Failure provider.login, provider.unsupported, provider.spec; api.* where the server is not to be reached */
export async function logIn(
  auth: VaultAuth,
  client: At['client'],
  env: At['env'],
  signal?: AbortSignal,
): Promise<Login> {
  const own = auth.namespace === undefined ? client : client.with({ namespace: auth.namespace });
  for (const method of METHODS) {
    const login = method.logIn(auth, { client: own, env, signal });
    if (login !== undefined) return await login;
  }
  throw failure('provider.spec', {
    store: env.store,
    reason: 'cannot initialize Vault client: no valid auth method specified',
  });
}
