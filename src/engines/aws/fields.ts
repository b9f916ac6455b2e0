/** Schemas that the routes of this engine share. */

import { z } from 'zod';
import { integer } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';

export const named = z.object({ name: z.string() });
export const nothing = z.object({});
export const text = (limit: number) => z.string().max(limit).nullish();

/** Lists the names of what is kept. */
export const listing = (path: string, summary: string, names: () => Promise<string[]>): Route => ({
  path,
  operations: {
    list: operation({
      summary,
      input: z.object({ after: z.string().optional(), limit: integer().optional() }),
      output: z.object({ keys: z.array(z.string()) }),
      effect: 'none',
      async run({ after = '', limit = 0 }) {
        const beyond = (await names()).filter((name) => name > after);
        const keys = limit > 0 ? beyond.slice(0, limit) : beyond;
        return keys.length === 0 ? {} : { data: { keys } };
      },
    }),
  },
});
