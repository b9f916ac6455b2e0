/**
 * Server-side apply: what the applier says is merged into what is there; fields it said before and no longer says go,
 * unless somebody else owns them; a field of another owner with another value is a conflict. KEP-555, structured-merge-diff.
 */

import {
  common,
  compare,
  type FieldSet,
  fieldsOf,
  isNothing,
  minus,
  NOTHING,
  type Owner,
  ownable,
  pathsOf,
  readOwners,
  sameOwner,
  sameSet,
  union,
  type Writer,
} from './managedfields.ts';
import { clone, equal, type Fields, isFields, type Obj, timestamp, type Value } from './objects.ts';
import { findItem, keyOfItem, type Shape } from './shape.ts';
import { Refusal } from './status.ts';

/** The object after an apply, and who then owns what. @throws Refusal Conflict naming each field and its owner */
export function applyTo(
  live: Obj | undefined,
  config: Obj,
  shape: Shape,
  writer: Writer,
  force: boolean,
): { object: Obj; owners: Owner[] } {
  const said = { ...fieldsOf(ownable(config), shape), member: false };
  const merged = live === undefined ? clone(config) : (merge(live, config, shape) as Obj);
  const mine: Owner = { ...writer, operation: 'Apply', time: timestamp(writer.now), set: said };
  const owners = live === undefined ? [] : readOwners(live);
  const before = owners.find((owner) => sameOwner(owner, mine));
  const others = owners.filter((owner) => owner !== before);

  const { changed } = compare(live === undefined ? undefined : ownable(live), ownable(merged), shape);
  const conflicts = others
    .map((owner) => ({ owner, set: common(owner.set, changed) }))
    .filter(({ set }) => !isNothing(set));
  if (conflicts.length > 0 && !force) throw conflictOf(conflicts);
  const rest = others.map((owner) => ({ ...owner, set: minus(owner.set, changed) }));

  let object = merged;
  if (before !== undefined) {
    const kept = rest.reduce<FieldSet>((sum, owner) => union(sum, owner.set), said);
    const gone = minus(before.set, kept);
    if (!isNothing(gone)) object = (remove(merged, gone, kept, shape) ?? merged) as Obj;
  }
  const same = before !== undefined && sameSet(before.set, said) && before.apiVersion === writer.apiVersion;
  return { object, owners: [...rest, same ? before : mine] };
}

function merge(live: Value, config: Value, shape: Shape): Value {
  if (isFields(live) && isFields(config) && !shape.atomicMap) {
    const result = Object.assign(Object.create(null) as Fields, live);
    for (const [name, value] of Object.entries(config)) {
      const current = result[name];
      result[name] = current === undefined ? clone(value) : merge(current, value, shape.field(name));
    }
    return result;
  }
  if (Array.isArray(live) && Array.isArray(config)) {
    if (shape.list === 'map') {
      const kept = live.map((item) => {
        const mine = findItem(config, keyOfItem(item, shape), shape);
        return mine === undefined ? item : merge(item, mine, shape.item());
      });
      const fresh = config.filter((item) => findItem(live, keyOfItem(item, shape), shape) === undefined);
      return [...kept, ...clone(fresh)];
    }
    if (shape.list === 'set') {
      return [...live, ...config.filter((item) => !live.some((other) => equal(other, item)))];
    }
  }
  return clone(config);
}

/** The value without the fields of `gone`; undefined when nothing of it is left. What `kept` owns stays. */
function remove(value: Value, gone: FieldSet, kept: FieldSet, shape: Shape): Value | undefined {
  if (gone.member && isNothing(kept)) return undefined;
  if (gone.below.size === 0) return value;
  if (isFields(value)) {
    const result = Object.assign(Object.create(null) as Fields, value);
    for (const [step, below] of gone.below) {
      const name = step.slice(2);
      const current = result[name];
      if (!step.startsWith('f:') || current === undefined) continue;
      const rest = remove(current, below, kept.below.get(step) ?? NOTHING, shape.field(name));
      if (rest === undefined) delete result[name];
      else result[name] = rest;
    }
    return Object.keys(result).length === 0 && isNothing(kept) ? undefined : result;
  }
  if (!Array.isArray(value)) return value;
  const rest = value.flatMap((item) => {
    const step = shape.list === 'set' ? `v:${JSON.stringify(item)}` : stepOf(item, shape, gone);
    const below = step === undefined ? undefined : gone.below.get(step);
    if (step === undefined || below === undefined) return [item];
    const left = remove(item, below, kept.below.get(step) ?? NOTHING, shape.item());
    return left === undefined ? [] : [left];
  });
  return rest.length === 0 && isNothing(kept) ? undefined : rest;
}

function stepOf(item: Value, shape: Shape, gone: FieldSet): string | undefined {
  const key = keyOfItem(item, shape);
  return [...gone.below.keys()].find(
    (step) => step.startsWith('k:') && equal(JSON.parse(step.slice(2)) as Value, key),
  );
}

function conflictOf(conflicts: readonly { owner: Owner; set: FieldSet }[]): Refusal {
  const causes = conflicts.flatMap(({ owner, set }) =>
    pathsOf(set).map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${told(owner)}`,
      field,
    })),
  );
  const [only] = causes;
  const text =
    causes.length === 1 && only !== undefined
      ? `${only.message}: ${only.field}`
      : conflicts
          .map(
            ({ owner, set }) =>
              `conflicts with ${told(owner)}:\n${pathsOf(set)
                .map((path) => `- ${path}`)
                .join('\n')}`,
          )
          .join('\n');
  return new Refusal(
    'Conflict',
    `Apply failed with ${causes.length} conflict${causes.length === 1 ? '' : 's'}: ${text}`,
    { causes },
  );
}

function told(owner: Owner): string {
  const below = owner.subresource === '' ? '' : ` with subresource "${owner.subresource}"`;
  return owner.operation === 'Apply'
    ? `"${owner.manager}"${below}`
    : `"${owner.manager}"${below} using ${owner.apiVersion}${owner.time === '' ? '' : ` at ${owner.time}`}`;
}
