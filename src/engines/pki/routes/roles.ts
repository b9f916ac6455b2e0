/** `roles/`: what may be asked of an issuer. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { keysAnswer, nothing, paged, pageOf } from '../asking.ts';
import { checkedRole, roleAnswer, roleData, roleFields } from '../role.ts';
import type { PkiStore } from '../store.ts';
import { checkTemplates } from '../templates.ts';

const name = z.string();
const patchFields = Object.fromEntries(
  Object.entries(roleFields).map(([field, type]) => [field, type.unwrap().optional()]),
) as { [K in keyof typeof roleFields]: z.ZodOptional<ReturnType<(typeof roleFields)[K]['unwrap']>> };

export const roleRoutes = (mount: Mount, store: PkiStore): Route[] => [
  {
    path: 'roles',
    operations: {
      list: operation({
        summary: 'List the names of the roles.',
        input: z.object(paged),
        output: keysAnswer,
        effect: 'none',
        async run(given) {
          const keys = await store.list('role', pageOf(given));
          return keys.length === 0 ? {} : { data: { keys } };
        },
      }),
    },
  },
  {
    path: 'roles/:name',
    exists: async (params) => (await store.get('role', params['name'] ?? '')) !== undefined,
    operations: {
      read: operation({
        summary: 'Read a role.',
        input: z.object({ name }),
        output: roleAnswer,
        effect: 'none',
        async run(given) {
          const role = await store.get('role', given.name);
          return role === undefined ? {} : { data: roleData(role) };
        },
      }),
      write: operation({
        summary: 'Create or replace a role; what is left out gets its default.',
        input: z.object({ name, ...roleFields }),
        output: roleAnswer,
        effect: 'write',
        async run({ name: given, ...role }, call) {
          const kept = checkedRole(role, mount.ttl().maxMs);
          await checkTemplates(kept, call);
          await store.put('role', given, kept);
          return { data: roleData(kept) };
        },
      }),
      patch: operation({
        summary: 'Change fields of a role; what is left out stays.',
        input: z.object({ name, ...patchFields }),
        output: roleAnswer,
        effect: 'write',
        async run({ name: given, ...fields }, call) {
          const set = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
          const there = await store.get('role', given);
          if (there !== undefined) await checkTemplates({ ...there, ...set }, call);
          const kept = await store.change('role', given, (before) =>
            checkedRole({ ...before, ...set }, mount.ttl().maxMs),
          );
          if (kept === undefined) throw failure('pki.unknown_role', { name: given });
          return { data: roleData(kept) };
        },
      }),
      delete: operation({
        summary: 'Delete a role; certificates that it gave stay.',
        input: z.object({ name }),
        output: nothing,
        effect: 'write',
        async run(given): Promise<Reply<Record<string, never>>> {
          await store.delete('role', given.name);
          return {};
        },
      }),
    },
  },
];
