/**
 * Login with signed tokens of others: brought as they are (`jwt`), or fetched by a person who logs in at an OpenID Connect
 * provider (`oidc`). Both types are one method under two names, as the Vault HTTP API has it. What a token says is believed
 * because a key that the configuration leads to signed it, and for as long as its own times allow.
 *
 * Storage: `config`, one entry; `role/<name>`, one each. Logins under way are in memory alone.
 */

import { failure } from '../../base/errors.ts';
import type { PluginType } from '../../plugin/plugin.ts';
import { tokenParams } from '../token-fields.ts';
import { PendingLogins } from './pending.ts';
import { rolesOf } from './role.ts';
import { configRoute } from './routes/config.ts';
import { loginRoute } from './routes/login.ts';
import { oidcRoutes } from './routes/oidc.ts';
import { roleRoutes } from './routes/role.ts';
import { Trust } from './trusted.ts';

const named = (name: 'jwt' | 'oidc'): PluginType => ({
  name,
  kind: 'auth',
  create(mount) {
    const trust = new Trust(mount);
    const logins = new PendingLogins(mount);
    return {
      routes: [
        configRoute(mount, trust),
        ...roleRoutes(mount),
        loginRoute(mount, trust),
        ...oidcRoutes(mount, trust, logins),
      ],
      async renewLogin({ metadata }) {
        const name = metadata['role'] ?? '';
        const role = await rolesOf(mount).get(name);
        if (role === undefined) throw failure('jwt.gone', { name });
        return tokenParams(role.token);
      },
    };
  },
});

export const jwt: PluginType = named('jwt');
export const oidc: PluginType = named('oidc');
