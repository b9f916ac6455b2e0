/**
 * GJSON paths over values that keep their order and digits. Source: the public description of the syntax
 * (github.com/tidwall/gjson, SYNTAX.md); `test/vectors/gjson.json` holds what the original answers. Paths come from
 * manifests of tenants, so depth and size of what they build are bounded.
 */

import { failure } from '../../base/errors.ts';
import { Ordered, type OrderedJson } from '../../base/json.ts';
import { modifierOf } from './modifiers.ts';
import { holds, matches } from './query.ts';
import {
  nameOf,
  type Query,
  readComponent,
  readLiteral,
  readModifier,
  readMultipath,
  readQuery,
  topLevelPipe,
} from './syntax.ts';

type Found = OrderedJson | undefined;

/** How many values a path may look at or build: `[@this,@this]|[@this,@this]|…` doubles with each step. */
const BUDGET = 1_000_000;
const DEPTH = 100;

interface Fuel {
  left: number;
}

/** What the path finds, or undefined. @throws Failure provider.path_too_costly */
export function gjson(value: OrderedJson, path: string): Found {
  const fuel = { left: BUDGET };
  const found = evaluate(value, path, fuel, 0);
  if (found !== undefined) weigh(found, fuel);
  return found;
}

function spend(fuel: Fuel, cost = 1): void {
  fuel.left -= cost;
  if (fuel.left < 0) throw failure('provider.path_too_costly');
}

function weigh(value: OrderedJson, fuel: Fuel): void {
  spend(fuel, typeof value === 'string' ? 1 + value.length / 32 : 1);
  if (Array.isArray(value)) for (const item of value) weigh(item, fuel);
  else if (value instanceof Ordered) for (const item of value.members.values()) weigh(item, fuel);
}

function evaluate(value: OrderedJson, path: string, fuel: Fuel, depth: number): Found {
  spend(fuel);
  if (depth > DEPTH) throw failure('provider.path_too_costly');
  const special = evaluateSpecial(value, path, fuel, depth);
  if (special !== undefined) return special.found;
  if (Array.isArray(value)) return inArray(value, path, fuel, depth);
  if (value instanceof Ordered) return inObject(value, path, fuel, depth);
  return undefined;
}

/** Modifiers, multipaths and literals: what does not name a member. Undefined: the path is none of these. */
function evaluateSpecial(
  value: OrderedJson,
  path: string,
  fuel: Fuel,
  depth: number,
): { found: Found } | undefined {
  const first = path[0];
  if (first === '@') {
    const spelt = readModifier(path);
    const run = spelt && modifierOf(spelt.name);
    if (spelt === undefined || run === undefined) return undefined;
    weigh(value, fuel);
    return { found: goOn(run(value, spelt.argument), spelt.rest, fuel, depth) };
  }
  if (first === '!') {
    const literal = readLiteral(path);
    return literal === undefined
      ? { found: undefined }
      : { found: goOn(literal.value, literal.rest, fuel, depth) };
  }
  if (first !== '[' && first !== '{') return undefined;
  const parts = readMultipath(path);
  if (parts === undefined) return undefined;
  const items: OrderedJson[] = [];
  const members = new Map<string, OrderedJson>();
  for (const part of parts.selectors) {
    const found = evaluate(value, part.path, fuel, depth + 1);
    if (found === undefined) continue;
    items.push(found);
    members.set(part.name ?? nameOf(part.path), found);
  }
  const built = first === '[' ? items : new Ordered(members);
  weigh(built, fuel);
  return { found: goOn(built, parts.rest, fuel, depth) };
}

/** Applies what stands behind a separator; nothing there means: this is it. */
function goOn(value: Found, rest: string, fuel: Fuel, depth: number): Found {
  if (value === undefined || rest === '') return value;
  return evaluate(value, rest.slice(1), fuel, depth + 1);
}

function inObject(object: Ordered, path: string, fuel: Fuel, depth: number): Found {
  const { name, pattern, rest } = readComponent(path);
  if (pattern === undefined) return goOn(object.members.get(name), rest, fuel, depth);
  for (const [key, member] of object.members) {
    spend(fuel, 1 + key.length / 32);
    if (!matches(key, pattern)) continue;
    const found = goOn(member, rest, fuel, depth);
    // Behind a dot the next member that fits is tried; a pipe stands by the first.
    if (found !== undefined || !/^\.[^@!{[]/.test(rest)) return found;
  }
  return undefined;
}

function inArray(items: readonly OrderedJson[], path: string, fuel: Fuel, depth: number): Found {
  if (path[0] === '#') {
    const query = readQuery(path);
    if (query !== undefined) {
      if (!query.all) {
        const first = items.find((item) => satisfies(item, query, fuel, depth));
        return goOn(first, query.rest, fuel, depth);
      }
      const all = items.filter((item) => satisfies(item, query, fuel, depth));
      return each(all, query.rest, fuel, depth);
    }
    if (path.length === 1) return items.length;
    if (path[1] === '.') return each(items, path.slice(1), fuel, depth);
    if (path[1] === '|') return goOn(items.length, path.slice(1), fuel, depth);
  }
  const { name, rest } = readComponent(path);
  return /^\d{1,9}$/.test(name) ? goOn(items[Number(name)], rest, fuel, depth) : undefined;
}

/** `.rest` is asked of each item up to the next pipe; what stands behind the pipe, of the list. */
function each(items: readonly OrderedJson[], rest: string, fuel: Fuel, depth: number): Found {
  if (rest === '' || rest[0] === '|') return goOn(items, rest, fuel, depth);
  const inner = rest.slice(1);
  const pipe = topLevelPipe(inner);
  const path = pipe === -1 ? inner : inner.slice(0, pipe);
  const found = items.flatMap((item) => {
    const one = evaluate(item, path, fuel, depth + 1);
    return one === undefined ? [] : [one];
  });
  return goOn(found, pipe === -1 ? '' : inner.slice(pipe), fuel, depth);
}

function satisfies(item: OrderedJson, query: Query, fuel: Fuel, depth: number): boolean {
  return holds(query, query.path === '' ? item : evaluate(item, query.path, fuel, depth + 1));
}
