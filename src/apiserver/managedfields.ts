/**
 * Who owns which field. Sets of fields are trees, read from and written to `FieldsV1`; `fieldsOf`, `compare`, `union`,
 * `minus` and `common` are the algebra that updates and server-side apply are made of. After structured-merge-diff.
 */

import {
  asFields,
  asList,
  asText,
  clone,
  equal,
  type Fields,
  fields,
  isFields,
  meta,
  type Obj,
  timestamp,
  type Value,
} from './objects.ts';
import { keyOfItem, type Shape } from './shape.ts';

/** A set of paths: whether this path is in it, and what lies below. */
export interface FieldSet {
  readonly member: boolean;
  readonly below: ReadonlyMap<string, FieldSet>;
}

const LEAF: FieldSet = { member: true, below: new Map() };
export const NOTHING: FieldSet = { member: false, below: new Map() };
export const isNothing = (set: FieldSet): boolean => !set.member && set.below.size === 0;

const canonical = (key: Fields): string =>
  JSON.stringify(Object.fromEntries(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))));
const fieldStep = (name: string): string => `f:${name}`;
const itemStep = (item: Value, shape: Shape): string => `k:${canonical(keyOfItem(item, shape))}`;
const valueStep = (item: Value): string => `v:${JSON.stringify(item)}`;

/** Clients may send records of their own; a step that is none is dropped. */
function isStep(key: string): boolean {
  if (key.startsWith('f:')) return true;
  if (!key.startsWith('k:') && !key.startsWith('v:')) return false;
  try {
    const value: unknown = JSON.parse(key.slice(2));
    return key.startsWith('v:') || (typeof value === 'object' && value !== null && !Array.isArray(value));
  } catch {
    return false;
  }
}

export function readSet(source: Value | undefined): FieldSet {
  const own = asFields(source);
  const below = new Map<string, FieldSet>();
  for (const [key, value] of Object.entries(own)) if (isStep(key)) below.set(key, readSet(value));
  return { member: own['.'] !== undefined || below.size === 0, below };
}

export function writeSet(set: FieldSet): Fields {
  const result = fields({});
  if (set.member && set.below.size > 0) result['.'] = fields({});
  for (const key of [...set.below.keys()].sort()) result[key] = writeSet(set.below.get(key) as FieldSet);
  return result;
}

/** Every field that a value sets. */
export function fieldsOf(value: Value, shape: Shape): FieldSet {
  const below = new Map<string, FieldSet>();
  if (isFields(value) && !shape.atomicMap) {
    for (const [name, member] of Object.entries(value))
      below.set(fieldStep(name), fieldsOf(member, shape.field(name)));
  } else if (Array.isArray(value) && shape.list === 'map') {
    for (const item of value) {
      below.set(itemStep(item, shape), { member: true, below: fieldsOf(item, shape.item()).below });
    }
  } else if (Array.isArray(value) && shape.list === 'set') {
    for (const item of value) below.set(valueStep(item), LEAF);
  }
  return below.size === 0 ? LEAF : { member: false, below };
}

export interface Difference {
  /** Fields that were added or have another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** What differs from `before` to `after`. */
export function compare(before: Value | undefined, after: Value | undefined, shape: Shape): Difference {
  if (before === undefined && after === undefined) return { changed: NOTHING, removed: NOTHING };
  if (before === undefined) return { changed: fieldsOf(after as Value, shape), removed: NOTHING };
  if (after === undefined) return { changed: NOTHING, removed: fieldsOf(before, shape) };
  if (isFields(before) && isFields(after) && !shape.atomicMap) {
    const steps = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return gather(
      steps.map((name) => [fieldStep(name), false, compare(before[name], after[name], shape.field(name))]),
    );
  }
  if (Array.isArray(before) && Array.isArray(after) && shape.list !== 'atomic')
    return compareLists(before, after, shape);
  return equal(before, after) ? { changed: NOTHING, removed: NOTHING } : { changed: LEAF, removed: NOTHING };
}

function compareLists(before: readonly Value[], after: readonly Value[], shape: Shape): Difference {
  if (shape.list === 'set') {
    const only = (a: readonly Value[], b: readonly Value[]): FieldSet => ({
      member: false,
      below: new Map(
        a.filter((item) => !b.some((other) => equal(item, other))).map((item) => [valueStep(item), LEAF]),
      ),
    });
    return { changed: only(after, before), removed: only(before, after) };
  }
  const steps = new Map<string, [Value | undefined, Value | undefined]>();
  for (const item of before) steps.set(itemStep(item, shape), [item, undefined]);
  for (const item of after) {
    const step = itemStep(item, shape);
    steps.set(step, [steps.get(step)?.[0], item]);
  }
  return gather(
    [...steps].map(([step, [old, now]]) => [
      step,
      old === undefined || now === undefined,
      compare(old, now, shape.item()),
    ]),
  );
}

function gather(parts: readonly (readonly [string, boolean, Difference])[]): Difference {
  const changed = new Map<string, FieldSet>();
  const removed = new Map<string, FieldSet>();
  for (const [step, whole, difference] of parts) {
    if (!isNothing(difference.changed))
      changed.set(step, { member: difference.changed.member || whole, below: difference.changed.below });
    if (!isNothing(difference.removed))
      removed.set(step, { member: difference.removed.member || whole, below: difference.removed.below });
  }
  return { changed: { member: false, below: changed }, removed: { member: false, below: removed } };
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map(a.below);
  for (const [key, set] of b.below) {
    const mine = below.get(key);
    below.set(key, mine === undefined ? set : union(mine, set));
  }
  return { member: a.member || b.member, below };
}

export function minus(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map<string, FieldSet>();
  for (const [key, set] of a.below) {
    const other = b.below.get(key);
    const rest = other === undefined ? set : minus(set, other);
    if (!isNothing(rest)) below.set(key, rest);
  }
  return { member: a.member && !b.member, below };
}

export function common(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map<string, FieldSet>();
  for (const [key, set] of a.below) {
    const other = b.below.get(key);
    if (other === undefined) continue;
    const shared = common(set, other);
    if (!isNothing(shared)) below.set(key, shared);
  }
  return { member: a.member && b.member, below };
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  return isNothing(minus(a, b)) && isNothing(minus(b, a));
}

/** The paths of a set as messages write them: `.spec.containers[name="x"].image`. */
export function pathsOf(set: FieldSet, at = ''): string[] {
  const own = set.member && at !== '' ? [at] : [];
  return [...own, ...[...set.below].flatMap(([step, below]) => pathsOf(below, at + pathStep(step)))];
}

function pathStep(step: string): string {
  const text = step.slice(2);
  if (step.startsWith('f:')) return `.${text}`;
  if (step.startsWith('v:')) return `[=${text}]`;
  const key = JSON.parse(text) as Record<string, unknown>;
  return `[${Object.entries(key)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}]`;
}

/** One entry of `metadata.managedFields`. */
export interface Owner {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly subresource: string;
  readonly apiVersion: string;
  readonly time: string;
  readonly set: FieldSet;
}

export const sameOwner = (a: Owner, b: Owner): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;

export function readOwners(object: Obj): Owner[] {
  return asList(meta(object)['managedFields']).map((entry) => {
    const source = asFields(entry);
    return {
      manager: asText(source['manager']) ?? '',
      operation: source['operation'] === 'Apply' ? 'Apply' : 'Update',
      subresource: asText(source['subresource']) ?? '',
      apiVersion: asText(source['apiVersion']) ?? '',
      time: asText(source['time']) ?? '',
      set: { ...readSet(source['fieldsV1']), member: false },
    };
  });
}

/** Puts the owners into an object, in place; those that own nothing go. */
export function writeOwners(object: Obj, owners: readonly Owner[]): void {
  const kept = owners.filter((owner) => !isNothing(owner.set));
  const sorted = [...kept].sort(
    (a, b) =>
      Number(b.operation === 'Apply') - Number(a.operation === 'Apply') ||
      (a.time < b.time ? -1 : a.time > b.time ? 1 : 0),
  );
  if (sorted.length === 0) delete meta(object)['managedFields'];
  else meta(object)['managedFields'] = sorted.map(writeOwner);
}

const writeOwner = (owner: Owner): Fields =>
  fields({
    manager: owner.manager,
    operation: owner.operation,
    apiVersion: owner.apiVersion,
    time: owner.time === '' ? undefined : owner.time,
    fieldsType: 'FieldsV1',
    fieldsV1: writeSet(owner.set),
    subresource: owner.subresource === '' ? undefined : owner.subresource,
  });

/** Set by the server, so nobody's: names, versions, times. */
const SERVERS: readonly string[] = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'managedFields',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generateName',
];

/** An object without what nobody can own. */
export function ownable(object: Obj): Obj {
  const copy = clone(object);
  delete copy['apiVersion'];
  delete copy['kind'];
  const metadata = meta(copy);
  for (const name of SERVERS) delete metadata[name];
  if (Object.keys(metadata).length === 0) delete copy['metadata'];
  else copy['metadata'] = metadata;
  return copy;
}

export interface Writer {
  readonly manager: string;
  readonly subresource: string;
  readonly apiVersion: string;
  readonly now: number;
}

/** Records an update: the writer now owns what it changed, and the others no longer do. */
export function recordUpdate(before: Obj | undefined, after: Obj, shape: Shape, writer: Writer): Owner[] {
  const difference = compare(before === undefined ? undefined : ownable(before), ownable(after), shape);
  const taken = union(difference.changed, difference.removed);
  const owners = before === undefined ? [] : readOwners(before);
  const mine: Owner = {
    ...writer,
    operation: 'Update',
    time: timestamp(writer.now),
    set: { ...difference.changed, member: false },
  };
  let found = false;
  const next = owners.map((owner) => {
    if (!sameOwner(owner, mine)) return { ...owner, set: minus(owner.set, taken) };
    found = true;
    const set = union(minus(owner.set, difference.removed), mine.set);
    return {
      ...owner,
      apiVersion: writer.apiVersion,
      set,
      time: sameSet(set, owner.set) ? owner.time : mine.time,
    };
  });
  return found ? next : [...next, mine];
}
