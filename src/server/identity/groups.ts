/**
 * Groups: who is in them, which groups are in them, and what they give. All that changes a group or who is in one runs one
 * after the other, because a list of members is no condition of a commit.
 */

import { failure } from '../../base/errors.ts';
import { uuid } from '../../crypto/random.ts';
import { entityIn, freeName, membershipsIn, setMemberships, type World } from './entities.ts';
import { checkMetadata, checkName, identityPolicies } from './limits.ts';
import { type Group, isId, keys, type Owned } from './records.ts';
import type { Change } from './table.ts';
import { Turn } from './turn.ts';

/** What a client asks a group to be; what is absent stays as it is. */
export interface GroupFields {
  readonly id?: string;
  readonly name?: string;
  readonly type?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly policies?: readonly string[];
  readonly memberEntityIds?: readonly string[];
  readonly memberGroupIds?: readonly string[];
}

/** A group with who is in it. */
export interface GroupMembers {
  readonly entities: readonly string[];
  readonly groups: readonly string[];
}

const refuse = (reason: string) => failure('request.invalid', { reason });

export class Groups {
  readonly #world: World;
  readonly #turn = new Turn();

  constructor(world: World) {
    this.#world = world;
  }

  async byId(id: string): Promise<Group | undefined> {
    return isId(id) ? this.#world.table.get<Group>(keys.group(id)) : undefined;
  }

  async byName(name: string): Promise<Group | undefined> {
    const id = await this.#world.table.get<string>(keys.groupName(name));
    return id === undefined ? undefined : this.byId(id);
  }

  async byAlias(accessor: string, name: string): Promise<Group | undefined> {
    const id = await this.#world.table.get<string>(keys.groupAlias(accessor, name));
    return id === undefined ? undefined : this.byId(id);
  }

  async aliasById(id: string): Promise<Owned | undefined> {
    const owner = isId(id) ? await this.#world.table.get<string>(keys.groupAliasId(id)) : undefined;
    const group = owner === undefined ? undefined : await this.byId(owner);
    return group?.alias?.id === id ? { alias: group.alias, canonicalId: group.id } : undefined;
  }

  /** All of them, in the order of their ids. */
  all(): AsyncGenerator<Group> {
    return this.#world.table.all<Group>(keys.groups);
  }

  async members(id: string): Promise<GroupMembers> {
    const { table } = this.#world;
    return { entities: await table.list(keys.members(id)), groups: await table.list(keys.children(id)) };
  }

  /** Runs one change of groups after the other. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn.run(work);
  }

  /**
   * Makes a group, or changes the one of the id or the name.
   * @throws Failure request.invalid
   */
  write(fields: GroupFields): Promise<{ readonly group: Group; readonly created: boolean }> {
    const policies = fields.policies === undefined ? undefined : identityPolicies(fields.policies);
    if (fields.name !== undefined) checkName(fields.name);
    return this.inTurn(() =>
      this.#world.table.change(async (change) => {
        const before = await asked(change, fields);
        const type = typeOf(fields.type, before);
        await refuseName(change, fields.name, before);
        if (fields.metadata !== undefined) checkMetadata('group', fields.metadata);
        if (type === 'external' && fields.memberEntityIds !== undefined)
          throw refuse("member entities can't be set manually for external groups");
        if (type === 'external' && fields.memberGroupIds !== undefined)
          throw refuse("member groups can't be set for external groups");
        const now = this.#world.clock.now();
        const base =
          before ?? newGroup(fields.name || (await freeName(change, 'group', keys.groupName)), type, now);
        const group: Group = {
          ...base,
          name: fields.name || base.name,
          ...(policies === undefined ? {} : { policies }),
          ...(fields.metadata === undefined ? {} : { metadata: fields.metadata }),
          modifyIndex: base.modifyIndex + 1,
          updatedAt: now,
        };
        put(change, before, group);
        if (fields.memberEntityIds !== undefined)
          await this.#setMembers(change, group.id, fields.memberEntityIds);
        if (fields.memberGroupIds !== undefined)
          await this.#setChildren(change, group.id, fields.memberGroupIds);
        return { group, created: before === undefined };
      }),
    );
  }

  /** Deletes a group; its members and what it was a member of forget it. */
  delete(find: { readonly id: string } | { readonly name: string }): Promise<void> {
    return this.inTurn(() =>
      this.#world.table.change(async (change) => {
        const id = 'id' in find ? find.id : await change.get<string>(keys.groupName(find.name));
        const group = id === undefined || !isId(id) ? undefined : await change.get<Group>(keys.group(id));
        if (group === undefined) return;
        const members = await this.members(group.id);
        for (const entity of members.entities) await leave(change, group.id, entity);
        for (const child of members.groups) await this.#dropParent(change, child, group.id);
        for (const parent of group.parents) change.delete(keys.child(parent, group.id));
        put(change, group, undefined);
      }),
    );
  }

  /**
   * Makes an entity a member of exactly the external groups that a method now says it is in, as far as they are known by an
   * alias of that mount. Groups of other mounts stay. Writes nothing where nothing changed.
   * @param names the groups as the method names them
   */
  async refresh(entityId: string, accessor: string, names: readonly string[]): Promise<void> {
    const { table } = this.#world;
    if ((await this.#difference(table, entityId, accessor, names)) === undefined) return;
    await this.inTurn(() =>
      table.change(async (change) => {
        if ((await entityIn(change, entityId)) === undefined) return;
        const difference = await this.#difference(change, entityId, accessor, names);
        if (difference === undefined) return;
        const { own, joined, left } = difference;
        for (const group of joined) change.put(keys.member(group, entityId), '');
        for (const group of left) change.delete(keys.member(group, entityId));
        const kept = own.filter((group) => !left.includes(group));
        setMemberships(change, entityId, [...kept, ...joined]);
      }),
    );
  }

  async #difference(
    from: Pick<Change, 'get'>,
    entityId: string,
    accessor: string,
    names: readonly string[],
  ): Promise<{ own: readonly string[]; joined: string[]; left: string[] } | undefined> {
    const own = await membershipsIn(from, entityId);
    if (own.length === 0 && names.length === 0) return undefined;
    const wanted = new Set<string>();
    for (const name of names) {
      const id = await from.get<string>(keys.groupAlias(accessor, name));
      if (id !== undefined && (await from.get(keys.group(id))) !== undefined) wanted.add(id);
    }
    const left: string[] = [];
    for (const id of own) {
      const group = wanted.has(id) ? undefined : await from.get<Group>(keys.group(id));
      if (group?.type === 'external' && (group.alias === undefined || group.alias.mountAccessor === accessor))
        left.push(id);
    }
    const joined = [...wanted].filter((id) => !own.includes(id));
    return joined.length === 0 && left.length === 0 ? undefined : { own, joined, left };
  }

  async #setMembers(change: Change, group: string, ids: readonly string[]): Promise<void> {
    const wanted = new Set(ids);
    const before = await this.#world.table.list(keys.members(group));
    for (const id of before) if (!wanted.has(id)) await leave(change, group, id);
    for (const id of wanted) {
      if ((await entityIn(change, id)) === undefined) throw refuse(`invalid entity ID ${JSON.stringify(id)}`);
      const own = await membershipsIn(change, id);
      if (own.includes(group)) continue;
      setMemberships(change, id, [...own, group]);
      change.put(keys.member(group, id), '');
    }
  }

  async #setChildren(change: Change, group: string, ids: readonly string[]): Promise<void> {
    const wanted = new Set(ids);
    const before = await this.#world.table.list(keys.children(group));
    for (const id of before) if (!wanted.has(id)) await this.#dropParent(change, id, group);
    for (const id of wanted) {
      const child = isId(id) ? await change.get<Group>(keys.group(id)) : undefined;
      if (child === undefined) throw refuse(`invalid member group ID ${JSON.stringify(id)}`);
      if (id === group) throw refuse(`member group ID ${JSON.stringify(id)} is same as the ID of the group`);
      if (child.parents.includes(group)) continue;
      if (await isAbove(change, id, group)) throw failure('identity.group_cycle', { group: id });
      change.put(keys.child(group, id), '');
      change.put(keys.group(id), this.#touched({ ...child, parents: [...child.parents, group] }));
    }
  }

  async #dropParent(change: Change, child: string, parent: string): Promise<void> {
    const group = await change.get<Group>(keys.group(child));
    change.delete(keys.child(parent, child));
    if (group === undefined) return;
    const parents = group.parents.filter((id) => id !== parent);
    change.put(keys.group(child), this.#touched({ ...group, parents }));
  }

  #touched(group: Group): Group {
    return { ...group, modifyIndex: group.modifyIndex + 1, updatedAt: this.#world.clock.now() };
  }
}

/** Whether `group` is, directly or not, a member of `above`'s own groups: whether `above` lies over it. */
async function isAbove(change: Change, above: string, group: string): Promise<boolean> {
  const seen = new Set<string>();
  const open = [group];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === above) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    open.push(...((await change.get<Group>(keys.group(id)))?.parents ?? []));
  }
  return false;
}

/** Takes one entity out of one group. */
export async function leave(change: Change, group: string, entity: string): Promise<void> {
  const own = await membershipsIn(change, entity);
  setMemberships(
    change,
    entity,
    own.filter((id) => id !== group),
  );
  change.delete(keys.member(group, entity));
}

/** The group that is to be changed, or none where one is to be made. @throws Failure request.invalid */
async function asked(change: Change, { id, name }: GroupFields): Promise<Group | undefined> {
  if (id === undefined && name === undefined) return undefined;
  if (id !== undefined) {
    if (id === '') throw refuse('empty group ID');
    const group = isId(id) ? await change.get<Group>(keys.group(id)) : undefined;
    if (group === undefined) throw refuse('invalid group ID');
    return group;
  }
  if (name === undefined || name === '') throw refuse('empty group name');
  const known = await change.get<string>(keys.groupName(name));
  return known === undefined ? undefined : change.get<Group>(keys.group(known));
}

async function refuseName(
  change: Change,
  name: string | undefined,
  before: Group | undefined,
): Promise<void> {
  if (name === undefined || name === '') return;
  const holder = await change.get<string>(keys.groupName(name));
  if (holder !== undefined && holder !== before?.id) throw refuse('group name is already in use');
}

/** @throws Failure request.invalid */
function typeOf(given: string | undefined, before: Group | undefined): Group['type'] {
  if (before !== undefined && given !== undefined && given !== before.type)
    throw refuse('group type cannot be changed');
  const type = given || before?.type || 'internal';
  if (type !== 'internal' && type !== 'external') throw refuse(`invalid group type ${JSON.stringify(type)}`);
  return type;
}

export const newGroup = (name: string, type: Group['type'], now: number): Group => ({
  id: uuid(),
  name,
  type,
  metadata: {},
  policies: [],
  parents: [],
  modifyIndex: 0,
  createdAt: now,
  updatedAt: now,
});

/** Writes a group in place of what it was, and every index of it; `after` undefined deletes it. */
export function put(change: Change, before: Group | undefined, after: Group | undefined): void {
  if (before !== undefined && before.name !== after?.name) change.delete(keys.groupName(before.name));
  if (before?.alias !== undefined) {
    change.delete(keys.groupAlias(before.alias.mountAccessor, before.alias.name));
    change.delete(keys.groupAliasId(before.alias.id));
    change.delete(keys.mountGroupAlias(before.alias.mountAccessor, before.alias.id));
  }
  if (after === undefined) {
    if (before !== undefined) change.delete(keys.group(before.id));
    return;
  }
  if (before?.name !== after.name) change.put(keys.groupName(after.name), after.id);
  if (after.alias !== undefined) {
    change.put(keys.groupAlias(after.alias.mountAccessor, after.alias.name), after.id);
    change.put(keys.groupAliasId(after.alias.id), after.id);
    change.put(keys.mountGroupAlias(after.alias.mountAccessor, after.alias.id), after.id);
  }
  change.put(keys.group(after.id), after);
}
