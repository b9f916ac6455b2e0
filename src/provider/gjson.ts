/**
 * GJSON paths over values that keep their order and digits. Source: the public description of the syntax
 * (github.com/tidwall/gjson, SYNTAX.md); `test/vectors/gjson.json` holds what the original answers. Paths come from
 * manifests of tenants, so depth and size of what they build are bounded.
 */

import { failure } from '../base/errors.ts';
import { Exact, Ordered, type OrderedJson, parseOrdered, stringify } from '../base/json.ts';

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
    const modifier = readModifier(path);
    if (modifier === undefined) return undefined;
    weigh(value, fuel);
    return { found: goOn(modifier.run(value, modifier.argument), modifier.rest, fuel, depth) };
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

interface Component {
  /** With its escapes resolved. */
  readonly name: string;
  /** The name as a pattern, where it has wildcards. */
  readonly pattern: string | undefined;
  /** From the separator on, or empty. */
  readonly rest: string;
}

function readComponent(path: string): Component {
  let name = '';
  let pattern = '';
  let wild = false;
  for (let at = 0; at < path.length; at++) {
    const c = path[at] as string;
    if (c === '.' || c === '|') return { name, pattern: wild ? pattern : undefined, rest: path.slice(at) };
    if (c === '\\' && at + 1 < path.length) {
      at++;
      const escaped = path[at] as string;
      name += escaped;
      pattern += /[*?\\]/.test(escaped) ? `\\${escaped}` : escaped;
      continue;
    }
    if (c === '*' || c === '?') wild = true;
    name += c;
    pattern += c;
  }
  return { name, pattern: wild ? pattern : undefined, rest: '' };
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

/** Where the first pipe outside brackets, quotes and escapes stands, or -1. */
function topLevelPipe(path: string): number {
  let level = 0;
  for (let at = 0; at < path.length; at++) {
    const c = path[at];
    if (c === '\\') at++;
    else if (c === '"') at = endOfString(path, at) - 1;
    else if (c === '(' || c === '[' || c === '{') level++;
    else if (c === ')' || c === ']' || c === '}') level--;
    else if (c === '|' && level === 0) return at;
  }
  return -1;
}

/** The offset behind a string's closing quote (the path's end where it has none). */
function endOfString(path: string, start: number): number {
  for (let at = start + 1; at < path.length; at++) {
    if (path[at] === '\\') at++;
    else if (path[at] === '"') return at + 1;
  }
  return path.length;
}

/** The offset behind the bracket that closes the one at `start`, or -1. */
function endOfBracket(path: string, start: number): number {
  let level = 0;
  for (let at = start; at < path.length; at++) {
    const c = path[at];
    if (c === '\\') at++;
    else if (c === '"') at = endOfString(path, at) - 1;
    else if (c === '(' || c === '[' || c === '{') level++;
    else if (c === ')' || c === ']' || c === '}') {
      level--;
      if (level === 0) return at + 1;
    }
  }
  return -1;
}

interface Query {
  readonly path: string;
  readonly operator: string;
  readonly wanted: string;
  readonly all: boolean;
  readonly rest: string;
}

function readQuery(path: string): Query | undefined {
  if (path[1] !== '(' && path[1] !== '[') return undefined;
  const end = endOfBracket(path, 1);
  if (end === -1) return undefined;
  const inner = path.slice(2, end - 1).trim();
  const all = path[end] === '#';
  const rest = path.slice(all ? end + 1 : end);
  if (rest !== '' && rest[0] !== '.' && rest[0] !== '|') return undefined;
  const split = operatorIn(inner);
  if (split === undefined) return { path: inner, operator: '', wanted: '', all, rest };
  return {
    path: inner.slice(0, split.at).trim(),
    operator: split.operator === '==' ? '=' : split.operator,
    wanted: inner.slice(split.at + split.operator.length).trim(),
    all,
    rest,
  };
}

function operatorIn(inner: string): { readonly at: number; readonly operator: string } | undefined {
  for (let at = 0; at < inner.length; at++) {
    const c = inner[at] as string;
    if (c === '\\') at++;
    else if (c === '"') at = endOfString(inner, at) - 1;
    else if (c === '(' || c === '[' || c === '{') {
      const end = endOfBracket(inner, at);
      if (end === -1) return undefined;
      at = end - 1;
    } else if ('=!<>%'.includes(c)) {
      const operator = ['==', '!=', '<=', '>=', '!%', '=', '<', '>', '%'].find((o) =>
        inner.startsWith(o, at),
      );
      if (operator !== undefined) return { at, operator };
    }
  }
  return undefined;
}

function satisfies(item: OrderedJson, query: Query, fuel: Fuel, depth: number): boolean {
  const value = query.path === '' ? item : evaluate(item, query.path, fuel, depth + 1);
  if (query.operator === '') return value !== undefined;
  let { wanted } = query;
  if (wanted.startsWith('~')) return tilde(value, query.operator, wanted.slice(1));
  if (value === undefined) return false;
  if (wanted.startsWith('"')) wanted = unquote(wanted);
  if (typeof value === 'string') {
    if (query.operator === '%') return matches(value, wanted);
    if (query.operator === '!%') return !matches(value, wanted);
    return compare(value < wanted ? -1 : value > wanted ? 1 : 0, query.operator);
  }
  if (typeof value === 'number' || value instanceof Exact) {
    const number = Number(value instanceof Exact ? value.text : value);
    const other = Number(wanted) || 0;
    return compare(number < other ? -1 : number > other ? 1 : 0, query.operator);
  }
  if (typeof value !== 'boolean') return false;
  const same = wanted === String(value);
  switch (query.operator) {
    case '=':
      return same;
    case '!=':
      return !same;
    case '>':
      return value && wanted === 'false';
    case '>=':
      return value || same;
    case '<':
      return !value && wanted === 'true';
    case '<=':
      return !value || same;
    default:
      return false;
  }
}

function tilde(value: Found, operator: string, wanted: string): boolean {
  const held =
    wanted === 'true' || wanted === 'false'
      ? truthOf(value) === (wanted === 'true')
      : wanted === 'null'
        ? value === undefined || value === null
        : wanted === '*'
          ? value !== undefined
          : undefined;
  if (held === undefined) return false;
  return operator === '=' ? held : operator === '!=' ? !held : false;
}

/** Go's ParseBool for texts; what is not there and null are false; a text that is neither, and a document, are neither. */
function truthOf(value: Found): boolean | undefined {
  if (value === undefined || value === null) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  if (value instanceof Exact) return Number(value.text) !== 0;
  if (typeof value !== 'string') return undefined;
  if (/^(1|t|true|T|True|TRUE)$/.test(value)) return true;
  return /^(0|f|false|F|False|FALSE)$/.test(value) ? false : undefined;
}

function compare(order: -1 | 0 | 1, operator: string): boolean {
  switch (operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    default:
      return false;
  }
}

function unquote(text: string): string {
  const end = endOfString(text, 0);
  try {
    return String(JSON.parse(text.slice(0, end)));
  } catch {
    return text.slice(1, end - 1);
  }
}

/** Whether a text matches a pattern of `*`, `?` and escapes; in time that its length and the pattern's bound. */
export function matches(text: string, pattern: string): boolean {
  let t = 0;
  let p = 0;
  let star = -1;
  let from = 0;
  while (t < text.length) {
    const c = pattern[p];
    if (c === '*') {
      star = p++;
      from = t;
      continue;
    }
    const escaped = c === '\\' && p + 1 < pattern.length;
    const wanted = escaped ? pattern[p + 1] : c;
    if (wanted !== undefined && ((c === '?' && !escaped) || wanted === text[t])) {
      t++;
      p += escaped ? 2 : 1;
      continue;
    }
    if (star === -1) return false;
    p = star + 1;
    t = ++from;
  }
  while (pattern[p] === '*') p++;
  return p >= pattern.length;
}

interface Selector {
  readonly name: string | undefined;
  readonly path: string;
}

function readMultipath(
  path: string,
): { readonly selectors: readonly Selector[]; readonly rest: string } | undefined {
  const end = endOfBracket(path, 0);
  if (end === -1) return undefined;
  const rest = path.slice(end);
  if (rest !== '' && rest[0] !== '.' && rest[0] !== '|') return undefined;
  const inner = path.slice(1, end - 1);
  const selectors: Selector[] = [];
  let from = 0;
  let level = 0;
  for (let at = 0; at <= inner.length; at++) {
    const c = inner[at];
    if (c === '\\') at++;
    else if (c === '"') at = endOfString(inner, at) - 1;
    else if (c === '(' || c === '[' || c === '{') level++;
    else if (c === ')' || c === ']' || c === '}') level--;
    else if (c === undefined || (c === ',' && level === 0)) {
      const part = inner.slice(from, at);
      if (part !== '') selectors.push(readSelector(part));
      from = at + 1;
    }
  }
  return { selectors, rest };
}

function readSelector(part: string): Selector {
  if (part.startsWith('"')) {
    const end = endOfString(part, 0);
    if (part[end] === ':') return { name: unquote(part.slice(0, end)), path: part.slice(end + 1) };
  }
  const bare = /^([\w-]+):/.exec(part);
  return bare === null
    ? { name: undefined, path: part }
    : { name: bare[1], path: part.slice(bare[0].length) };
}

/** The name under which a multipath files what a path found: its last plain member, else "_". */
function nameOf(path: string): string {
  let last = path;
  for (let at = path.length - 1; at >= 0; at--) {
    if (path[at] === '|' || path[at] === '.') {
      if (path[at - 1] === '\\') continue;
      last = path.slice(at + 1);
      break;
    }
  }
  return last === '' || /["\\#*?@![\]{}()]/.test(last) ? '_' : last;
}

function readLiteral(path: string): { readonly value: OrderedJson; readonly rest: string } | undefined {
  const first = path[1];
  const end =
    first === '{' || first === '['
      ? endOfBracket(path, 1)
      : first === '"'
        ? endOfString(path, 1)
        : 1 + (/^[^.|,\]}]*/.exec(path.slice(1))?.[0].length ?? 0);
  if (end <= 1) return undefined;
  try {
    return { value: parseOrdered(path.slice(1, end)), rest: path.slice(end) };
  } catch {
    return undefined;
  }
}

type Modifier = (value: OrderedJson, argument: string) => Found;

const MODIFIERS: Readonly<Record<string, Modifier>> = {
  this: (value) => value,
  // Values here are parsed: how they were indented is no longer there to change.
  pretty: (value) => value,
  ugly: (value) => value,
  valid: (value) => value,
  reverse: (value) => {
    if (Array.isArray(value)) return [...value].reverse();
    return value instanceof Ordered ? new Ordered(new Map([...value.members].reverse())) : value;
  },
  keys: (value) =>
    value instanceof Ordered
      ? [...value.members.keys()]
      : Array.isArray(value)
        ? value.map(() => null)
        : [null],
  values: (value) =>
    value instanceof Ordered ? [...value.members.values()] : Array.isArray(value) ? value : [value],
  flatten: (value, argument) => (Array.isArray(value) ? flatten(value, option(argument, 'deep')) : value),
  join: (value) => {
    if (!Array.isArray(value)) return value;
    return new Ordered(new Map(value.flatMap((item) => (item instanceof Ordered ? [...item.members] : []))));
  },
  tostr: (value) => stringify(value),
  fromstr: (value) => {
    if (typeof value !== 'string') return value === null ? undefined : value;
    try {
      return parseOrdered(value);
    } catch {
      return undefined;
    }
  },
  group: (value) => {
    if (!(value instanceof Ordered)) return undefined;
    const rows: Map<string, OrderedJson>[] = [];
    for (const [key, list] of value.members) {
      if (!Array.isArray(list)) continue;
      list.forEach((item, at) => {
        const row = rows[at] ?? new Map<string, OrderedJson>();
        row.set(key, item);
        rows[at] = row;
      });
    }
    return rows.map((row) => new Ordered(row));
  },
};

function readModifier(
  path: string,
): { readonly run: Modifier; readonly argument: string; readonly rest: string } | undefined {
  const name = /^@([A-Za-z_-]+)/.exec(path)?.[1];
  const run = name !== undefined && Object.hasOwn(MODIFIERS, name) ? MODIFIERS[name] : undefined;
  if (name === undefined || run === undefined) return undefined;
  let at = name.length + 1;
  let argument = '';
  if (path[at] === ':') {
    const start = at + 1;
    const opens = path[start];
    const end =
      opens === '{' || opens === '[' || opens === '('
        ? endOfBracket(path, start)
        : opens === '"'
          ? endOfString(path, start)
          : start + (/^[^|]*/.exec(path.slice(start))?.[0].length ?? 0);
    if (end === -1) return undefined;
    argument = path.slice(start, end);
    at = end;
  }
  const rest = path.slice(at);
  return rest === '' || rest[0] === '.' || rest[0] === '|' ? { run, argument, rest } : undefined;
}

function option(argument: string, name: string): boolean {
  if (argument === '') return false;
  try {
    const read = parseOrdered(argument);
    return read instanceof Ordered && read.members.get(name) === true;
  } catch {
    return false;
  }
}

const flatten = (items: readonly OrderedJson[], deep: boolean): OrderedJson[] =>
  items.flatMap((item) => (Array.isArray(item) ? (deep ? flatten(item, true) : item) : [item]));
