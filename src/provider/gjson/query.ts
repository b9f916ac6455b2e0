/** What the queries of GJSON paths compare: `#(path operator wanted)`. Pure. */

import { Exact, type OrderedJson } from '../../base/json.ts';
import { type Query, unquote } from './syntax.ts';

/** Whether what a query's path found (undefined: nothing) is what the query wants. */
export function holds(query: Query, value: OrderedJson | undefined): boolean {
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

function tilde(value: OrderedJson | undefined, operator: string, wanted: string): boolean {
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
function truthOf(value: OrderedJson | undefined): boolean | undefined {
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
