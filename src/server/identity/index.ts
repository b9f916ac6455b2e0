/** `identity/`, the mount that every server has: entities, aliases and groups over HTTP. */

import type { PluginType } from '../../plugin/plugin.ts';
import { entityRoutes } from './routes/entities.ts';
import { groupRoutes } from './routes/groups.ts';
import { lookupRoutes } from './routes/lookup.ts';
import type { IdentityStore } from './store.ts';

/** @param identity the store of the open server */
export function identityEngine(identity: () => IdentityStore): PluginType {
  return {
    name: 'identity',
    kind: 'secret',
    create: () => ({
      routes: [...entityRoutes(identity), ...groupRoutes(identity), ...lookupRoutes(identity)],
    }),
  };
}
