/**
 * The transit engine, as the Vault HTTP API has it: encryption, signatures and HMACs under named keys that never leave, unless
 * a key was made to be exported. How ciphertexts are made is told in `sealing.ts`, where keys lie in `store.ts`, what may be
 * done with one in `key.ts`, and which algorithms there are in the one table of `src/crypto/algorithms.ts`.
 *
 * Plaintext and keys pass through here and are kept nowhere: no log, event or error carries them.
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { rotateDue } from './making.ts';
import { encryptRoutes } from './routes/encrypt.ts';
import { exportRoutes } from './routes/export.ts';
import { importRoutes } from './routes/import.ts';
import { keyRoutes } from './routes/keys.ts';
import { settingsRoutes } from './routes/settings.ts';
import { signRoutes } from './routes/sign.ts';
import { toolRoutes } from './routes/tools.ts';
import { KeyStore } from './store.ts';

/** A period is an hour at least, so whatever gets one meanwhile is looked at in time. */
const LONGEST_REST = 3_600_000;

export const transit: PluginType = {
  name: 'transit',
  kind: 'secret',
  create(mount) {
    const store = new KeyStore(mount);
    return {
      routes: [
        ...keyRoutes(mount, store),
        ...encryptRoutes(mount, store),
        ...signRoutes(mount, store),
        ...exportRoutes(mount, store),
        ...importRoutes(mount, store),
        ...settingsRoutes(store),
        ...toolRoutes(mount),
      ],
      async tick() {
        const next = await rotateDue(mount, store);
        const latest = mount.clock.now() + LONGEST_REST;
        return new Date(next === undefined ? latest : Math.min(next, latest));
      },
    };
  },
};
