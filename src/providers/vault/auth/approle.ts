/** `auth.appRole`: a role id, which may stand in the store, and a secret id, which may not. */

import { askOr, type Method, mountOf, textAt } from './login.ts';
import type { Given } from './spec.ts';

/** @throws Failure provider.login, provider.spec, operator.ref_*; api.* where the server is not to be reached */
export const byAppRole: Method<Given<'appRole'>> = async ({ path, roleId, roleRef, secretRef }, at) => {
  const mount = mountOf(path);
  const given = roleId.trim();
  // The schema wants one of both; the role id that stands in the store goes first, as upstream has it.
  const role_id = given !== '' || roleRef === undefined ? given : await textAt(at.env, roleRef, 'role id');
  const secret_id = await textAt(at.env, secretRef, 'secret id');
  return await askOr(
    `Check that auth/${mount} is enabled, that the secret id in Secret ${secretRef.name} is one of this role, and that it is neither used up nor expired nor bound to other addresses.`,
    at,
    { mount, body: { role_id, secret_id } },
  );
};
