/** plugins/catalog: the engines and methods that this server can mount. All are part of the program; none is loaded from a file. */

import { z } from 'zod';
import { operation, type Reply, type Route } from '../../plugin/plugin.ts';
import type { Platform } from '../core/core.ts';

const KINDS = ['auth', 'secret', 'database'] as const;
type Kind = (typeof KINDS)[number];

const plugin = z.object({
  name: z.string(),
  type: z.enum(KINDS),
  version: z.string(),
  builtin: z.boolean(),
  deprecation_status: z.string(),
});
const catalog = z.object({
  auth: z.array(z.string()),
  secret: z.array(z.string()),
  database: z.array(z.string()),
  detailed: z.array(plugin),
});
const one = plugin.extend({ args: z.null(), command: z.string(), sha256: z.string() });

/** The version of a plugin that is part of this program, as upstream spells it. */
export const builtinVersion = (version: string): string => `v${version}+builtin`;

/** What `vault plugin list` and `plugin info` ask for. */
export function pluginRoutes({ plugins, version }: Platform): Route[] {
  const all = plugins.map(
    ({ name, kind }): z.input<typeof plugin> => ({
      name,
      type: kind,
      version: builtinVersion(version),
      builtin: true,
      deprecation_status: 'supported',
    }),
  );
  const namesOf = (kind: Kind): string[] =>
    all
      .filter(({ type }) => type === kind)
      .map(({ name }) => name)
      .sort();
  const kindOnly = z.object({ type: z.enum(KINDS) });
  return [
    {
      path: 'plugins/catalog',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The engines and methods that can be mounted.',
          input: z.object({}),
          output: catalog,
          effect: 'none',
          run: async () => ({
            data: {
              auth: namesOf('auth'),
              secret: namesOf('secret'),
              database: namesOf('database'),
              detailed: all,
            },
          }),
        }),
      },
    },
    {
      path: 'plugins/catalog/:type',
      access: 'sudo',
      operations: {
        list: operation({
          summary: 'The names of the plugins of one type.',
          input: kindOnly,
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          run: async ({ type }): Promise<Reply<{ keys: string[] }>> => ({ data: { keys: namesOf(type) } }),
        }),
      },
    },
    {
      path: 'plugins/catalog/:type/:name',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'What is known of one plugin.',
          input: kindOnly.extend({ name: z.string() }),
          output: one,
          effect: 'none',
          async run({ type, name }): Promise<Reply<z.input<typeof one>>> {
            const found = all.find((each) => each.type === type && each.name === name);
            return found === undefined ? {} : { data: { ...found, args: null, command: '', sha256: '' } };
          },
        }),
      },
    },
  ];
}
