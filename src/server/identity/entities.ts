/**
 * Entities and their aliases: making, changing, merging and deleting them, each as one change of the table. Who calls them has
 * parsed what was asked; here it is judged against what there is.
 */

import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { uuid } from '../../crypto/random.ts';
import { checkMetadata, checkName, identityPolicies } from './limits.ts';
import { type Alias, type Entity, isId, keys, type Owned, sameMetadata } from './records.ts';
import type { Change, Table } from './table.ts';

/** What identity has to know of a mount. */
export interface MountFacts {
  readonly accessor: string;
  /** With a trailing slash: "auth/kubernetes/". */
  readonly path: string;
  readonly type: string;
  readonly local: boolean;
}

/** The mount of an accessor, or undefined where there is none (any more). */
export type MountOf = (accessor: string) => MountFacts | undefined;

export interface World {
  readonly table: Table;
  readonly clock: Clock;
  readonly mountOf: MountOf;
}

/** What a client asks an entity to be; what is absent stays as it is. */
export interface EntityFields {
  readonly id?: string;
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly policies?: readonly string[];
  readonly disabled?: boolean;
}

/** A caller as an auth method knows it. */
export interface Presented {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly mount: MountFacts;
}

const refuse = (reason: string) => failure('request.invalid', { reason });

export class Entities {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async byId(id: string): Promise<Entity | undefined> {
    return isId(id) ? this.#world.table.get<Entity>(keys.entity(id)) : undefined;
  }

  /** The entity of this id, or the one that it was merged into. */
  async current(id: string): Promise<Entity | undefined> {
    const own = await this.byId(id);
    if (own !== undefined || !isId(id)) return own;
    const now = await this.#world.table.get<string>(keys.merged(id));
    return now === undefined ? undefined : this.byId(now);
  }

  async byName(name: string): Promise<Entity | undefined> {
    const id = await this.#world.table.get<string>(keys.entityName(name));
    return id === undefined ? undefined : this.byId(id);
  }

  async byAlias(accessor: string, name: string): Promise<Entity | undefined> {
    const id = await this.#world.table.get<string>(keys.alias(accessor, name));
    return id === undefined ? undefined : this.byId(id);
  }

  async aliasById(id: string): Promise<Owned | undefined> {
    const owner = isId(id) ? await this.#world.table.get<string>(keys.aliasId(id)) : undefined;
    const entity = owner === undefined ? undefined : await this.byId(owner);
    const alias = entity?.aliases.find((one) => one.id === id);
    return alias && entity && { alias, canonicalId: entity.id };
  }

  /** All of them, in the order of their ids. */
  all(): AsyncGenerator<Entity> {
    return this.#world.table.all<Entity>(keys.entities);
  }

  /**
   * Makes an entity, or changes the one of the id or the name.
   * @throws Failure request.invalid
   */
  async write(fields: EntityFields): Promise<{ readonly entity: Entity; readonly created: boolean }> {
    const policies = fields.policies === undefined ? undefined : identityPolicies(fields.policies);
    if (fields.metadata !== undefined) checkMetadata('entity', fields.metadata);
    if (fields.name !== undefined) checkName(fields.name);
    const { id = '', name = '' } = fields;
    return this.#world.table.change(async (change) => {
      let before = id === '' ? undefined : await entityIn(change, id);
      if (id !== '' && before === undefined) throw refuse('entity not found from id');
      const named = name === '' ? undefined : await change.get<string>(keys.entityName(name));
      if (named !== undefined && before !== undefined && named !== before.id)
        throw refuse('entity name is already in use');
      if (named !== undefined) before ??= await entityIn(change, named);
      const now = this.#world.clock.now();
      const base = before ?? newEntity(name || (await freeName(change, 'entity', keys.entityName)), now);
      const entity: Entity = {
        ...base,
        ...(name === '' ? {} : { name }),
        ...(policies === undefined ? {} : { policies }),
        ...(fields.metadata === undefined ? {} : { metadata: fields.metadata }),
        ...(fields.disabled === undefined ? {} : { disabled: fields.disabled }),
        updatedAt: now,
      };
      replace(change, before, entity);
      return { entity, created: before === undefined };
    });
  }

  /**
   * The entity of who just logged in, made where there is none; the alias takes what the login says of it. Nothing is
   * written where nothing changed. Two logins at once make one entity.
   * @throws Failure request.invalid for metadata that nobody may have
   */
  async present({
    name,
    metadata,
    mount,
  }: Presented): Promise<{ readonly entity: Entity; readonly created: boolean }> {
    const known = await this.byAlias(mount.accessor, name);
    if (known !== undefined && !differs(known, mount, name, metadata))
      return { entity: known, created: false };
    checkMetadata('alias', metadata);
    checkName(name);
    return this.#world.table.change(async (change) => {
      const now = this.#world.clock.now();
      const id = await change.get<string>(keys.alias(mount.accessor, name));
      const before = id === undefined ? undefined : await entityIn(change, id);
      if (before === undefined) {
        const alias = newAlias(name, mount, now, { metadata });
        const entityName = await freeName(change, 'entity', keys.entityName);
        const entity = { ...newEntity(entityName, now), aliases: [alias] };
        replace(change, undefined, entity);
        return { entity, created: true };
      }
      const entity = withAliases(before, (alias) =>
        alias.mountAccessor === mount.accessor && !sameMetadata(alias.metadata, metadata)
          ? { ...alias, metadata, updatedAt: now }
          : alias,
      );
      replace(change, before, entity);
      return { entity, created: false };
    });
  }

  /** Deletes an entity with its aliases and memberships. Its tokens are refused from then on. */
  async delete(find: { readonly id: string } | { readonly name: string }): Promise<void> {
    await this.#world.table.change(async (change) => {
      const id = 'id' in find ? find.id : await change.get<string>(keys.entityName(find.name));
      const entity = id === undefined ? undefined : await entityIn(change, id);
      if (entity === undefined) return;
      await leaveGroups(change, entity.id);
      for (const merged of entity.merged) change.delete(keys.merged(merged));
      replace(change, entity, undefined);
    });
  }

  /** Takes away the aliases of a mount that is gone; the entities stay. */
  async forgetMount(accessor: string): Promise<void> {
    for (const id of await this.#world.table.list(keys.mountAliases(accessor))) await this.deleteAlias(id);
  }

  async deleteAlias(id: string): Promise<void> {
    await this.#world.table.change(async (change) => {
      const owner = isId(id) ? await change.get<string>(keys.aliasId(id)) : undefined;
      const entity = owner === undefined ? undefined : await entityIn(change, owner);
      if (entity === undefined) return;
      const aliases = entity.aliases.filter((alias) => alias.id !== id);
      replace(change, entity, { ...entity, aliases });
    });
  }
}

export const entityIn = async (change: Change, id: string): Promise<Entity | undefined> =>
  isId(id) ? change.get<Entity>(keys.entity(id)) : undefined;

/** The groups that an entity is itself in. */
export const membershipsIn = async (change: Pick<Change, 'get'>, id: string): Promise<readonly string[]> =>
  (await change.get<readonly string[]>(keys.memberships(id))) ?? [];

/** Sets the groups that an entity is itself in. Of none there is no record: it would outlive the entity. */
export function setMemberships(change: Change, id: string, groups: readonly string[]): void {
  if (groups.length === 0) change.delete(keys.memberships(id));
  else change.put(keys.memberships(id), groups);
}

/** Takes an entity out of all groups; gives which they were. */
export async function leaveGroups(change: Change, id: string): Promise<readonly string[]> {
  const groups = await membershipsIn(change, id);
  for (const group of groups) change.delete(keys.member(group, id));
  if (groups.length > 0) change.delete(keys.memberships(id));
  return groups;
}

/** Whether the alias says something else now. */
function differs(
  entity: Entity,
  mount: MountFacts,
  name: string,
  metadata: Readonly<Record<string, string>>,
): boolean {
  const alias = entity.aliases.find(
    (one) => one.mountAccessor === mount.accessor && one.name.toLowerCase() === name.toLowerCase(),
  );
  return alias === undefined || !sameMetadata(alias.metadata, metadata);
}

export const withAliases = (entity: Entity, change: (alias: Alias) => Alias): Entity => ({
  ...entity,
  aliases: entity.aliases.map(change),
});

export const newEntity = (name: string, now: number): Entity => ({
  id: uuid(),
  name,
  metadata: {},
  policies: [],
  disabled: false,
  aliases: [],
  merged: [],
  createdAt: now,
  updatedAt: now,
});

export const newAlias = (
  name: string,
  mount: MountFacts,
  now: number,
  said: Partial<Pick<Alias, 'metadata' | 'customMetadata'>>,
): Alias => ({
  id: uuid(),
  name,
  mountAccessor: mount.accessor,
  metadata: {},
  customMetadata: {},
  ...said,
  local: mount.local,
  mergedFrom: [],
  createdAt: now,
  updatedAt: now,
});

/** A name that nobody has, as upstream makes them: "entity_1a2b3c4d". */
export async function freeName(
  change: Change,
  kind: 'entity' | 'group',
  keyOf: (name: string) => string,
): Promise<string> {
  for (;;) {
    const name = `${kind}_${randomBytes(4).toString('hex')}`;
    if ((await change.get(keyOf(name))) === undefined) return name;
  }
}

/** Writes an entity in place of what it was, and every index of it; `after` undefined deletes it. */
export function replace(change: Change, before: Entity | undefined, after: Entity | undefined): void {
  if (before !== undefined && before.name !== after?.name) change.delete(keys.entityName(before.name));
  for (const alias of before?.aliases ?? []) {
    change.delete(keys.alias(alias.mountAccessor, alias.name));
    change.delete(keys.aliasId(alias.id));
    change.delete(keys.mountAlias(alias.mountAccessor, alias.id));
  }
  if (after === undefined) {
    if (before !== undefined) change.delete(keys.entity(before.id));
    return;
  }
  if (before?.name !== after.name) change.put(keys.entityName(after.name), after.id);
  for (const alias of after.aliases) {
    change.put(keys.alias(alias.mountAccessor, alias.name), after.id);
    change.put(keys.aliasId(alias.id), after.id);
    change.put(keys.mountAlias(alias.mountAccessor, alias.id), after.id);
  }
  change.put(keys.entity(after.id), after);
}
