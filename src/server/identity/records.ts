/**
 * What is kept of an identity: entities with their aliases, groups with theirs, and where each record lies. One record for an
 * entity and one for a group; everything else is an index that is written in the same commit.
 */

import { createHash } from 'node:crypto';

/** Who a caller is at one mount. Times in milliseconds since the epoch. */
export interface Alias {
  readonly id: string;
  readonly name: string;
  readonly mountAccessor: string;
  /** As the last login told it. */
  readonly metadata: Readonly<Record<string, string>>;
  /** As operators wrote it. */
  readonly customMetadata: Readonly<Record<string, string>>;
  readonly local: boolean;
  /** The entities that it was merged out of. */
  readonly mergedFrom: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Entity {
  readonly id: string;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly policies: readonly string[];
  /** Its tokens and logins are refused; they are not revoked. */
  readonly disabled: boolean;
  /** At most one for a mount. */
  readonly aliases: readonly Alias[];
  /** The entities that were merged into it: their tokens are its tokens. */
  readonly merged: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Group {
  readonly id: string;
  readonly name: string;
  /** `internal`: members are written here. `external`: members are who a method says, by the group's alias. */
  readonly type: 'internal' | 'external';
  readonly metadata: Readonly<Record<string, string>>;
  readonly policies: readonly string[];
  /** The groups that it is a member of. */
  readonly parents: readonly string[];
  readonly alias?: Alias;
  readonly modifyIndex: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** An alias and whose it is. */
export interface Owned {
  readonly alias: Alias;
  readonly canonicalId: string;
}

/** Names and alias names have no case, and may be longer and stranger than a key. */
const digest = (...parts: readonly string[]): string =>
  createHash('sha256')
    .update(parts.map((part) => part.toLowerCase()).join('\0'))
    .digest('hex');

/** Where things lie. The values of indices are ids; those of edges are empty. */
export const keys = {
  entities: 'entity/id/',
  entity: (id: string) => `entity/id/${id}`,
  entityName: (name: string) => `entity/name/${digest(name)}`,
  /** From (mount, name) to the entity. */
  alias: (accessor: string, name: string) => `entity/factors/${digest(accessor, name)}`,
  aliasId: (id: string) => `entity/alias/${id}`,
  mountAliases: (accessor: string) => `entity/mount/${accessor}/`,
  mountAlias: (accessor: string, id: string) => `entity/mount/${accessor}/${id}`,
  /** From an entity that was merged to the one that it is now. */
  merged: (id: string) => `entity/merged/${id}`,
  /** The groups that an entity is itself a member of. */
  memberships: (id: string) => `entity/groups/${id}`,

  groups: 'group/id/',
  group: (id: string) => `group/id/${id}`,
  groupName: (name: string) => `group/name/${digest(name)}`,
  groupAlias: (accessor: string, name: string) => `group/factors/${digest(accessor, name)}`,
  groupAliasId: (id: string) => `group/alias/${id}`,
  mountGroupAliases: (accessor: string) => `group/mount/${accessor}/`,
  mountGroupAlias: (accessor: string, id: string) => `group/mount/${accessor}/${id}`,
  /** One entry for each member, so that a login that joins a large group writes little. */
  members: (id: string) => `group/member/${id}/`,
  member: (group: string, entity: string) => `group/member/${group}/${entity}`,
  children: (id: string) => `group/child/${id}/`,
  child: (parent: string, child: string) => `group/child/${parent}/${child}`,
} as const;

/** Ids are ours; what a client names must not reach beside the folder that it belongs in. */
export const isId = (text: string): boolean => /^[\w.-]{1,128}$/.test(text);

/** Whether two sets of metadata say the same. */
export function sameMetadata(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
  );
}
