/**
 * Login with the token of a Kubernetes service account, as the Vault HTTP API has it. Nothing that the token says of itself
 * is believed before the cluster's API server has reviewed it; what the server says is believed because the
 * connection to it is TLS under the configured CA.
 *
 * Storage: `config`, one entry; `role/<name>`, one each.
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { type ReadLocal, Settings } from './config.ts';
import { Reviewer } from './review.ts';
import { rolesOf } from './role.ts';
import { configRoute } from './routes/config.ts';
import { loginRoute } from './routes/login.ts';
import { roleRoutes } from './routes/role.ts';

export type { Local, ReadLocal } from './config.ts';

/** @param options.readLocal reads CA and token of the pod that the server runs in, each time anew; absent outside of one */
export function kubernetes(options: { readonly readLocal?: ReadLocal } = {}): PluginType {
  return {
    name: 'kubernetes',
    kind: 'auth',
    create(mount) {
      const settings = new Settings(mount, options.readLocal ?? (async () => undefined));
      const reviewer = new Reviewer(mount.dial, mount.clock);
      return {
        routes: [configRoute(settings), ...roleRoutes(rolesOf(mount)), loginRoute(mount, settings, reviewer)],
      };
    },
  };
}
