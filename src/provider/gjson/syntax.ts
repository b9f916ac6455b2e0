/**
 * How GJSON paths are written: components, queries, multipaths, literals and modifiers, and where each ends. Reads text
 * alone; what a path finds is gjson.ts's business.
 */

import { type OrderedJson, parseOrdered } from '../../base/json.ts';

interface Component {
  /** With its escapes resolved. */
  readonly name: string;
  /** The name as a pattern, where it has wildcards. */
  readonly pattern: string | undefined;
  /** From the separator on, or empty. */
  readonly rest: string;
}

/** The first member that a path names. */
export function readComponent(path: string): Component {
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

/** Where the first pipe outside brackets, quotes and escapes stands, or -1. */
export function topLevelPipe(path: string): number {
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

export interface Query {
  readonly path: string;
  readonly operator: string;
  readonly wanted: string;
  readonly all: boolean;
  readonly rest: string;
}

/** `#(path operator wanted)` and `#(…)#`; undefined where the path is none. */
export function readQuery(path: string): Query | undefined {
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

interface Selector {
  readonly name: string | undefined;
  readonly path: string;
}

/** `[a,b]` and `{a,"name":b}`: its selectors, and what stands behind it. */
export function readMultipath(
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
export function nameOf(path: string): string {
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

/** `!` and the JSON behind it. */
export function readLiteral(
  path: string,
): { readonly value: OrderedJson; readonly rest: string } | undefined {
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

/** A modifier with what was given to it; undefined where the path does not spell one. */
export function readModifier(
  path: string,
): { readonly name: string; readonly argument: string; readonly rest: string } | undefined {
  const name = /^@([A-Za-z_-]+)/.exec(path)?.[1];
  if (name === undefined) return undefined;
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
  return rest === '' || rest[0] === '.' || rest[0] === '|' ? { name, argument, rest } : undefined;
}

/** A quoted text's meaning; one that JSON does not know loses its quotes alone. */
export function unquote(text: string): string {
  const end = endOfString(text, 0);
  try {
    return String(JSON.parse(text.slice(0, end)));
  } catch {
    return text.slice(1, end - 1);
  }
}
