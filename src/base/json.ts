/**
 * JSON without loss. Numbers that a double cannot hold to the digit stay text (`Exact`), chosen members stay the text
 * they came as (`RawJson`), and `Ordered` keeps the order of keys that a JavaScript object would sort ("10" before "a").
 * Bounded in depth and count while it reads, because it reads what strangers send. RFC 8259.
 */

import { failure } from './errors.ts';

/** A number kept by its digits, because a double would change them. */
export class Exact {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Text that was read and found to be one JSON value; written out again verbatim. */
export class RawJson {
  readonly text: string;
  /** Reading it with `parseOrdered` and writing that gives the very same text: it has no space, no escapes, and no key twice. */
  readonly settled: boolean;
  constructor(text: string, settled = false) {
    this.text = text;
    this.settled = settled;
  }
}

export type Json =
  | null
  | boolean
  | number
  | string
  | Exact
  | RawJson
  | readonly Json[]
  | { readonly [key: string]: Json };

/** An object as a list of members in the order they came. */
export class Ordered {
  readonly members: Map<string, OrderedJson>;
  constructor(members: Map<string, OrderedJson> = new Map()) {
    this.members = members;
  }
}
export type OrderedJson = null | boolean | number | string | Exact | readonly OrderedJson[] | Ordered;

export interface Limits {
  readonly depth: number;
  readonly count: number;
}

const DEFAULT_LIMITS: Limits = { depth: 64, count: 100_000 };

interface Build<T, M> {
  object(): M;
  has(object: M, key: string): boolean;
  member(object: M, key: string, value: T): void;
  finish(object: M): T;
  array(items: T[]): T;
  scalar(value: null | boolean | number | string | Exact): T;
}

/** Members of the outermost object that are to stay text, and what such a text becomes. */
interface Kept<T> {
  readonly names: readonly string[];
  readonly as: (text: string, settled: boolean) => T;
}

const plain: Build<Json, Record<string, Json>> = {
  object: () => Object.create(null) as Record<string, Json>,
  has: (object, key) => key in object,
  member: (object, key, value) => {
    object[key] = value;
  },
  finish: (object) => object,
  array: (items) => items,
  scalar: (value) => value,
};

const ordered: Build<OrderedJson, Map<string, OrderedJson>> = {
  object: () => new Map(),
  has: (object, key) => object.has(key),
  member: (object, key, value) => object.set(key, value),
  finish: (object) => new Ordered(object),
  array: (items) => items,
  scalar: (value) => value,
};

/** Of what stays text nothing is made; only a key that comes twice is to be seen. */
const skimmed: Build<undefined, Set<string>> = {
  object: () => new Set(),
  has: (object, key) => object.has(key),
  member: (object, key) => object.add(key),
  finish: () => undefined,
  array: () => undefined,
  scalar: () => undefined,
};

/**
 * Reads one JSON value into null-prototype objects. A key given twice keeps its last value, as Go's decoder does.
 * @param keep members of the outermost object that are to stay text
 * @throws Failure json.malformed (says where, never what), json.too_deep, json.too_many
 */
export function parseJson(text: string, keep: readonly string[] = [], limits: Limits = DEFAULT_LIMITS): Json {
  return read(
    text,
    plain,
    limits,
    keep.length === 0
      ? undefined
      : { names: keep, as: (raw, settled) => new RawJson(raw, settled && raw.isWellFormed()) },
  );
}

/** Reads one JSON value and keeps the order of its keys. @throws as `parseJson` */
export function parseOrdered(text: string, limits: Limits = DEFAULT_LIMITS): OrderedJson {
  return read(text, ordered, limits);
}

/** Most names, paths and addresses: no character that JSON escapes. */
const PLAIN = /^[\w\-./:@ ]*$/;

/** A text as JSON. */
export const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));

/** Writes a value as JSON: `Exact` by its digits, `RawJson` verbatim, undefined members left out. */
export function stringify(value: unknown): string {
  const text = write(value);
  return text === undefined ? 'null' : text;
}

function write(value: unknown): string | undefined {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null';
    case 'bigint':
      return value.toString();
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value instanceof Exact || value instanceof RawJson) return value.text;
  if (value instanceof Ordered) return members(value.members);
  if (value instanceof Map) return members(value);
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value)) return `[${value.map((item) => write(item) ?? 'null').join(',')}]`;
  let text = '{';
  for (const key of Object.keys(value)) text = joined(text, key, (value as Record<string, unknown>)[key]);
  return `${text}}`;
}

function members(map: ReadonlyMap<unknown, unknown>): string {
  let text = '{';
  for (const [key, value] of map) text = joined(text, key, value);
  return `${text}}`;
}

/** An object's text so far with one member more, unless that is undefined. */
function joined(text: string, key: unknown, value: unknown): string {
  const written = write(value);
  if (written === undefined) return text;
  const quoted = typeof key === 'string' && UNESCAPED.test(key) ? `"${key}"` : JSON.stringify(key);
  return text === '{' ? `{${quoted}:${written}` : `${text},${quoted}:${written}`;
}

/** What stands in quotes as it is: most names do. */
const UNESCAPED = /^[\w./:@-]*$/;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 section 7 forbids them unescaped
const PLAIN_TEXT = /[^"\\\u0000-\u001f]*/y;

function read<T, M>(text: string, whole: Build<T, M>, limits: Limits, kept?: Kept<T>): T {
  let build = whole;
  let at = 0;
  let count = 0;
  /** Whether what was read of a kept member so far would be written otherwise. */
  let loose = false;

  const malformed = (what: string) => failure('json.malformed', { reason: `${what} at offset ${at}` });

  const space = (): void => {
    // Compact text, which most clients send, has none.
    if (text.charCodeAt(at) > 0x20) return;
    loose = true;
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  };

  const word = (expected: string): void => {
    if (!text.startsWith(expected, at)) throw malformed('unexpected character');
    at += expected.length;
  };

  const string = (): string => {
    const start = at;
    let escaped = false;
    at++;
    for (;;) {
      PLAIN_TEXT.lastIndex = at;
      PLAIN_TEXT.test(text);
      at = PLAIN_TEXT.lastIndex;
      const stop = text[at];
      if (stop === '"') break;
      if (stop !== '\\')
        throw malformed(stop === undefined ? 'unexpected end' : 'control character in a string');
      escaped = true;
      at += 2;
    }
    at++;
    if (!escaped) return text.slice(start + 1, at - 1);
    loose = true;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      throw malformed('broken escape in the string that ends');
    }
  };

  const number = (): number | Exact => {
    NUMBER.lastIndex = at;
    if (!NUMBER.test(text)) throw malformed('unexpected character');
    const digits = text.slice(at, NUMBER.lastIndex);
    at = NUMBER.lastIndex;
    const value = Number(digits);
    return String(value) === digits ? value : new Exact(digits);
  };

  const value = (depth: number): T => {
    if (++count > limits.count) throw failure('json.too_many', { limit: limits.count });
    space();
    const first = text[at];
    switch (first) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return build.scalar(string());
      case 't':
        word('true');
        return build.scalar(true);
      case 'f':
        word('false');
        return build.scalar(false);
      case 'n':
        word('null');
        return build.scalar(null);
      case undefined:
        throw malformed('unexpected end');
      default:
        return build.scalar(number());
    }
  };

  const array = (depth: number): T => {
    if (depth >= limits.depth) throw failure('json.too_deep', { limit: limits.depth });
    at++;
    const items: T[] = [];
    space();
    if (text[at] === ']') {
      at++;
      return build.array(items);
    }
    for (;;) {
      items.push(value(depth + 1));
      space();
      if (text[at] === ']') break;
      if (text[at] !== ',') throw malformed('expected "," or "]"');
      at++;
    }
    at++;
    return build.array(items);
  };

  const object = (depth: number): T => {
    if (depth >= limits.depth) throw failure('json.too_deep', { limit: limits.depth });
    at++;
    const result = build.object();
    space();
    if (text[at] === '}') {
      at++;
      return build.finish(result);
    }
    for (;;) {
      space();
      if (text[at] !== '"') throw malformed('expected a key');
      const key = string();
      space();
      if (text[at] !== ':') throw malformed('expected ":"');
      at++;
      space();
      const start = at;
      if (depth > 0) {
        if (build.has(result, key)) loose = true;
        build.member(result, key, value(depth + 1));
      } else if (kept?.names.includes(key)) {
        loose = false;
        build = skimmed as Build<unknown, unknown> as Build<T, M>;
        value(depth + 1);
        build = whole;
        build.member(result, key, kept.as(text.slice(start, at), !loose));
      } else build.member(result, key, value(depth + 1));
      space();
      if (text[at] === '}') break;
      if (text[at] !== ',') throw malformed('expected "," or "}"');
      at++;
    }
    at++;
    return build.finish(result);
  };

  const result = value(0);
  space();
  if (at !== text.length) throw malformed('unexpected text after the value');
  return result;
}
