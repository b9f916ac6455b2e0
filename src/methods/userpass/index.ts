/**
 * Login with a name and a password. Whether a name exists shows neither in the answer nor in the time it takes, and the
 * server locks names, real or not, that are guessed at. Names have no case.
 *
 * Storage: `user/<name>`, one each.
 */

import { z } from 'zod';
import { inCidrs } from '../../base/cidr.ts';
import { failure } from '../../base/errors.ts';
import { type Mount, operation, type PluginType, type Route } from '../../plugin/plugin.ts';
import type { Shelf } from '../../plugin/shelf.ts';
import { loginName, samePolicies, tokenParams } from '../token-fields.ts';
import { isPassword } from './password.ts';
import { userRoutes } from './routes.ts';
import { type User, usersOf } from './user.ts';

export const userpass: PluginType = {
  name: 'userpass',
  kind: 'auth',
  create(mount) {
    const users = usersOf(mount);
    return {
      routes: [...userRoutes(users), loginRoute(mount, users)],
      async renewLogin({ metadata, policies }) {
        const user = await users.get(metadata['username'] ?? '');
        if (user === undefined) throw failure('userpass.unknown_user');
        if (!samePolicies(user.token, policies)) throw failure('login.changed');
        return tokenParams(user.token);
      },
    };
  },
};

const loginRoute = (mount: Mount, users: Shelf<User>): Route => ({
  path: 'login/:username',
  access: 'public',
  lowercase: ['username'],
  operations: {
    write: operation({
      summary: 'Log in with a password.',
      input: z.object({ username: z.string().max(512), password: z.string().max(1024).nullish() }),
      output: z.object({}),
      effect: 'write',
      lockout: ({ username }) => username,
      async run({ username, password }, call) {
        if (!password) throw failure('userpass.missing_password');
        const user = await users.get(username);
        if (!(await isPassword(password, user?.passwordHash)) || user === undefined)
          throw failure('login.refused', { reason: 'invalid username or password' });
        if (!inCidrs(call.remote.address, user.token.boundCidrs)) throw failure('request.denied');
        return {
          auth: {
            displayName: loginName(mount, username),
            policies: user.token.policies,
            metadata: { username },
            alias: { name: username },
            token: tokenParams(user.token),
          },
        };
      },
    }),
  },
});
