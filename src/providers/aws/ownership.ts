/**
 * Who pushed what, kept in tags of the secret itself. Pure. `managed-by=external-secrets` is upstream's: what lacks it is
 * nobody's to overwrite. Beside it stands who pushed the whole or a property, which upstream does not keep: two PushSecrets
 * with one target would overwrite one another for ever, and the end of one would take away the other's value.
 */

import { createHash } from 'node:crypto';

export type Tags = ReadonlyMap<string, string>;

export const MANAGED_BY = 'managed-by';
export const MANAGER = 'external-secrets';
const OWNER = 'holdfast.dev/pushed-by';

/** The tag that says who pushed a property; names of properties may be longer than a tag's, and of other letters. */
export const ownerTag = (property: string): string =>
  property === '' ? OWNER : `${OWNER}/${createHash('sha256').update(property).digest('hex').slice(0, 32)}`;

export const isOurs = (tag: string): boolean =>
  tag === MANAGED_BY || tag === OWNER || tag.startsWith(`${OWNER}/`);

/**
 * Whether `owner` may write there, or why not. What upstream pushed names no owner, and is taken over by who pushes to it.
 */
export function mayPush(tags: Tags, property: string, owner: string): string | undefined {
  if (tags.get(MANAGED_BY) !== MANAGER) return 'secret not managed by external-secrets';
  const others =
    property === ''
      ? [...tags].filter(([tag]) => isOurs(tag) && tag !== MANAGED_BY).map(([, who]) => who)
      : [tags.get(ownerTag(property)) ?? tags.get(OWNER) ?? owner];
  return others.every((who) => who === owner) ? undefined : 'another PushSecret pushed it';
}

/** Whether this owner pushed it, and so may take it away. What names no owner stays. */
export function mayDelete(tags: Tags, property: string, owner: string): boolean {
  if (tags.get(MANAGED_BY) !== MANAGER) return false;
  if (property !== '') return (tags.get(ownerTag(property)) ?? tags.get(OWNER)) === owner;
  const owners = [...tags].filter(([tag]) => isOurs(tag) && tag !== MANAGED_BY).map(([, who]) => who);
  return tags.get(OWNER) === owner && owners.every((who) => who === owner);
}

/** The change of tags that a push makes: what to set, and what to take away. `wanted` undefined: the others stay. */
export function tagChange(
  tags: Tags,
  wanted: Readonly<Record<string, string>> | undefined,
  owned: Readonly<Record<string, string>>,
): { readonly set: ReadonlyMap<string, string>; readonly remove: readonly string[] } {
  const all = { ...wanted, ...owned };
  const set = new Map(Object.entries(all).filter(([tag, value]) => tags.get(tag) !== value));
  const remove =
    wanted === undefined
      ? []
      : [...tags.keys()].filter((tag) => !isOurs(tag) && !tag.startsWith('aws:') && !Object.hasOwn(all, tag));
  return { set, remove };
}
