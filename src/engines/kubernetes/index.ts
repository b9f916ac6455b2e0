/**
 * The Kubernetes engine, as the Vault HTTP API has it: tokens of service accounts under a lease, of accounts that exist or of
 * accounts made for the one who asks, bound to a role that exists or to one that is made as well. It trusts the cluster that
 * the configuration names, over TLS under its CA, and the administrator who wrote a role; not the names that callers bring.
 *
 * Storage: `config`, one entry; `role/<name>`, one each; `halted/<id>` for what failed half-way (`credentials.ts`).
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
import { Making } from '../making.ts';
import { Cluster } from './cluster.ts';
import { type Pod, Settings } from './config.ts';
import { Credentials } from './credentials.ts';
import type { Role } from './role.ts';
import { configRoutes } from './routes/config.ts';
import { credsRoute } from './routes/creds.ts';
import { roleRoutes } from './routes/roles.ts';

export type { Pod } from './config.ts';

/** @param pod what the pod that the server runs in was given; empty outside of one */
export const kubernetesTokens = (pod: Pod = {}): PluginType => ({
  name: 'kubernetes',
  kind: 'secret',
  create(mount) {
    const settings = new Settings(mount, pod);
    const cluster = new Cluster(mount.dial, settings);
    const roles = new Shelf<Role>(mount, 'role/');
    const credentials = new Credentials(mount, cluster, new Making());
    return {
      routes: [...configRoutes(settings), ...roleRoutes(roles), credsRoute(roles, credentials)],
      leases: { token: credentials.leases },
    };
  },
});
