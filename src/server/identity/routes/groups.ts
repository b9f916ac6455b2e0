/** group, group-alias: what many callers have in common. */

import { z } from 'zod';
import { type Operation, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import type { Group } from '../records.ts';
import type { IdentityStore } from '../store.ts';
import {
  aliasInfo,
  aliasInfoText,
  aliasOutput,
  aliasText,
  groupInfo,
  groupInfoText,
  groupOutput,
  groupText,
} from '../texts.ts';
import { byId, byName, given, items, nothing, pairs, placeOutput, text } from './fields.ts';

type Identity = () => IdentityStore;

const groupFields = z.object({
  id: text,
  name: text,
  type: text,
  metadata: pairs,
  policies: items,
  member_entity_ids: items,
  member_group_ids: items,
});

export function groupRoutes(identity: Identity): Route[] {
  const write = (summary: string): Operation =>
    operation({
      summary,
      input: groupFields,
      output: z.object({ id: z.string(), name: z.string() }),
      effect: 'write',
      async run({ member_entity_ids, member_group_ids, ...fields }) {
        const { group, created } = await identity().groups.write({
          ...given(fields),
          ...given({ memberEntityIds: member_entity_ids, memberGroupIds: member_group_ids }),
        });
        return created ? { data: { id: group.id, name: group.name } } : {};
      },
    });
  return [
    { path: 'group', operations: { write: write('Make a group, or change the one of the id or name.') } },
    {
      path: 'group/id/:id',
      operations: {
        read: operation({
          summary: 'Read a group.',
          input: byId,
          output: groupOutput,
          effect: 'none',
          run: async ({ id }) => groupReply(identity(), await identity().groups.byId(id)),
        }),
        write: write('Change a group; fields left out stay as they are.'),
        delete: operation({
          summary: 'Delete a group.',
          input: byId,
          output: nothing,
          effect: 'write',
          async run({ id }) {
            await identity().groups.delete({ id });
            return {};
          },
        }),
      },
    },
    {
      path: 'group/name/*name',
      caseless: true,
      operations: {
        read: operation({
          summary: 'Read a group by its name.',
          input: byName,
          output: groupOutput,
          effect: 'none',
          run: async ({ name }) => groupReply(identity(), await identity().groups.byName(name)),
        }),
        // The name in the path says which group; an id beside it would say another.
        write: operation({
          summary: 'Make the group of this name, or change it.',
          input: groupFields.extend({ name: z.string().min(1) }).omit({ id: true }),
          output: z.object({ id: z.string(), name: z.string() }),
          effect: 'write',
          async run({ member_entity_ids, member_group_ids, ...fields }) {
            const { group, created } = await identity().groups.write({
              ...given(fields),
              ...given({ memberEntityIds: member_entity_ids, memberGroupIds: member_group_ids }),
            });
            return created ? { data: { id: group.id, name: group.name } } : {};
          },
        }),
        delete: operation({
          summary: 'Delete a group by its name.',
          input: byName,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await identity().groups.delete({ name });
            return {};
          },
        }),
      },
    },
    ...groupLists(identity),
    ...aliasRoutes(identity),
  ];
}

/** What is told of a group, or of none. */
export async function groupReply(
  identity: IdentityStore,
  group: Group | undefined,
): Promise<Reply<z.input<typeof groupOutput>>> {
  if (group === undefined) return {};
  return { data: groupText(group, await identity.groups.members(group.id), identity.mountOf) };
}

function groupLists(identity: Identity): Route[] {
  return [
    {
      path: 'group/id',
      operations: {
        list: operation({
          summary: 'The ids of the groups, with what they are.',
          input: nothing,
          output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), groupInfo) }),
          effect: 'none',
          async run() {
            const keys: string[] = [];
            const info: Record<string, z.input<typeof groupInfo>> = {};
            for await (const group of identity().groups.all()) {
              keys.push(group.id);
              const members = await identity().groups.members(group.id);
              info[group.id] = groupInfoText(group, members, identity().mountOf);
            }
            return keys.length === 0 ? {} : { data: { keys, key_info: info } };
          },
        }),
      },
    },
    {
      path: 'group/name',
      operations: {
        list: operation({
          summary: 'The names of the groups.',
          input: nothing,
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          async run() {
            const keys: string[] = [];
            for await (const { name } of identity().groups.all()) keys.push(name);
            return keys.length === 0 ? {} : { data: { keys } };
          },
        }),
      },
    },
  ];
}

const aliasFields = z.object({ id: text, name: text, mount_accessor: text, canonical_id: text });

function aliasRoutes(identity: Identity): Route[] {
  const write = (summary: string): Operation =>
    operation({
      summary,
      input: aliasFields,
      output: placeOutput,
      effect: 'write',
      async run({ id, name, mount_accessor, canonical_id }) {
        const place = await identity().writeGroupAlias(
          given({ id, name, mountAccessor: mount_accessor, canonicalId: canonical_id }),
        );
        return place === undefined ? {} : { data: { id: place.id, canonical_id: place.canonicalId } };
      },
    });
  return [
    {
      path: 'group-alias',
      operations: { write: write('Make an alias of an external group, or change it.') },
    },
    {
      path: 'group-alias/id/:id',
      operations: {
        read: operation({
          summary: 'Read the alias of a group.',
          input: byId,
          output: aliasOutput,
          effect: 'none',
          async run({ id }) {
            const owned = await identity().groups.aliasById(id);
            return owned === undefined ? {} : { data: aliasText(owned, identity().mountOf) };
          },
        }),
        write: write('Change the alias of a group.'),
        delete: operation({
          summary: 'Delete the alias of a group; the group stays.',
          input: byId,
          output: nothing,
          effect: 'write',
          async run({ id }) {
            await identity().deleteGroupAlias(id);
            return {};
          },
        }),
      },
    },
    {
      path: 'group-alias/id',
      operations: {
        list: operation({
          summary: 'The ids of the aliases of groups, with what they are aliases of.',
          input: nothing,
          output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), aliasInfo) }),
          effect: 'none',
          async run() {
            const info: Record<string, z.input<typeof aliasInfo>> = {};
            for await (const { id, alias } of identity().groups.all())
              if (alias !== undefined)
                info[alias.id] = aliasInfoText({ alias, canonicalId: id }, identity().mountOf);
            const keys = Object.keys(info).sort();
            return keys.length === 0 ? {} : { data: { keys, key_info: info } };
          },
        }),
      },
    },
  ];
}
