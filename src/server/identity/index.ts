/** `identity/`, the mount that every server has: entities, aliases, groups and identity tokens over HTTP. */

import type { PluginType } from '../../plugin/plugin.ts';
import { OidcStore } from './oidc/store.ts';
import { entityRoutes } from './routes/entities.ts';
import { groupRoutes } from './routes/groups.ts';
import { lookupRoutes } from './routes/lookup.ts';
import { oidcRoutes } from './routes/oidc.ts';
import type { IdentityStore } from './store.ts';

/**
 * @param identity the store of the open server
 * @param address scheme, host and port that clients reach the server by; "" where nobody said
 */
export function identityEngine(identity: () => IdentityStore, address: () => string): PluginType {
  return {
    name: 'identity',
    kind: 'secret',
    create({ storage, clock }) {
      const oidc = new OidcStore(storage, clock);
      return {
        routes: [
          ...entityRoutes(identity),
          ...groupRoutes(identity),
          ...lookupRoutes(identity),
          ...oidcRoutes({ oidc, identity, clock, address }),
        ],
        tick: () => oidc.tick(),
        close: async () => oidc.close(),
      };
    },
  };
}
