/** How a store logs in: a table of methods, in the order in which upstream picks the first that is set. */

import { failure } from '../../base/errors.ts';
import { byAppRole } from './auth/approle.ts';
import { byCert } from './auth/cert.ts';
import { byGcp } from './auth/gcp.ts';
import { byIam } from './auth/iam.ts';
import { byJwt } from './auth/jwt.ts';
import { byKubernetes } from './auth/kubernetes.ts';
import type { At, Login, Method } from './auth/login.ts';
import { byLdap, byUserPass } from './auth/password.ts';
import type { Given, MethodName, VaultAuth } from './auth/spec.ts';
import { byToken } from './auth/token.ts';

export type { Login } from './auth/login.ts';

interface Entry {
  readonly name: MethodName;
  readonly logIn: (auth: VaultAuth, at: At) => Promise<Login> | undefined;
}

const entry = <Name extends MethodName>(name: Name, by: Method<Given<Name>>): Entry => ({
  name,
  logIn: (auth, at) => {
    const given = auth[name];
    return given === undefined ? undefined : by(given as Given<Name>, at);
  },
});

const METHODS: readonly Entry[] = [
  entry('tokenSecretRef', byToken),
  entry('appRole', byAppRole),
  entry('kubernetes', byKubernetes),
  entry('ldap', byLdap),
  entry('userPass', byUserPass),
  entry('jwt', byJwt),
  entry('cert', byCert),
  entry('iam', byIam),
  entry('gcp', byGcp),
];

/** The method that a store logs in by: the first that is set. */
export const methodOf = (auth: VaultAuth | undefined): MethodName | undefined =>
  METHODS.find(({ name }) => auth?.[name] !== undefined)?.name;

/**
 * Logs in by what a store says.
 * @throws Failure provider.login, provider.unsupported, provider.spec, operator.ref_*; api.*, dial.* where the server, or the
 * cloud that is asked first, is not to be reached
 */
export async function logIn(auth: VaultAuth, at: At): Promise<Login> {
  const { namespace } = auth;
  const own = namespace === undefined ? at : { ...at, client: at.client.with({ namespace }) };
  for (const method of METHODS) {
    const login = method.logIn(auth, own);
    if (login !== undefined) return await login;
  }
  throw failure('provider.spec', {
    store: at.env.store,
    reason: 'cannot initialize Vault client: no valid auth method specified',
  });
}
