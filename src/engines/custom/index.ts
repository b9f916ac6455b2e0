/**
 * Credentials from a source that an administrator brings: anything that makes, prolongs and takes away accounts when it is
 * asked over HTTP. A role says which requests those are; leases see to it that what was made is taken away. The source is
 * trusted with its own credentials and nothing else: it is reached only where the server's own file allows, and what it
 * answers is bounded and read as texts.
 *
 * Storage: `config`, one entry; `role/<name>`, one each.
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
import { Making } from '../making.ts';
import { Credentials } from './credentials.ts';
import type { Role } from './role.ts';
import { configRoute } from './routes/config.ts';
import { credsRoute } from './routes/creds.ts';
import { roleRoutes } from './routes/roles.ts';
import { Source } from './source.ts';

export const custom: PluginType = {
  name: 'custom',
  kind: 'secret',
  create(mount) {
    const source = new Source(mount);
    const roles = new Shelf<Role>(mount, 'role/');
    const credentials = new Credentials(mount, source, roles, new Making());
    return {
      routes: [configRoute(source), ...roleRoutes(roles), credsRoute(roles, credentials)],
      leases: { creds: credentials.leases },
    };
  },
};
