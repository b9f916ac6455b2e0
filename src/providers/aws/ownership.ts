/** Who pushed what, in the tags of AWS. Pure. */

import { ownershipBy, type Tags } from '../../provider/ownership.ts';

export { MANAGED_BY, MANAGER, type Tags } from '../../provider/ownership.ts';
export const { ownerTag, isOurs, mayPush, mayDelete } = ownershipBy('holdfast.dev/pushed-by', '/');

/** The change of tags that a push makes: what to set, and what to take away. `wanted` undefined: the others stay. */
export function tagChange(
  tags: Tags,
  wanted: Readonly<Record<string, string>> | undefined,
  owned: Readonly<Record<string, string>>,
): { readonly set: ReadonlyMap<string, string>; readonly remove: readonly string[] } {
  const all = { ...wanted, ...owned };
  const set = new Map(Object.entries(all).filter(([tag, value]) => tags.get(tag) !== value));
  // Who pushes the whole owns every property of it; what names others there was taken over.
  const isWhole = Object.hasOwn(owned, ownerTag(''));
  const isStale = (tag: string): boolean =>
    isOurs(tag) ? isWhole : wanted !== undefined && !tag.startsWith('aws:');
  const remove = [...tags.keys()].filter((tag) => isStale(tag) && !Object.hasOwn(all, tag));
  return { set, remove };
}
