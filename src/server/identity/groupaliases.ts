/** Group aliases: which group of a method makes a caller a member of which external group here. The rules are upstream's. */

import { failure } from '../../base/errors.ts';
import type { AliasPlace } from './aliases.ts';
import { freeName, newAlias, type World } from './entities.ts';
import { type Groups, leave, newGroup, put } from './groups.ts';
import { checkName } from './limits.ts';
import { type Alias, type Group, isId, keys } from './records.ts';
import type { Change } from './table.ts';

export interface GroupAliasFields {
  readonly id?: string;
  readonly name?: string;
  readonly mountAccessor?: string;
  readonly canonicalId?: string;
}

const refuse = (reason: string) => failure('request.invalid', { reason });

/**
 * Makes a group alias, or changes the one of the id.
 * @returns where it now is, or undefined where nothing was changed
 * @throws Failure request.invalid
 */
export function writeGroupAlias(
  world: World,
  groups: Groups,
  fields: GroupAliasFields,
): Promise<AliasPlace | undefined> {
  return groups.inTurn(() =>
    world.table.change(async (change) => {
      const { name = '', mountAccessor = '', canonicalId = '' } = fields;
      const holder = fields.id === undefined ? undefined : await holderOf(change, fields.id);
      const before = holder?.alias;
      if (name === '') throw refuse('missing alias name');
      if (mountAccessor === '') throw refuse('missing mount_accessor');
      checkName(name);
      const stays = canonicalId === '' || canonicalId === holder?.id;
      if (before?.name === name && before.mountAccessor === mountAccessor && stays) return undefined;

      const target = canonicalId === '' ? holder : await external(change, canonicalId);
      const mount = world.mountOf(mountAccessor);
      const shown = JSON.stringify(mountAccessor);
      if (mount === undefined) throw refuse(`invalid mount accessor ${shown}`);
      if (mount.local) throw refuse(`mount accessor ${shown} is a local mount`);
      const taken = await change.get<string>(keys.groupAlias(mountAccessor, name));
      if (taken !== undefined && (before === undefined || taken !== holder?.id))
        throw refuse('combination of mount and group alias name is already in use');

      const now = world.clock.now();
      const alias: Alias =
        before === undefined
          ? newAlias(name, mount, now, {})
          : { ...before, name, mountAccessor, updatedAt: now };
      // The old holder first: what both write of the alias must be what the new one says.
      if (holder !== undefined && holder.id !== target?.id) put(change, holder, without(holder, now));
      const group = target ?? newGroup(await freeName(change, 'group', keys.groupName), 'external', now);
      put(change, target, { ...group, alias, modifyIndex: group.modifyIndex + 1, updatedAt: now });
      return { id: alias.id, canonicalId: group.id };
    }),
  );
}

/** Takes the alias from its group; who was a member stays one until the next login or renewal. */
export function deleteGroupAlias(world: World, groups: Groups, id: string): Promise<void> {
  return groups.inTurn(() =>
    world.table.change(async (change) => {
      const owner = isId(id) ? await change.get<string>(keys.groupAliasId(id)) : undefined;
      const group = owner === undefined ? undefined : await change.get<Group>(keys.group(owner));
      if (group !== undefined) put(change, group, without(group, world.clock.now()));
    }),
  );
}

/** Takes away the group aliases of a mount that is gone, and the memberships that only it could tell of. */
export async function forgetMountGroups(world: World, groups: Groups, accessor: string): Promise<void> {
  for (const id of await world.table.list(keys.mountGroupAliases(accessor)))
    await groups.inTurn(() =>
      world.table.change(async (change) => {
        const owner = await change.get<string>(keys.groupAliasId(id));
        const group = owner === undefined ? undefined : await change.get<Group>(keys.group(owner));
        if (group === undefined) return;
        for (const entity of await world.table.list(keys.members(group.id)))
          await leave(change, group.id, entity);
        put(change, group, without(group, world.clock.now()));
      }),
    );
}

function without(group: Group, now: number): Group {
  const { alias: _, ...rest } = group;
  return { ...rest, modifyIndex: group.modifyIndex + 1, updatedAt: now };
}

async function holderOf(change: Change, id: string): Promise<Group> {
  if (id === '') throw refuse('empty group alias ID');
  const owner = isId(id) ? await change.get<string>(keys.groupAliasId(id)) : undefined;
  const group = owner === undefined ? undefined : await change.get<Group>(keys.group(owner));
  if (group?.alias === undefined) throw refuse('invalid group alias ID');
  return group;
}

async function external(change: Change, id: string): Promise<Group> {
  const group = isId(id) ? await change.get<Group>(keys.group(id)) : undefined;
  if (group === undefined) throw refuse("invalid group ID given in 'canonical_id'");
  if (group.type !== 'external') throw refuse("alias can't be set on an internal group");
  return group;
}
