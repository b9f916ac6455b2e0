/** Entities, aliases and groups as upstream prints them: the schemas of the answers and what fills them. Pure. */

import { z } from 'zod';
import type { MountOf } from './entities.ts';
import type { GroupMembers } from './groups.ts';
import type { Alias, Entity, Group, Owned } from './records.ts';
import type { Resolved } from './store.ts';

/** There is one namespace, and clients read its name. */
const NAMESPACE = 'root';

const texts = z.record(z.string(), z.string());
const names = z.array(z.string());
/** Go prints an empty list or map as null where it was never filled; clients know both. */
const list = names.nullable();
const map = texts.nullable();

const mountText = { mount_path: z.string().optional(), mount_type: z.string().optional() };
const aliasFields = {
  id: z.string(),
  canonical_id: z.string(),
  mount_accessor: z.string(),
  metadata: map,
  name: z.string(),
  merged_from_canonical_ids: list,
  creation_time: z.string(),
  last_update_time: z.string(),
  ...mountText,
};

export const entityOutput = z.object({
  id: z.string(),
  name: z.string(),
  metadata: map,
  merged_entity_ids: list,
  policies: names,
  disabled: z.boolean(),
  namespace_id: z.string(),
  creation_time: z.string(),
  last_update_time: z.string(),
  aliases: z.array(z.object({ ...aliasFields, custom_metadata: map, local: z.boolean() })),
  direct_group_ids: names,
  inherited_group_ids: names,
  group_ids: names,
});

export const aliasOutput = z.object({
  ...aliasFields,
  custom_metadata: map,
  local: z.boolean(),
  namespace_id: z.string(),
});

export const groupOutput = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  policies: list,
  member_entity_ids: list,
  member_group_ids: list,
  parent_group_ids: list,
  metadata: map,
  creation_time: z.string(),
  last_update_time: z.string(),
  modify_index: z.number(),
  namespace_id: z.string(),
  alias: z.object(aliasFields).partial(),
});

const brief = z.object({ id: z.string(), name: z.string(), mount_accessor: z.string(), ...mountText });
export const entityInfo = z.object({ name: z.string(), aliases: z.array(brief).optional() });
export const groupInfo = z.object({
  name: z.string(),
  num_member_entities: z.number(),
  num_parent_groups: z.number(),
  alias: brief.optional(),
});
export const aliasInfo = z.object({
  name: z.string(),
  canonical_id: z.string(),
  mount_accessor: z.string(),
  custom_metadata: map,
  metadata: map,
  local: z.boolean(),
  ...mountText,
});

const time = (at: number): string => new Date(at).toISOString();
const mapOf = (from: Readonly<Record<string, string>>) =>
  Object.keys(from).length === 0 ? null : { ...from };
const listOf = (from: readonly string[]) => (from.length === 0 ? null : [...from]);

function mountOfAlias(alias: Alias, mountOf: MountOf): { mount_path?: string; mount_type?: string } {
  const mount = mountOf(alias.mountAccessor);
  return mount === undefined ? {} : { mount_path: mount.path, mount_type: mount.type };
}

const aliasMembers = (alias: Alias, canonicalId: string, mountOf: MountOf) => ({
  id: alias.id,
  canonical_id: canonicalId,
  mount_accessor: alias.mountAccessor,
  metadata: mapOf(alias.metadata),
  name: alias.name,
  merged_from_canonical_ids: listOf(alias.mergedFrom),
  creation_time: time(alias.createdAt),
  last_update_time: time(alias.updatedAt),
  ...mountOfAlias(alias, mountOf),
});

export const entityText = (
  { entity, direct, inherited }: Resolved,
  mountOf: MountOf,
): z.input<typeof entityOutput> => ({
  id: entity.id,
  name: entity.name,
  metadata: mapOf(entity.metadata),
  merged_entity_ids: listOf(entity.merged),
  policies: [...entity.policies],
  disabled: entity.disabled,
  namespace_id: NAMESPACE,
  creation_time: time(entity.createdAt),
  last_update_time: time(entity.updatedAt),
  aliases: entity.aliases.map((alias) => ({
    ...aliasMembers(alias, entity.id, mountOf),
    custom_metadata: mapOf(alias.customMetadata),
    local: alias.local,
  })),
  direct_group_ids: direct.map(({ id }) => id),
  inherited_group_ids: inherited.map(({ id }) => id),
  group_ids: [...direct, ...inherited].map(({ id }) => id),
});

export const aliasText = ({ alias, canonicalId }: Owned, mountOf: MountOf): z.input<typeof aliasOutput> => ({
  ...aliasMembers(alias, canonicalId, mountOf),
  custom_metadata: mapOf(alias.customMetadata),
  local: alias.local,
  namespace_id: NAMESPACE,
});

export const groupText = (
  group: Group,
  members: GroupMembers,
  mountOf: MountOf,
): z.input<typeof groupOutput> => ({
  id: group.id,
  name: group.name,
  type: group.type,
  policies: listOf(group.policies),
  member_entity_ids: listOf(members.entities),
  member_group_ids: listOf(members.groups),
  parent_group_ids: listOf(group.parents),
  metadata: mapOf(group.metadata),
  creation_time: time(group.createdAt),
  last_update_time: time(group.updatedAt),
  modify_index: group.modifyIndex,
  namespace_id: NAMESPACE,
  alias: group.alias === undefined ? {} : aliasMembers(group.alias, group.id, mountOf),
});

const briefText = (alias: Alias, mountOf: MountOf): z.input<typeof brief> => ({
  id: alias.id,
  name: alias.name,
  mount_accessor: alias.mountAccessor,
  ...mountOfAlias(alias, mountOf),
});

export const entityInfoText = (entity: Entity, mountOf: MountOf): z.input<typeof entityInfo> => ({
  name: entity.name,
  ...(entity.aliases.length === 0 ? {} : { aliases: entity.aliases.map((one) => briefText(one, mountOf)) }),
});

export const groupInfoText = (
  group: Group,
  members: GroupMembers,
  mountOf: MountOf,
): z.input<typeof groupInfo> => ({
  name: group.name,
  num_member_entities: members.entities.length,
  num_parent_groups: group.parents.length,
  ...(group.alias === undefined ? {} : { alias: briefText(group.alias, mountOf) }),
});

export const aliasInfoText = (
  { alias, canonicalId }: Owned,
  mountOf: MountOf,
): z.input<typeof aliasInfo> => ({
  name: alias.name,
  canonical_id: canonicalId,
  mount_accessor: alias.mountAccessor,
  custom_metadata: mapOf(alias.customMetadata),
  metadata: mapOf(alias.metadata),
  local: alias.local,
  ...mountOfAlias(alias, mountOf),
});
