/** Aliases as operators write them: who an entity is at a mount. The rules and their words are upstream's. */

import { failure } from '../../base/errors.ts';
import { entityIn, freeName, newAlias, newEntity, replace, type World, withAliases } from './entities.ts';
import { checkCustomMetadata, checkName } from './limits.ts';
import { type Alias, type Entity, isId, keys, sameMetadata } from './records.ts';
import type { Change } from './table.ts';

/** What is absent or empty is not asked for. */
export interface AliasFields {
  readonly id?: string;
  readonly name?: string;
  readonly mountAccessor?: string;
  readonly canonicalId?: string;
  readonly customMetadata?: Readonly<Record<string, string>>;
}

export interface AliasPlace {
  readonly id: string;
  readonly canonicalId: string;
}

const refuse = (reason: string) => failure('request.invalid', { reason });

/**
 * Makes an alias, or changes the one of the id or of the same mount and name.
 * @returns where it now is, or undefined where nothing was changed
 * @throws Failure request.invalid
 */
export async function writeAlias(world: World, fields: AliasFields): Promise<AliasPlace | undefined> {
  if (fields.customMetadata !== undefined) checkCustomMetadata(fields.customMetadata);
  if (fields.name !== undefined) checkName(fields.name);
  return world.table.change(async (change) => {
    const { id = '', name = '', mountAccessor = '' } = fields;
    if (id !== '') {
      const owner = isId(id) ? await change.get<string>(keys.aliasId(id)) : undefined;
      const entity = owner === undefined ? undefined : await entityIn(change, owner);
      const alias = entity?.aliases.find((one) => one.id === id);
      if (entity === undefined || alias === undefined) throw refuse('invalid alias ID provided');
      const customMetadata = fields.customMetadata ?? alias.customMetadata;
      const wanted = {
        ...alias,
        name: name || alias.name,
        mountAccessor: mountAccessor || alias.mountAccessor,
      };
      return update(world, change, entity, alias, { ...wanted, customMetadata }, fields.canonicalId);
    }
    if (mountAccessor === '' || name === '')
      throw refuse("'id' or 'mount_accessor' and 'name' must be provided");
    if (world.mountOf(mountAccessor) === undefined) throw unknownMount(mountAccessor);
    const owner = await change.get<string>(keys.alias(mountAccessor, name));
    const entity = owner === undefined ? undefined : await entityIn(change, owner);
    const alias = entity && atMount(entity, mountAccessor);
    if (entity === undefined || alias === undefined)
      return create(world, change, { ...fields, name, mountAccessor });
    const customMetadata = fields.customMetadata ?? {};
    return update(world, change, entity, alias, { ...alias, name, customMetadata }, fields.canonicalId);
  });
}

const unknownMount = (accessor: string) => refuse(`invalid mount accessor ${JSON.stringify(accessor)}`);
const atMount = (entity: Entity, accessor: string): Alias | undefined =>
  entity.aliases.find((alias) => alias.mountAccessor === accessor);

async function create(
  world: World,
  change: Change,
  fields: AliasFields & { readonly name: string; readonly mountAccessor: string },
): Promise<AliasPlace> {
  const mount = world.mountOf(fields.mountAccessor);
  if (mount === undefined) throw unknownMount(fields.mountAccessor);
  const now = world.clock.now();
  const asked = fields.canonicalId ?? '';
  const before = asked === '' ? undefined : await entityIn(change, asked);
  if (asked !== '' && before === undefined) throw refuse('invalid canonical ID');
  if (before !== undefined && atMount(before, mount.accessor) !== undefined)
    throw refuse('Alias already exists for requested entity and mount accessor');
  const owner = before ?? newEntity(await freeName(change, 'entity', keys.entityName), now);
  const alias = newAlias(fields.name, mount, now, { customMetadata: fields.customMetadata ?? {} });
  replace(change, before, { ...owner, aliases: [...owner.aliases, alias] });
  return { id: alias.id, canonicalId: owner.id };
}

async function update(
  world: World,
  change: Change,
  owner: Entity,
  before: Alias,
  wanted: Alias,
  canonicalId = '',
): Promise<AliasPlace | undefined> {
  const moves = canonicalId !== '' && canonicalId !== owner.id;
  const renamed = wanted.name !== before.name || wanted.mountAccessor !== before.mountAccessor;
  if (!moves && !renamed && sameMetadata(wanted.customMetadata, before.customMetadata)) return undefined;
  const mount = world.mountOf(wanted.mountAccessor);
  if (mount === undefined) throw unknownMount(wanted.mountAccessor);
  if (!moves && wanted.mountAccessor !== before.mountAccessor && atMount(owner, mount.accessor) !== undefined)
    throw refuse(
      "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' ",
    );
  if (renamed) {
    const other = await change.get<string>(keys.alias(wanted.mountAccessor, wanted.name));
    const taken = other === undefined ? undefined : (await entityIn(change, other))?.aliases;
    if (taken?.some((one) => one.id !== before.id && one.mountAccessor === wanted.mountAccessor))
      throw refuse('alias with combination of mount accessor and name already exists');
  }
  const alias: Alias = { ...wanted, local: mount.local, updatedAt: world.clock.now() };
  if (!moves) {
    replace(
      change,
      owner,
      withAliases(owner, (one) => (one.id === alias.id ? alias : one)),
    );
    return { id: alias.id, canonicalId: owner.id };
  }
  if (mount.local) throw refuse("local aliases can't be moved between entities");
  const target = await entityIn(change, canonicalId);
  if (target === undefined) throw refuse("given 'canonical_id' is not associated with an entity");
  if (atMount(target, mount.accessor) !== undefined)
    throw refuse('Alias cannot be updated as the given entity already has an alias for this mount ');
  // The old owner first: what both write of the alias must be what the new one says.
  replace(change, owner, { ...owner, aliases: owner.aliases.filter((one) => one.id !== alias.id) });
  replace(change, target, { ...target, aliases: [...target.aliases, alias] });
  return { id: alias.id, canonicalId: target.id };
}
