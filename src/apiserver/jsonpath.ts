/** The JSONPath of printer columns and scale paths: names, indexes, `[*]` and filters such as `[?(@.type=="Ready")]`. */

import { equal, isFields, type Value } from './objects.ts';

type Step =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | {
      readonly kind: 'filter';
      readonly path: readonly Step[];
      readonly sign: string;
      readonly value: Value | undefined;
    };

export type JsonPath = readonly Step[];

const NAME = /\.?([A-Za-z_$@][\w$-]*(?:\\\.[\w$-]+)*)/y;
const QUOTED = /\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/y;
const INDEX = /\[(-?\d+)\]/y;
const ALL = /(?:\[\*\]|\.\*)/y;
const FILTER =
  /\[\?\(\s*@((?:\.[\w$-]+(?:\\\.[\w$-]+)*)*)\s*(?:(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|-?\d+(?:\.\d+)?|true|false))?\s*\)\]/y;

/** The path, or undefined where it is not of this subset. */
export function parseJsonPath(text: string): JsonPath | undefined {
  const source = text
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .replace(/^\$/, '');
  const steps: Step[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  while (at < source.length) {
    const all = match(ALL);
    if (all !== null) {
      steps.push({ kind: 'all' });
      continue;
    }
    const filter = match(FILTER);
    if (filter !== null) {
      const path = parseJsonPath(filter[1] ?? '');
      if (path === undefined) return undefined;
      steps.push({ kind: 'filter', path, sign: filter[2] ?? '', value: literal(filter[3]) });
      continue;
    }
    const index = match(INDEX);
    if (index !== null) {
      steps.push({ kind: 'index', index: Number(index[1]) });
      continue;
    }
    const quoted = match(QUOTED) ?? match(NAME);
    if (quoted === null) return source === '.' ? [] : undefined;
    steps.push({ kind: 'name', name: (quoted[1] ?? quoted[2] ?? '').replace(/\\(.)/g, '$1') });
  }
  return steps;
}

function literal(text: string | undefined): Value | undefined {
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^["']/.test(text) ? text.slice(1, -1) : Number(text);
}

/** All values that a path leads to. */
export function follow(value: Value | undefined, path: JsonPath): Value[] {
  let here: Value[] = value === undefined ? [] : [value];
  for (const step of path) here = here.flatMap((one) => take(one, step));
  return here;
}

function take(value: Value, step: Step): Value[] {
  switch (step.kind) {
    case 'name': {
      const member = isFields(value) ? value[step.name] : undefined;
      return member === undefined ? [] : [member];
    }
    case 'index': {
      const item = Array.isArray(value) ? value.at(step.index) : undefined;
      return item === undefined ? [] : [item];
    }
    case 'all':
      return Array.isArray(value) ? value : isFields(value) ? Object.values(value) : [];
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => holds(item, step)) : [];
  }
}

function holds(item: Value, step: Extract<Step, { kind: 'filter' }>): boolean {
  const [found] = follow(item, step.path);
  if (step.sign === '') return found !== undefined;
  if (found === undefined) return false;
  if (step.sign === '==') return equal(found, step.value);
  if (step.sign === '!=') return !equal(found, step.value);
  if (typeof found !== typeof step.value || found === null || step.value === undefined || step.value === null)
    return false;
  if (step.sign === '<') return found < step.value;
  if (step.sign === '<=') return found <= step.value;
  return step.sign === '>' ? found > step.value : found >= step.value;
}
