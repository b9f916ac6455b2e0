/**
 * A place of its own for each token: nobody else reaches it, and it goes when the token goes. The core hands out that
 * place (`call.tokenScope()`); this engine never sees whose it is. Response wrapping keeps its answers here.
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { plainRoute } from '../plain.ts';

export const cubbyhole: PluginType = {
  name: 'cubbyhole',
  follows: true,
  kind: 'secret',
  create: () => ({ routes: [plainRoute({ storage: (call) => call.tokenScope() })] }),
};
