/** The one value that a secret of a cloud is, and a property within it where that value is a JSON object. Pure. */

import { textOf, utf8 } from '../base/bytes.ts';
import { Ordered, type OrderedJson, parseOrdered, stringify } from '../base/json.ts';
import type { Value } from './provider.ts';

/** Why a value cannot be written: for the failure that the caller makes of it. */
export class NotWritable extends Error {}

/** The bytes of a pushed value: those of an entry, or the whole Secret as JSON. */
export const bytesOf = (value: Value): Uint8Array => ('bytes' in value ? value.bytes : utf8(value.json));

/**
 * A secret's value with one property of it set to a text; numbers and the order of the others stay as they are. The property
 * is a member of that very name where there is one, else a path whose steps are parted by dots (`\.` is a dot).
 * @param before the value as it is; undefined or empty: there is none. @throws NotWritable
 */
export function withProperty(before: Uint8Array | undefined, property: string, value: Value): Uint8Array {
  const text = textOf(bytesOf(value));
  if (text === undefined) throw new NotWritable('a property of JSON cannot hold bytes that are no text');
  const root = before === undefined || before.length === 0 ? new Ordered() : objectIn(before);
  const path = root.members.has(property) ? [property] : stepsOf(property);
  return utf8(stringify(set(root, path, text)));
}

/** The value without a property: 'absent' where it is not there, undefined where nothing is left. @throws NotWritable */
export function withoutProperty(before: Uint8Array, property: string): Uint8Array | 'absent' | undefined {
  const root = objectIn(before);
  const after = unset(root, root.members.has(property) ? [property] : stepsOf(property));
  if (after === undefined) return 'absent';
  return after.members.size === 0 ? undefined : utf8(stringify(after));
}

/** Whether the value has the property. */
export function hasProperty(value: Uint8Array, property: string): boolean {
  try {
    return withoutProperty(value, property) !== 'absent';
  } catch {
    return false;
  }
}

function objectIn(bytes: Uint8Array): Ordered {
  try {
    const read = parseOrdered(textOf(bytes) ?? '', { depth: 128, count: 2_000_000 });
    if (read instanceof Ordered) return read;
  } catch {
    // Told below: a parser's error quotes what it read.
  }
  throw new NotWritable('a push with a property requires that the secret there is a JSON object');
}

const stepsOf = (property: string): string[] =>
  property
    .split(/(?<!\\)\./)
    .map((step) => step.replaceAll('\\.', '.'))
    .filter((step, _, all) => step !== '' || all.length === 1);

function set(object: Ordered, [step = '', ...rest]: readonly string[], text: string): Ordered {
  const inner = object.members.get(step);
  if (rest.length > 0 && inner !== undefined && inner !== null && !(inner instanceof Ordered))
    throw new NotWritable(`its member ${JSON.stringify(step)} is not a JSON object`);
  const value: OrderedJson =
    rest.length === 0 ? text : set(inner instanceof Ordered ? inner : new Ordered(), rest, text);
  return new Ordered(new Map(object.members).set(step, value));
}

/** Undefined: it was not there. What becomes empty goes with it. */
function unset(object: Ordered, [step = '', ...rest]: readonly string[]): Ordered | undefined {
  const inner = object.members.get(step);
  if (inner === undefined) return undefined;
  const members = new Map(object.members);
  if (rest.length === 0) {
    members.delete(step);
    return new Ordered(members);
  }
  if (!(inner instanceof Ordered)) return undefined;
  const left = unset(inner, rest);
  if (left === undefined) return undefined;
  if (left.members.size === 0) members.delete(step);
  else members.set(step, left);
  return new Ordered(members);
}
