/**
 * The identities of a server: who callers are, beyond the token that they show. A token names an entity; what the entity and
 * its groups give is found out anew for each request, so that a change takes effect at once, from what is kept in memory.
 */

import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Soon } from '../../base/soon.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Identity } from '../auth/template.ts';
import { type AliasFields, type AliasPlace, writeAlias } from './aliases.ts';
import { Entities, type MountFacts, type MountOf, membershipsIn, type World } from './entities.ts';
import {
  deleteGroupAlias,
  forgetMountGroups,
  type GroupAliasFields,
  writeGroupAlias,
} from './groupaliases.ts';
import { Groups } from './groups.ts';
import { type Merge, mergeEntities } from './merge.ts';
import type { Entity, Group } from './records.ts';
import { Table } from './table.ts';

/** An entity with all that it is entitled to. */
export interface Resolved {
  readonly entity: Entity;
  readonly direct: readonly Group[];
  /** The groups that its groups are in, and so on; none of them twice and none of the direct ones. */
  readonly inherited: readonly Group[];
  /** Of the entity and of all its groups, in order. */
  readonly policies: readonly string[];
  /** What templates in policies may name. */
  readonly identity: Identity;
}

export interface LoggedIn {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly mount: MountFacts;
  /** The groups of the caller, as the method names them. */
  readonly groups: readonly string[];
}

const RESOLVED_LIMIT = 20_000;

export class IdentityStore {
  readonly entities: Entities;
  readonly groups: Groups;
  readonly mountOf: MountOf;
  readonly #world: World;
  readonly #resolved = new Map<string, Resolved>();
  readonly #watchers = new Set<() => void>();
  /** Another one after each change, and in each store: what was worked out from older records no longer stands by it. */
  revision: object = {};

  constructor(options: { readonly storage: Storage; readonly clock: Clock; readonly mountOf: MountOf }) {
    const table = new Table(options.storage, (keys) => this.#changed(keys));
    this.#world = { table, clock: options.clock, mountOf: options.mountOf };
    this.mountOf = options.mountOf;
    this.entities = new Entities(this.#world);
    this.groups = new Groups(this.#world);
  }

  /** The entity of this id, or the one that it was merged into, with what it is entitled to. */
  resolve(id: string): Soon<Resolved | undefined> {
    return this.#resolved.get(id) ?? this.#resolve(id);
  }

  async #resolve(id: string): Promise<Resolved | undefined> {
    const before = this.revision;
    const entity = await this.entities.current(id);
    if (entity === undefined) return undefined;
    // Remembered by its own id alone, which is what a change of it names.
    if (entity.id !== id) return this.resolve(entity.id);
    const resolved = resolvedOf(entity, await this.#groupsOf(entity.id));
    if (before === this.revision) {
      const oldest = this.#resolved.size >= RESOLVED_LIMIT ? this.#resolved.keys().next().value : undefined;
      if (oldest !== undefined) this.#resolved.delete(oldest);
      this.#resolved.set(id, resolved);
    }
    return resolved;
  }

  /**
   * The entity of who logs in, with the memberships that the login tells of. Writes nothing where nothing changed.
   * @throws Failure identity.disabled
   */
  async login({
    groups,
    ...presented
  }: LoggedIn): Promise<{ readonly id: string; readonly created: boolean }> {
    const { entity, created } = await this.entities.present(presented);
    if (entity.disabled) throw failure('identity.disabled');
    await this.groups.refresh(entity.id, presented.mount.accessor, groups);
    return { id: entity.id, created };
  }

  writeAlias(fields: AliasFields): Promise<AliasPlace | undefined> {
    return writeAlias(this.#world, fields);
  }

  writeGroupAlias(fields: GroupAliasFields): Promise<AliasPlace | undefined> {
    return writeGroupAlias(this.#world, this.groups, fields);
  }

  deleteGroupAlias(id: string): Promise<void> {
    return deleteGroupAlias(this.#world, this.groups, id);
  }

  merge(asked: Merge): Promise<void> {
    return this.groups.inTurn(() => mergeEntities(this.#world, asked));
  }

  /** Takes away the aliases that a mount gave; the entities and groups stay. Safe to repeat. */
  async forgetMount(accessor: string): Promise<void> {
    await this.entities.forgetMount(accessor);
    await forgetMountGroups(this.#world, this.groups, accessor);
  }

  /** Calls `watcher` after each change; gives what ends the watch. */
  onChange(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Drops everything from memory: what changed elsewhere is not known any more. */
  forget(): void {
    this.close();
    for (const watcher of this.#watchers) watcher();
  }

  close(): void {
    this.revision = {};
    this.#resolved.clear();
    this.#world.table.clear();
  }

  /** The groups that an entity is in, itself and through them. */
  async #groupsOf(entity: string): Promise<{ direct: Group[]; inherited: Group[] }> {
    const found = new Map<string, Group>();
    const direct = await membershipsIn(this.#world.table, entity);
    const open = [...direct];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (found.has(id)) continue;
      const group = await this.groups.byId(id);
      if (group === undefined) continue;
      found.set(id, group);
      open.push(...group.parents);
    }
    const own = new Set(direct);
    const all = [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return { direct: all.filter(({ id }) => own.has(id)), inherited: all.filter(({ id }) => !own.has(id)) };
  }

  #changed(keys: readonly string[]): void {
    this.revision = {};
    for (const key of keys) {
      // What a group gives is in the memory of every member.
      if (key.startsWith('group/id/')) this.#resolved.clear();
      else if (/^entity\/(?:id|groups|merged)\//.test(key))
        this.#resolved.delete(key.slice(key.lastIndexOf('/') + 1));
    }
    for (const watcher of this.#watchers) watcher();
  }
}

function resolvedOf(
  entity: Entity,
  { direct, inherited }: { direct: Group[]; inherited: Group[] },
): Resolved {
  const groups = [...direct, ...inherited];
  return {
    entity,
    direct,
    inherited,
    policies: [...new Set([...entity.policies, ...groups.flatMap((group) => group.policies)])].sort(),
    identity: {
      entity: { id: entity.id, name: entity.name, metadata: entity.metadata, aliases: entity.aliases },
      groups: groups.map(({ id, name, metadata }) => ({ id, name, metadata })),
    },
  };
}
