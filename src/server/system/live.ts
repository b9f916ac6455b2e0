/** The server's own routes where there is no mount table to hold them. */

import { compileRoutes } from '../../plugin/match.ts';
import type { PluginType } from '../../plugin/plugin.ts';
import { type LiveMount, UNTUNED } from '../core/mounts.ts';

/** `sys/` as it answers while there is no mount table. */
export function liveSystem(plugin: ReturnType<PluginType['create']>): LiveMount {
  return {
    plugin,
    match: compileRoutes(plugin.routes),
    clear: { request: [], response: [] },
    stop: () => {},
    entry: {
      uuid: '',
      accessor: '',
      kind: 'secret',
      type: 'system',
      path: 'sys/',
      description: '',
      options: {},
      local: false,
      sealWrap: false,
      config: UNTUNED,
    },
  };
}
