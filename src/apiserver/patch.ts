/** The three patches: JSON patch (RFC 6902), JSON merge patch (RFC 7396), and Kubernetes' strategic merge patch. */

import {
  asFields,
  asList,
  asText,
  clone,
  empty,
  equal,
  type Fields,
  isFields,
  type Value,
} from './objects.ts';
import type { Shape } from './shape.ts';
import { badRequest, Refusal } from './status.ts';

/** RFC 7396: objects merge, null removes, anything else replaces. */
export function mergePatch(target: Value | undefined, patch: Value): Value {
  if (!isFields(patch)) return clone(patch);
  const result = isFields(target) ? Object.assign(empty(), target) : empty();
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

const OPERATIONS_LIMIT = 10_000;

/** RFC 6902. @throws Refusal BadRequest on a malformed patch, Invalid where it does not fit the object */
export function jsonPatch(target: Value, patch: Value): Value {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  if (patch.length > OPERATIONS_LIMIT)
    throw new Refusal(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${OPERATIONS_LIMIT}, got ${patch.length}`,
    );
  let whole = clone(target);
  for (const step of patch) {
    const operation = asText(asFields(step)['op']);
    const path = pointer(asFields(step)['path']);
    const from = (): string[] => pointer(asFields(step)['from']);
    const value = asFields(step)['value'];
    switch (operation) {
      case 'add':
        whole = put(whole, path, needed(value), true);
        break;
      case 'replace':
        take(whole, path);
        whole = put(whole, path, needed(value), false);
        break;
      case 'remove':
        whole = cut(whole, path);
        break;
      case 'test':
        if (!equal(take(whole, path), value)) throw doesNotFit('testing value failed', path);
        break;
      case 'copy':
        whole = put(whole, path, clone(take(whole, from())), true);
        break;
      case 'move': {
        const moved = take(whole, from());
        whole = put(cut(whole, from()), path, moved, true);
        break;
      }
      default:
        throw badRequest('a JSON patch operation is one of add, replace, remove, test, copy, move');
    }
  }
  return whole;
}

function needed(value: Value | undefined): Value {
  if (value === undefined) throw badRequest('a JSON patch operation lacks its value');
  return clone(value);
}

function pointer(value: Value | undefined): string[] {
  const text = asText(value);
  if (text === undefined || (text !== '' && !text.startsWith('/')))
    throw badRequest('a JSON patch path is a JSON pointer');
  return text
    .split('/')
    .slice(1)
    .map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~'));
}

const doesNotFit = (what: string, path: readonly string[]): Refusal =>
  new Refusal(
    'Invalid',
    `the server rejected our request due to an error in our request: ${what}: /${path.join('/')}`,
  );

function index(list: readonly Value[], part: string, path: readonly string[], end: number): number {
  if (!/^(0|[1-9]\d*)$/.test(part) || Number(part) > end) throw doesNotFit('no such index', path);
  return list.length === 0 && end < 0 ? 0 : Number(part);
}

function take(whole: Value, path: readonly string[]): Value {
  let here: Value = whole;
  for (const part of path) {
    const next: Value | undefined = Array.isArray(here)
      ? here[index(here, part, path, here.length - 1)]
      : isFields(here)
        ? here[part]
        : undefined;
    if (next === undefined) throw doesNotFit('no such path', path);
    here = next;
  }
  return here;
}

function put(whole: Value, path: readonly string[], value: Value, insert: boolean): Value {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = take(whole, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const at = last === '-' ? parent.length : index(parent, last, path, parent.length);
    parent.splice(at, insert ? 0 : 1, value);
  } else if (isFields(parent)) parent[last] = value;
  else throw doesNotFit('no such path', path);
  return whole;
}

function cut(whole: Value, path: readonly string[]): Value {
  const last = path.at(-1);
  if (last === undefined) throw doesNotFit('the whole object cannot be removed', path);
  take(whole, path);
  const parent = take(whole, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isFields(parent)) delete parent[last];
  return whole;
}

const DIRECTIVES = ['$patch', '$retainKeys'] as const;

/**
 * Strategic merge: maps merge, lists with a merge key merge item by item, the rest is replaced. Directives: `$patch`
 * (replace, delete, merge), `$retainKeys`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`.
 */
export function strategicPatch(target: Value | undefined, patch: Value, shape: Shape): Value {
  if (!isFields(patch)) return clone(patch);
  if (patch['$patch'] === 'replace') return bare(patch);
  if (patch['$patch'] === 'delete') return empty();
  const result = isFields(target) ? Object.assign(empty(), target) : empty();
  const retain = patch['$retainKeys'];
  if (Array.isArray(retain))
    for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key];
  for (const [key, value] of Object.entries(patch)) {
    if ((DIRECTIVES as readonly string[]).includes(key) || key.startsWith('$setElementOrder/')) continue;
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const name = key.slice('$deleteFromPrimitiveList/'.length);
      result[name] = asList(result[name]).filter(
        (item) => !asList(value).some((other) => equal(other, item)),
      );
    } else if (value === null) delete result[key];
    else if (Array.isArray(value)) result[key] = strategicList(result[key], value, shape.field(key));
    else result[key] = strategicPatch(result[key], value, shape.field(key));
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith('$setElementOrder/')) continue;
    const name = key.slice('$setElementOrder/'.length);
    if (Array.isArray(result[name])) result[name] = inOrder(result[name], asList(order), shape.field(name));
  }
  return result;
}

function bare(patch: Fields): Fields {
  const result = clone(patch);
  for (const key of Object.keys(result)) if (key.startsWith('$')) delete result[key];
  return result;
}

/** Strategic merge knows one key for a list, the first of those that apply knows. */
const mergeKey = (shape: Shape): string | undefined => (shape.list === 'map' ? shape.keys[0] : undefined);

function strategicList(target: Value | undefined, patch: readonly Value[], shape: Shape): Value {
  const live = asList(target);
  if (patch.some((item) => asFields(item)['$patch'] === 'replace')) {
    return patch.filter((item) => asFields(item)['$patch'] !== 'replace').map((item) => clone(item));
  }
  if (shape.list === 'set')
    return [...live, ...patch.filter((item) => !live.some((other) => equal(other, item)))];
  const key = mergeKey(shape);
  if (key === undefined) return clone([...patch]);
  const result = [...live];
  for (const item of patch) {
    const id = asFields(item)[key];
    if (id === undefined)
      throw badRequest(`a strategic merge patch has an item without its merge key "${key}"`);
    const at = result.findIndex((other) => equal(asFields(other)[key], id));
    if (asFields(item)['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) result[at] = strategicPatch(result[at], item, shape.item());
    else result.push(isFields(item) ? strategicPatch(undefined, item, shape.item()) : clone(item));
  }
  return result;
}

function inOrder(items: readonly Value[], order: readonly Value[], shape: Shape): Value[] {
  const key = mergeKey(shape);
  const rank = (item: Value): number =>
    order.findIndex((wanted) =>
      key === undefined ? equal(wanted, item) : equal(asFields(wanted)[key], asFields(item)[key]),
    );
  const ranked = items.map((item, i) => ({ item, i, rank: rank(item) }));
  // Items that the order does not name stay after the named item they stood behind.
  let last = -1;
  for (const one of ranked) {
    if (one.rank < 0) one.rank = last + 0.5;
    else last = Math.max(last, one.rank);
  }
  return ranked.sort((a, b) => a.rank - b.rank || a.i - b.i).map((one) => one.item);
}
