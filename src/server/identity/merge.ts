/**
 * Two or more entities become one: the first keeps its id and takes the aliases, policies and memberships of the others, whose
 * tokens are its own from then on. Where both have an alias at one mount, the caller says which is kept.
 */

import { failure } from '../../base/errors.ts';
import { entityIn, leaveGroups, membershipsIn, replace, setMemberships, type World } from './entities.ts';
import { type Alias, type Entity, keys } from './records.ts';
import type { Change } from './table.ts';

export interface Merge {
  readonly to: string;
  readonly from: readonly string[];
  /** Ids of the aliases that stay where two are of one mount. */
  readonly keep: readonly string[];
}

/** Told of each side of a clash, with the names that upstream gives its members. */
export interface Clash {
  readonly alias: string;
  readonly entity: string;
  readonly entity_id: string;
  readonly mount: string;
  readonly mount_path: string;
}

const refuse = (reason: string) => failure('request.invalid', { reason });

/** @throws Failure request.invalid, identity.merge_clash with the clashes as its data */
export async function mergeEntities(world: World, { to, from, keep }: Merge): Promise<void> {
  const ids = [...new Set(from)];
  await world.table.change(async (change) => {
    const target = await entityIn(change, to);
    if (target === undefined) throw refuse('entity id to merge to is invalid');
    if (from.length > 1 && keep.length > 1)
      throw refuse(
        'aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time',
      );
    const sources: Entity[] = [];
    for (const id of ids) {
      if (id === target.id) throw refuse('to_entity_id should not be present in from_entity_ids');
      const source = await entityIn(change, id);
      if (source === undefined) throw refuse('entity id to merge from is invalid');
      sources.push(source);
    }
    if (keep.length === 0) refuseClashes(world, target, sources);

    let merged = target;
    for (const source of sources) merged = united(merged, source, keep, world.clock.now());
    // The sources first: what is written of an alias must be what its new owner says.
    for (const source of sources) {
      await moveGroups(change, source.id, target.id);
      for (const id of [...source.merged, source.id]) change.put(keys.merged(id), target.id);
      replace(change, source, undefined);
    }
    replace(change, target, merged);
  });
}

/** The target with everything of the source. @throws Failure request.invalid for a clash that nobody decided */
function united(target: Entity, source: Entity, keep: readonly string[], now: number): Entity {
  let aliases: readonly Alias[] = target.aliases;
  for (const alias of source.aliases) {
    const clashing = aliases.find((one) => one.mountAccessor === alias.mountAccessor);
    if (clashing !== undefined) {
      if (keep.includes(clashing.id)) continue;
      if (!keep.includes(alias.id))
        throw refuse(
          `conflicting mount accessors in following alias IDs and neither were present in conflicting_alias_ids_to_keep: ${alias.id}, ${clashing.id}`,
        );
      aliases = aliases.filter((one) => one.id !== clashing.id);
    }
    aliases = [...aliases, { ...alias, mergedFrom: [...alias.mergedFrom, source.id] }];
  }
  return {
    ...target,
    aliases,
    policies: [...new Set([...target.policies, ...source.policies])].sort(),
    merged: [...target.merged, ...source.merged, source.id],
    updatedAt: now,
  };
}

async function moveGroups(change: Change, from: string, to: string): Promise<void> {
  const left = await leaveGroups(change, from);
  if (left.length === 0) return;
  const own = await membershipsIn(change, to);
  for (const group of left) change.put(keys.member(group, to), '');
  setMemberships(change, to, [...new Set([...own, ...left])]);
}

/** @throws Failure request.invalid, identity.merge_clash */
function refuseClashes(world: World, target: Entity, sources: readonly Entity[]): void {
  const seen = new Map<string, string>();
  const clashes: Clash[] = [];
  const told: string[] = [];
  const side = (entity: Entity, alias: Alias): Clash => {
    const mount = world.mountOf(alias.mountAccessor);
    return {
      alias: alias.name,
      entity: entity.name,
      entity_id: entity.id,
      mount: mount?.type ?? '',
      mount_path: mount?.path ?? '',
    };
  };
  for (const source of sources)
    for (const alias of source.aliases) {
      const accessor = alias.mountAccessor;
      if (seen.has(accessor))
        throw refuse(
          `mount accessor ${accessor} found in multiple fromEntities, merge should be done with one fromEntity at a time`,
        );
      seen.set(accessor, source.id);
      const own = target.aliases.find((one) => one.mountAccessor === accessor);
      if (own === undefined) continue;
      clashes.push(side(target, own), side(source, alias));
      told.push(
        `mountAccessor: ${accessor}, toEntity ID: ${target.id}, fromEntity ID: ${source.id}, conflicting toEntity alias ID: ${own.id}, conflicting fromEntity alias ID: ${alias.id}`,
      );
    }
  if (clashes.length > 0)
    throw failure('identity.merge_clash', { clashes: told.join('; ') }, { data: clashes });
}
