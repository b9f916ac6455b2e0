/**
 * `login`: role id and secret id in, a token out. For a role id that stands for nothing as much is read and hashed as for
 * one that does, and the answer is the same, so that neither tells which role ids there are.
 */

import { z } from 'zod';
import { inCidrs } from '../../../base/cidr.ts';
import { failure } from '../../../base/errors.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { loginName, tokenParams } from '../../token-fields.ts';
import type { Roles } from '../role.ts';
import type { SecretIds } from '../secret.ts';

const refused = () => failure('login.refused', { reason: 'invalid role or secret ID' });

export const loginRoute = (mount: Mount, roles: Roles, secrets: SecretIds): Route => ({
  path: 'login',
  access: 'public',
  operations: {
    write: operation({
      summary: 'Log in with a role id and, unless the role needs none, a secret id.',
      input: z.object({ role_id: z.string().max(4096).nullish(), secret_id: z.string().max(4096).nullish() }),
      output: z.object({}),
      effect: 'write',
      lockout: ({ role_id: roleId }) => roleId ?? '',
      async run({ role_id: roleId, secret_id: secretId }, call) {
        if (!roleId) throw failure('approle.missing_role_id');
        const { address } = call.remote;
        const found = await roles.byRoleId(roleId);
        const role = found?.role;
        const needsSecret = role?.bindSecretId ?? true;
        if (needsSecret && !secretId) throw failure('approle.missing_secret_id');
        const stored = needsSecret ? await secrets.find(role?.uuid, secretId ?? '') : undefined;
        if (found === undefined || role === undefined || (needsSecret && stored === undefined))
          throw refused();
        const secret = stored?.secret;

        if (secret !== undefined && !inCidrs(address, secret.cidrs))
          throw failure('approle.address', { address, where: 'secret ID' });
        if (!inCidrs(address, role.secretIdCidrs))
          throw failure('approle.address', { address, where: 'role' });
        const tokenCidrs =
          secret !== undefined && secret.tokenCidrs.length > 0 ? secret.tokenCidrs : role.token.boundCidrs;
        if (!inCidrs(address, tokenCidrs)) throw failure('request.denied');
        if (stored !== undefined && !(await secrets.use(stored))) throw refused();
        const metadata = { ...secret?.metadata, role_name: found.name };
        return {
          auth: {
            displayName: loginName(mount, ''),
            policies: role.token.policies,
            metadata,
            alias: { name: role.roleId, metadata },
            token: { ...tokenParams(role.token), boundCidrs: tokenCidrs },
          },
        };
      },
    }),
  },
});
