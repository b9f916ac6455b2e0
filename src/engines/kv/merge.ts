/** JSON of secrets, reshaped without loss: order of keys and digits of numbers stay. Pure. */

import { Ordered, type OrderedJson } from '../../base/json.ts';

/** JSON Merge Patch, RFC 7396 section 2: null removes, objects merge, all else replaces. Changes neither argument. */
export function mergePatch(target: OrderedJson | undefined, patch: Ordered): Ordered {
  const members = new Map(target instanceof Ordered ? target.members : []);
  for (const [key, value] of patch.members) {
    if (value === null) members.delete(key);
    else members.set(key, value instanceof Ordered ? mergePatch(members.get(key), value) : value);
  }
  return new Ordered(members);
}

/**
 * The keys of an object with every leaf replaced by null. An empty object is a leaf.
 * @param depth how many levels are shown; 0 shows all
 */
export function subkeys(value: Ordered, depth: number): Ordered {
  const members = new Map<string, OrderedJson>();
  for (const [key, member] of value.members) {
    const deeper = member instanceof Ordered && member.members.size > 0 && depth !== 1;
    members.set(key, deeper ? subkeys(member, Math.max(depth - 1, 0)) : null);
  }
  return new Ordered(members);
}
