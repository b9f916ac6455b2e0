/** The functions that Go's text/template has of itself. */

import { sprint, sprintf, sprintln } from '../format.ts';
import { isPrint, runes } from '../text.ts';
import {
  Dict,
  integerOf,
  isUnsigned,
  kindOf,
  List,
  type Maybe,
  Opaque,
  Sized,
  truth,
  typeOf,
  type Value,
  zeroOf,
} from '../value.ts';
import { type Call, CallError, fn, type Row, type Table } from './table.ts';

const and = fn('value, ...value', (_, first) => first);
const or = fn('value, ...value', (_, first) => first);

/** For `and` and `or`, the truth at which they stop reading arguments: the executor itself runs these two. */
export function andOr(row: Row): boolean | undefined {
  return row === and ? false : row === or ? true : undefined;
}

const compare = (test: (a: Maybe, b: Maybe) => boolean): Row => fn('value, value', (_, a, b) => test(a, b));

export const builtins: Table = {
  and,
  or,
  not: fn('value', (_, value) => !truth(value)),
  call: fn('value, ...value', (_, callee) => {
    // No data that reaches a template holds functions.
    throw new CallError(
      callee === undefined || callee === null ? 'call of nil' : `non-function of type ${typeOf(callee)}`,
    );
  }),
  index: fn('value, ...value', (_, item, ...indexes) => indexes.reduce(indexed, item ?? untyped('index'))),
  slice: fn('value, ...value', (_, item, ...indexes) => sliced(item ?? untyped('slice'), indexes)),
  len: fn('value', (_, item) => {
    if (item === undefined || item === null)
      throw new CallError(
        item === null ? 'len of nil pointer' : 'reflect: call of reflect.Value.Type on zero Value',
      );
    const length = lengthOf(item);
    if (length === undefined) throw new CallError(`len of type ${typeOf(item)}`);
    return BigInt(length);
  }),
  eq: fn('value, ...value', (_, first, ...rest) => {
    if (rest.length === 0) throw new CallError('missing argument for comparison');
    return rest.some((each) => equal(first, each));
  }),
  ne: compare((a, b) => !equal(a, b)),
  lt: compare(less),
  le: compare((a, b) => less(a, b) || equal(a, b)),
  gt: compare((a, b) => !(less(a, b) || equal(a, b))),
  ge: compare((a, b) => !less(a, b)),
  print: fn('...any', (call, ...args) => sprint(args, call.meter)),
  println: fn('...any', (call, ...args) => sprintln(args, call.meter)),
  printf: fn('string, ...any', (call, format, ...args) => sprintf(format, args, call.meter)),
  html: fn('...any', (call, ...args) => escaped(call, args, 6, html)),
  js: fn('...any', (call, ...args) => escaped(call, args, 6, javascript)),
  urlquery: fn('...any', (call, ...args) => escaped(call, args, 3, urlQuery)),
};

function untyped(what: string): never {
  throw new CallError(`${what} of untyped nil`);
}

function lengthOf(item: Value): number | undefined {
  if (typeof item === 'string') return item.length;
  if (item instanceof List) return item.items.length;
  return item instanceof Dict ? item.entries.size : undefined;
}

/** An index into something of this length. @throws CallError */
function position(index: Maybe, length: number): number {
  const value = integerOf(index);
  if (value === undefined) {
    throw new CallError(
      index === undefined || index === null
        ? 'cannot index slice/array with nil'
        : `cannot index slice/array with type ${typeOf(index)}`,
    );
  }
  if (value < 0n || value > BigInt(length)) throw new CallError('index out of range');
  return Number(value);
}

function indexed(item: Maybe, index: Maybe): Maybe {
  if (item === undefined || item === null) throw new CallError('index of nil pointer');
  if (typeof item === 'string' || item instanceof List) {
    const length = lengthOf(item) ?? 0;
    const at = position(index, length);
    if (at === length)
      throw new CallError(`reflect: ${typeof item === 'string' ? 'string' : 'slice'} index out of range`);
    return typeof item === 'string' ? new Sized('uint8', BigInt(item.charCodeAt(at))) : item.items[at];
  }
  if (item instanceof Dict) {
    if (index === undefined || index === null) throw new CallError('value is nil; should be of type string');
    if (typeof index !== 'string') throw new CallError(`value has type ${typeOf(index)}; should be string`);
    const value = item.entries.get(index);
    return value === undefined ? zeroOf(item.elem) : value;
  }
  throw new CallError(`can't index item of type ${typeOf(item)}`);
}

function sliced(item: Value, indexes: readonly Maybe[]): Value {
  if (indexes.length > 3) throw new CallError(`too many slice indexes: ${indexes.length}`);
  const isText = typeof item === 'string';
  if (!isText && !(item instanceof List)) throw new CallError(`can't slice item of type ${typeOf(item)}`);
  if (isText && indexes.length === 3) throw new CallError('cannot 3-index slice a string');
  const length = lengthOf(item) ?? 0;
  const [start = 0, end = length, most = length] = indexes.map((index) => position(index, length));
  if (start > end || end > most) throw new CallError('invalid slice index');
  return isText ? item.slice(start, end) : new List(item.items.slice(start, end), item.elem);
}

type Basic = 'bool' | 'int' | 'uint' | 'float' | 'string' | 'invalid';

function basicKind(value: Maybe): Basic {
  if (value instanceof Sized) return isUnsigned(value) ? 'uint' : 'int';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    case 'string':
      return 'string';
    default:
      return 'invalid';
  }
}

const incompatible = (a: Maybe, b: Maybe): CallError =>
  new CallError(`incompatible types for comparison: ${typeOf(a)} and ${typeOf(b)}`);

function equal(a: Maybe, b: Maybe): boolean {
  const [x, y] = [basicKind(a), basicKind(b)];
  const [i, j] = [integerOf(a), integerOf(b)];
  if (i !== undefined && j !== undefined) return i === j;
  const [isNil, otherNil] = [a === undefined || a === null, b === undefined || b === null];
  if (x !== y) {
    if (isNil || otherNil) return false;
    throw incompatible(a, b);
  }
  if (x !== 'invalid') return a === b;
  if (isNil || otherNil) return isNil && otherNil;
  if (kindOf(a) !== kindOf(b)) throw new CallError(`non-comparable types ${typeOf(a)} and ${typeOf(b)}`);
  if (a instanceof Opaque && b instanceof Opaque) return a.equals(b);
  throw new CallError(`non-comparable type ${typeOf(b)}`);
}

function less(a: Maybe, b: Maybe): boolean {
  const [x, y] = [basicKind(a), basicKind(b)];
  if (x === 'invalid' || y === 'invalid') throw new CallError('invalid type for comparison');
  const [i, j] = [integerOf(a), integerOf(b)];
  if (i !== undefined && j !== undefined) return i < j;
  if (x !== y) throw incompatible(a, b);
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  // Byte strings: the order of characters is the order of bytes.
  if (typeof a === 'string' && typeof b === 'string') return a < b;
  throw new CallError('invalid type for comparison');
}

function escaped(
  call: Call,
  args: readonly Value[],
  growth: number,
  write: (text: string) => string,
): string {
  const only = args[0];
  const text =
    args.length === 1 && typeof only === 'string'
      ? only
      : sprint(
          args.map((arg) => arg ?? undefined).map((arg) => arg ?? '<no value>'),
          call.meter,
        );
  call.meter.step(text.length / 4);
  call.meter.alloc(text.length * growth);
  return write(text);
}

const HTML: Readonly<Record<string, string>> = {
  '\0': '\u00ef\u00bf\u00bd',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
};
const html = (text: string): string => text.replace(/[\0"'&<>]/g, (char) => HTML[char] ?? char);

const JAVASCRIPT: Readonly<Record<number, string>> = {
  34: '\\"',
  38: '\\u0026',
  39: "\\'",
  60: '\\u003C',
  61: '\\u003D',
  62: '\\u003E',
  92: '\\\\',
};

function javascript(text: string): string {
  let out = '';
  for (const { rune, at, width } of runes(text)) {
    const known = JAVASCRIPT[rune];
    if (known !== undefined) out += known;
    else if (rune < 0x20) out += `\\u${rune.toString(16).toUpperCase().padStart(4, '0')}`;
    else if (rune < 0x80 || isPrint(rune)) out += text.slice(at, at + width);
    else out += `\\u${rune.toString(16).toUpperCase().padStart(4, '0')}`;
  }
  return out;
}

/** Go's url.QueryEscape. */
const urlQuery = (text: string): string =>
  text.replace(/[^A-Za-z0-9_.~-]/g, (byte) =>
    byte === ' ' ? '+' : `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
