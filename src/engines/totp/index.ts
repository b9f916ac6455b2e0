/**
 * The TOTP engine, as the Vault HTTP API has it: it shows the codes of keys that others gave out, or gives out keys itself and
 * checks the codes that people type. A code that was right is taken once: that is kept with the key, in one commit, so neither
 * a restart nor two requests at the same moment let it through again (RFC 6238 section 5.2).
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { codeRoutes } from './routes/code.ts';
import { keyRoutes } from './routes/keys.ts';
import { KeyStore } from './store.ts';

export const totp: PluginType = {
  name: 'totp',
  kind: 'secret',
  create(mount) {
    const store = new KeyStore(mount);
    return { routes: [...keyRoutes(mount, store), ...codeRoutes(mount, store)] };
  },
};
