/** The route that lists the names of what a mount keeps: the same for roles, users, connections and certificates. */

import { z } from 'zod';
import { operation, type Route } from './plugin.ts';

/** Lists the names of what is kept, all at once; none at all is an absence, as upstream has it. */
export const listing = (
  path: string,
  summary: string,
  kept: { names(): Promise<readonly string[]> },
): Route => ({
  path,
  operations: {
    list: operation({
      summary,
      input: z.object({}),
      output: z.object({ keys: z.array(z.string()) }),
      effect: 'none',
      async run() {
        const keys = await kept.names();
        return keys.length === 0 ? {} : { data: { keys: [...keys] } };
      },
    }),
  },
});
