/** `roles/`: what callers may be given. */

import { z } from 'zod';
import { integer } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { checkedName, nothing } from '../fields.ts';
import { roleInput, roleOf, roleOutput, told } from '../role.ts';
import type { SshStore } from '../store.ts';

const named = z.object({ role: z.string() });

export function roleRoutes(store: SshStore): Route[] {
  return [
    {
      path: 'roles',
      operations: {
        list: operation({
          summary: 'List the roles, and of which type each one is.',
          input: z.object({ after: z.string().optional(), limit: integer().optional() }),
          output: z.object({
            keys: z.array(z.string()),
            key_info: z.record(z.string(), z.object({ key_type: z.string() })),
          }),
          effect: 'none',
          async run({ after, limit }) {
            const keys = await store.roleNames({
              ...(after === undefined ? {} : { after }),
              ...(limit === undefined || limit <= 0 ? {} : { limit }),
            });
            if (keys.length === 0) return {};
            const infos = await Promise.all(
              keys.map(async (name) => {
                const role = await store.role(name);
                return role === undefined ? [] : [[name, { key_type: role.kind }] as const];
              }),
            );
            return { data: { keys, key_info: Object.fromEntries(infos.flat()) } };
          },
        }),
      },
    },
    {
      path: 'roles/:role',
      operations: {
        read: operation({
          summary: 'Read a role.',
          input: named,
          output: roleOutput,
          effect: 'none',
          async run({ role: name }) {
            const role = await store.role(checkedName(name));
            return role === undefined ? {} : { data: told(role) };
          },
        }),
        write: operation({
          summary: 'Write a role: whose keys are signed and for what, or which hosts passwords are for.',
          input: roleInput,
          output: nothing,
          effect: 'write',
          async run(given) {
            await store.putRole(checkedName(given.role), roleOf(given));
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a role; what it gave out stays good until it ends.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ role: name }) {
            await store.deleteRole(checkedName(name));
            return {};
          },
        }),
      },
    },
  ];
}
