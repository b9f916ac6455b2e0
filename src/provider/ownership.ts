/**
 * Who pushed what, kept in tags of the secret itself. Pure. `managed-by=external-secrets` is upstream's: what lacks it is
 * nobody's to overwrite. Beside it stands who pushed the whole or a property, which upstream does not keep: two PushSecrets
 * with one target would overwrite one another for ever, and the end of one would take away the other's value.
 */

import { createHash } from 'node:crypto';
import type { PushOptions } from './provider.ts';

export type Tags = ReadonlyMap<string, string>;

export const MANAGED_BY = 'managed-by';
export const MANAGER = 'external-secrets';

export interface Ownership {
  /** The tag that says who pushed a property, or the whole; names of properties may be longer than a tag's, and of other letters. */
  ownerTag(property: string): string;
  /** Whether a tag is one of these, which no push may set by itself. */
  isOurs(tag: string): boolean;
  /**
   * Whether `owner` may write there, or why not. What upstream pushed names no owner, and is taken over by who pushes to it;
   * what else is there, only where `adopt` says so.
   */
  mayPush(tags: Tags, property: string, owner: string, adopt?: PushOptions['adopt']): string | undefined;
  /** Whether this owner pushed it, and so may take it away. What names no owner stays. */
  mayDelete(tags: Tags, property: string, owner: string): boolean;
}

/** @param tag the tag of who pushed the whole, @param separator what parts it from the hash of a property, by the letters of the cloud */
export function ownershipBy(tag: string, separator: string): Ownership {
  const ownerTag = (property: string): string =>
    property === ''
      ? tag
      : `${tag}${separator}${createHash('sha256').update(property).digest('hex').slice(0, 32)}`;
  const isOwner = (name: string): boolean => name === tag || name.startsWith(`${tag}${separator}`);
  const ownersIn = (tags: Tags): string[] =>
    [...tags].filter(([name]) => isOwner(name)).map(([, who]) => who);
  return {
    ownerTag,
    isOurs: (name) => name === MANAGED_BY || isOwner(name),
    mayPush(tags, property, owner, adopt = () => false) {
      if (tags.get(MANAGED_BY) !== MANAGER)
        return adopt(undefined) ? undefined : 'secret not managed by external-secrets';
      const others =
        property === '' ? ownersIn(tags) : [tags.get(ownerTag(property)) ?? tags.get(tag) ?? owner];
      const mine = others.every((who) => who === owner || adopt(who));
      return mine ? undefined : 'another PushSecret pushed it';
    },
    mayDelete(tags, property, owner) {
      if (tags.get(MANAGED_BY) !== MANAGER) return false;
      if (property !== '') return (tags.get(ownerTag(property)) ?? tags.get(tag)) === owner;
      return tags.get(tag) === owner && ownersIn(tags).every((who) => who === owner);
    },
  };
}
