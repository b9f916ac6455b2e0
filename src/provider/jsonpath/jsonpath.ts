/**
 * JSON paths over values that keep their order and digits, as stores of kind webhook name what they want. What upstream's
 * library (PaesslerAG/jsonpath) reads gives the same here; single quotes, `<`, `&&`, `||` and `!` are more. Paths come
 * from manifests of tenants, so what one looks at and finds is bounded.
 */

import { Exact, Ordered, type OrderedJson } from '../../base/json.ts';
import { type Condition, type Operand, PathError, parsePath, type Select, type Step } from './syntax.ts';

export { PathError } from './syntax.ts';

/** How many values one path may look at: `$..*..*..*` multiplies with each step. */
const BUDGET = 1_000_000;

interface Search {
  readonly root: OrderedJson;
  left: number;
}

/** What a path found. `one`: each of its steps names one value; else a list, which may be empty. */
type Found = { readonly one: OrderedJson } | { readonly all: readonly OrderedJson[] };

/**
 * What the path finds: a value; or, for a path with a wildcard, a filter, a slice, several names or "..", a list of values.
 * @throws PathError where the path cannot be read, or what it names is not there
 */
export function jsonPath(value: OrderedJson, path: string): OrderedJson {
  const search: Search = { root: value, left: BUDGET };
  const found = walk(value, parsePath(path), search);
  return 'one' in found ? found.one : found.all;
}

function walk(start: OrderedJson, steps: readonly Step[], search: Search): Found {
  let found: Found = { one: start };
  for (const step of steps) {
    if ('one' in found && isDefinite(step)) {
      found = { one: only(found.one, step.select, search) };
      continue;
    }
    const from: readonly OrderedJson[] = 'one' in found ? [found.one] : found.all;
    const next: OrderedJson[] = [];
    for (const value of from)
      for (const at of step.descend ? below(value, search) : [value])
        for (const one of selected(at, step.select, search)) {
          spend(search);
          next.push(one);
        }
    found = { all: next };
  }
  return found;
}

const isDefinite = ({ select, descend }: Step): boolean =>
  !descend &&
  (('names' in select && select.names.length === 1) || ('indices' in select && select.indices.length === 1));

/** The one value that a step names. @throws PathError where there is none */
function only(value: OrderedJson, select: Select, search: Search): OrderedJson {
  const [found] = selected(value, select, search);
  if (found !== undefined) return found;
  if ('names' in select) throw new PathError(`unknown key ${select.names[0]}`);
  throw new PathError(`index ${'indices' in select ? select.indices[0] : ''} out of bounds`);
}

function* selected(value: OrderedJson, select: Select, search: Search): Iterable<OrderedJson> {
  spend(search);
  if ('names' in select) {
    for (const name of select.names) {
      const member = memberOf(value, name);
      if (member !== undefined) yield member;
    }
  } else if ('indices' in select) {
    for (const index of select.indices) {
      const item = isList(value) ? value[index] : memberOf(value, String(index));
      if (item !== undefined) yield item;
    }
  } else if ('slice' in select) {
    if (isList(value)) yield* sliced(value, select.slice);
  } else {
    for (const item of childrenOf(value))
      if ('all' in select || holds(select.where, item, search)) yield item;
  }
}

/** A member by its name; of a list, an item by its index as text, which upstream takes, too. */
function memberOf(value: OrderedJson, name: string): OrderedJson | undefined {
  if (value instanceof Ordered) return value.members.get(name);
  return isList(value) && /^\d{1,9}$/.test(name) ? value[Number(name)] : undefined;
}

/** As Go's and Python's slices; a stride below zero goes backwards. */
function* sliced(list: readonly OrderedJson[], [start, end, stride = 1]: readonly (number | undefined)[]) {
  if (stride === 0) return;
  const size = list.length;
  const bound = (at: number | undefined, otherwise: number): number =>
    at === undefined ? otherwise : Math.max(stride > 0 ? 0 : -1, Math.min(at < 0 ? at + size : at, size));
  if (stride > 0) for (let at = bound(start, 0); at < bound(end, size); at += stride) yield item(list, at);
  else
    for (let at = Math.min(bound(start, size - 1), size - 1); at > bound(end, -1); at += stride)
      yield item(list, at);
}
const item = (list: readonly OrderedJson[], at: number): OrderedJson => list[at] ?? null;

/** The value and everything below it. */
function* below(value: OrderedJson, search: Search): Iterable<OrderedJson> {
  spend(search);
  yield value;
  for (const child of childrenOf(value)) yield* below(child, search);
}

function childrenOf(value: OrderedJson): Iterable<OrderedJson> {
  if (value instanceof Ordered) return value.members.values();
  return isList(value) ? value : [];
}

function holds(condition: Condition, current: OrderedJson, search: Search): boolean {
  spend(search);
  switch (condition.op) {
    case '&&':
      return holds(condition.left, current, search) && holds(condition.right, current, search);
    case '||':
      return holds(condition.left, current, search) || holds(condition.right, current, search);
    case '!':
      return !holds(condition.of, current, search);
    case 'is': {
      const value = operand(condition.of, current, search);
      return value !== undefined && value !== false;
    }
    default:
      return compared(
        condition.op,
        operand(condition.left, current, search),
        operand(condition.right, current, search),
      );
  }
}

/** The value of one side, undefined where the path finds nothing; a list that a path found stands for its first. */
function operand(side: Operand, current: OrderedJson, search: Search): OrderedJson | undefined {
  if ('literal' in side) return side.literal;
  try {
    const found = walk(side.from === '$' ? search.root : current, side.steps, search);
    return 'one' in found ? found.one : found.all[0];
  } catch (error) {
    if (error instanceof PathError && search.left >= 0) return undefined;
    throw error;
  }
}

function compared(
  op: '==' | '!=' | '<' | '<=' | '>' | '>=',
  left: OrderedJson | undefined,
  right: OrderedJson | undefined,
): boolean {
  if (left === undefined || right === undefined) return op === '!=' && left !== right;
  const [a, b] = [plain(left), plain(right)];
  if (op === '==' || op === '!=') return (a === b) === (op === '==');
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) return false;
  const order = a === b ? 0 : (a as number) < (b as number) ? -1 : 1;
  return op === '<' ? order < 0 : op === '<=' ? order <= 0 : op === '>' ? order > 0 : order >= 0;
}

/** A scalar as it compares: numbers by their value, however they are written. */
const plain = (value: OrderedJson): OrderedJson => (value instanceof Exact ? Number(value.text) : value);

const isList = (value: OrderedJson): value is readonly OrderedJson[] => Array.isArray(value);

function spend(search: Search): void {
  if (--search.left < 0) throw new PathError('it looks at too many values');
}
