/** sys/locked-users: whose logins are refused for a while, and letting them in again. */

import { z } from 'zod';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';

const listed = z.object({
  by_namespace: z.array(
    z.object({
      namespace_id: z.string(),
      namespace_path: z.string(),
      counts: z.number(),
      mount_accessors: z.array(
        z.object({
          mount_accessor: z.string(),
          counts: z.number(),
          alias_identifiers: z.array(z.string()),
        }),
      ),
    }),
  ),
  total: z.number(),
});

export function lockedUserRoutes(core: Core): Route[] {
  return [
    {
      path: 'locked-users',
      operations: {
        read: operation({
          summary: 'The names that are locked out now, by mount.',
          input: z.object({ mount_accessor: z.string().default('') }),
          output: listed,
          effect: 'none',
          async run({ mount_accessor: only }) {
            const byMount = new Map<string, string[]>();
            for (const { accessor, alias } of services(core).lockout.list())
              if (only === '' || only === accessor)
                byMount.set(accessor, [...(byMount.get(accessor) ?? []), alias]);
            const mounts = [...byMount].map(([accessor, aliases]) => ({
              mount_accessor: accessor,
              counts: aliases.length,
              alias_identifiers: aliases,
            }));
            const total = mounts.reduce((sum, mount) => sum + mount.counts, 0);
            const root = { namespace_id: 'root', namespace_path: '', counts: total, mount_accessors: mounts };
            return { data: { by_namespace: total === 0 ? [] : [root], total } };
          },
        }),
      },
    },
    {
      path: 'locked-users/:mount_accessor/unlock/*alias',
      operations: {
        write: operation({
          summary: 'Lets a name log in again at once. Does nothing where it was not locked.',
          input: z.object({ mount_accessor: z.string(), alias: z.string() }),
          output: z.object({}),
          effect: 'write',
          async run({ mount_accessor: accessor, alias }) {
            services(core).lockout.unlock(accessor, alias);
            return {};
          },
        }),
      },
    },
  ];
}
