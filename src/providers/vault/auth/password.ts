/** `auth.userPass` and `auth.ldap`: a name and its password. One login endpoint, whoever knows the password. */

import { askOr, type Method, mountOf, verbatimAt } from './login.ts';
import type { Given } from './spec.ts';

type Passworded = Given<'userPass'> | Given<'ldap'>;

const byPassword =
  (whoKnows: string): Method<Passworded> =>
  async ({ path, username, secretRef }, at) => {
    const mount = mountOf(path);
    const name = username.trim();
    const password = await verbatimAt(at.env, secretRef, 'password');
    return await askOr(
      `Check that auth/${mount} is enabled, and that ${whoKnows} knows the user ${JSON.stringify(name)} by the password in Secret ${secretRef.name}, to the last character: a line break at its end is sent too.`,
      at,
      { mount, name, body: { password } },
    );
  };

/** @throws Failure provider.login, provider.spec, operator.ref_*; api.* where the server is not to be reached */
export const byUserPass: Method<Given<'userPass'>> = byPassword('it');

/** @throws as `byUserPass` */
export const byLdap: Method<Given<'ldap'>> = byPassword('its directory');
