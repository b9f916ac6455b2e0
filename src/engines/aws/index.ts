/**
 * The AWS engine, as the Vault HTTP API has it: IAM users that are made under a lease, sessions of STS, and access keys of users
 * that exist already, rotated. It trusts the administrator who wrote the access key and the roles; not the names that callers
 * bring, and of what AWS answers only the names of its errors go on.
 *
 * Storage: `config/root` and `config/lease`; `role/<name>` and `static/<name>`, one each; `refused/<id>` for users that AWS
 * did not make (`credentials.ts`).
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
import { Making } from '../making.ts';
import { Aws } from './client.ts';
import { Settings } from './config.ts';
import { Credentials } from './credentials.ts';
import { Span } from './lease.ts';
import type { Role } from './role.ts';
import { RootKey } from './rootkey.ts';
import { configRoutes } from './routes/config.ts';
import { credsRoutes } from './routes/creds.ts';
import { roleRoutes } from './routes/roles.ts';
import { staticRoutes } from './routes/static.ts';
import { StaticKeys } from './static.ts';

/** How often what is kept is looked through: no key is rotated more often. */
const REST_MS = 60_000;

export const aws: PluginType = {
  name: 'aws',
  kind: 'secret',
  create(mount) {
    const settings = new Settings(mount);
    const client = new Aws(mount.dial, settings);
    const span = new Span(mount);
    const roles = new Shelf<Role>(mount, 'role/');
    const credentials = new Credentials(mount, client, settings, span, new Making());
    const root = new RootKey(mount, client, settings);
    const keys = new StaticKeys(mount, client);
    return {
      routes: [
        ...configRoutes(settings, root, span),
        ...roleRoutes(roles),
        ...credsRoutes(mount, roles, credentials),
        ...staticRoutes(keys),
      ],
      leases: { user: credentials.users, sts: credentials.sessions },
      async tick() {
        const next = [await root.tick(), await keys.tick(), mount.clock.now() + REST_MS];
        return new Date(Math.min(...next));
      },
    };
  },
};
