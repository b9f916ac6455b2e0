/**
 * The key-value engine, as the Vault HTTP API has it. Mount option `version` is "2" for secrets with versions, "1" or
 * nothing for plain ones. Where the versioned ones lie in storage is told in `store.ts`, the plain ones in `unversioned.ts`.
 *
 * Paths are compared byte for byte: names that differ in case are different secrets, and one name may be both a secret and a
 * folder. Values are kept as JSON text (`../value.ts`) and never parsed into numbers.
 */

import type { Plugin, PluginType } from '../../plugin/plugin.ts';
import { countBelow } from '../../storage/count.ts';
import { configRoute } from './routes/config.ts';
import { dataRoute } from './routes/data.ts';
import { metadataRoutes } from './routes/metadata.ts';
import { subkeysRoute } from './routes/subkeys.ts';
import { versionsRoutes } from './routes/versions.ts';
import { wrongPathRoute } from './routes/wrong-path.ts';
import { SecretStore } from './store.ts';
import { unversionedRoutes } from './unversioned.ts';

export const kv: PluginType = {
  name: 'kv',
  follows: true,
  kind: 'secret',
  create(mount): Plugin {
    if (mount.options.version !== '2')
      return {
        routes: unversionedRoutes(mount),
        holdings: (limit) => countBelow(mount.storage, 'plain/', limit),
      };
    const store = new SecretStore(mount);
    return {
      holdings: (limit) => countBelow(mount.storage, 'meta/', limit),
      routes: [
        configRoute(mount, store),
        dataRoute(mount, store),
        ...versionsRoutes(mount, store),
        ...metadataRoutes(mount, store),
        subkeysRoute(mount, store),
        wrongPathRoute,
      ],
    };
  },
};
