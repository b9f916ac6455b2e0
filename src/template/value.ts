/**
 * The values of a template and their Go types. A Go `int` is a bigint, `float64` a number, `string` a byte string (see
 * text.ts); every other integer type is `Sized`. `null` is a nil interface, as a map or list may hold one; `undefined`
 * is no value at all, which is what a pipeline makes of a nil interface and what prints as `<no value>`.
 */

import { fromBytes, fromText } from './text.ts';

/** An integer of a type other than `int`. */
export class Sized {
  readonly type: string;
  readonly value: bigint;
  constructor(type: string, value: bigint) {
    this.type = type;
    this.value = value;
  }
}

/** A slice. Its items never change, so that lists may share them. */
export class List {
  readonly elem: string;
  readonly items: readonly Value[];
  constructor(items: readonly Value[], elem = ANY) {
    this.items = items;
    this.elem = elem;
  }
}

/** A map with string keys. `set`, `unset` and `merge` change it in place, as in Go. */
export class Dict {
  readonly elem: string;
  readonly entries: Map<string, Value>;
  constructor(entries: Map<string, Value> = new Map(), elem = ANY) {
    this.entries = entries;
    this.elem = elem;
  }
  /** The keys in Go's order of printing and ranging. */
  sortedKeys(): string[] {
    return [...this.entries.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }
}

/** A method of an `Opaque` value: its parameters as a signature of the function table, and what it does. */
export interface Method {
  readonly params: readonly string[];
  readonly run: (args: readonly Value[]) => Value;
}

/** A value that has a Go type, a text and methods, but no parts that a template could range over. */
export abstract class Opaque {
  abstract readonly type: string;
  abstract readonly kind: string;
  /** What Go's String method gives. */
  abstract text(): string;
  /** What Go's %#v gives. */
  source(): string {
    return `${this.type}{${this.text()}}`;
  }
  /** What stands for it in JSON and YAML. */
  plain(): Value {
    return this.text();
  }
  abstract method(name: string): Method | undefined;
  abstract equals(other: Opaque): boolean;
}

export type Value = null | boolean | string | bigint | number | Sized | List | Dict | Opaque;
export type Maybe = Value | undefined;

export const ANY = 'interface {}';
export const ANY_MAP = 'map[string]interface {}';
export const ANY_LIST = '[]interface {}';

export const int64 = (value: bigint): Sized => new Sized('int64', BigInt.asIntN(64, value));
export const int = (value: bigint | number): bigint => BigInt.asIntN(64, BigInt(value));
export const strings = (items: readonly string[]): List => new List(items, 'string');

/** The name of a value's Go type, as %T prints it. */
export function typeOf(value: Maybe): string {
  if (value === null || value === undefined) return '<nil>';
  if (value instanceof Sized || value instanceof Opaque) return value.type;
  if (value instanceof List) return `[]${value.elem}`;
  if (value instanceof Dict) return `map[string]${value.elem}`;
  switch (typeof value) {
    case 'bigint':
      return 'int';
    case 'number':
      return 'float64';
    case 'boolean':
      return 'bool';
    default:
      return 'string';
  }
}

const NAMED: Readonly<Record<string, string>> = {
  'time.Duration': 'int64',
  'time.Month': 'int',
  'time.Weekday': 'int',
};

/** The kind of a value, as Go's reflect names it. */
export function kindOf(value: Maybe): string {
  if (value === null || value === undefined) return 'invalid';
  if (value instanceof List) return 'slice';
  if (value instanceof Dict) return 'map';
  if (value instanceof Opaque) return value.kind;
  const type = typeOf(value);
  return NAMED[type] ?? type;
}

/** The integer in a value of any integer type, else undefined. */
export function integerOf(value: Maybe): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return value instanceof Sized ? value.value : undefined;
}

export const isUnsigned = (value: Sized): boolean => value.type.startsWith('uint');

/** Go's truth: false for false, zero, nothing and the empty. */
export function truth(value: Maybe): boolean {
  if (value === null || value === undefined) return false;
  if (value instanceof Sized) return value.value !== 0n;
  if (value instanceof List) return value.items.length > 0;
  if (value instanceof Dict) return value.entries.size > 0;
  if (value instanceof Opaque) return true;
  // NaN differs from zero in Go.
  return typeof value === 'number' ? value !== 0 : Boolean(value);
}

/** The zero value of a map's or slice's element type. */
export function zeroOf(type: string): Value {
  if (type === 'string') return '';
  if (type === 'int') return 0n;
  return null;
}

/** Go's reflect.DeepEqual; types count. Callers bound the size by metering before. */
export function deepEqual(a: Maybe, b: Maybe, depth = 0): boolean {
  if (a === b) return true;
  if (depth > MAX_DEPTH || a === null || b === null || a === undefined || b === undefined) return false;
  if (a instanceof Sized && b instanceof Sized) return a.type === b.type && a.value === b.value;
  if (a instanceof List && b instanceof List) {
    return (
      a.elem === b.elem &&
      a.items.length === b.items.length &&
      a.items.every((item, i) => deepEqual(item, b.items[i], depth + 1))
    );
  }
  if (a instanceof Dict && b instanceof Dict) {
    if (a.elem !== b.elem || a.entries.size !== b.entries.size) return false;
    return [...a.entries].every(
      ([key, value]) => b.entries.has(key) && deepEqual(value, b.entries.get(key), depth + 1),
    );
  }
  return a instanceof Opaque && b instanceof Opaque && a.equals(b);
}

/** No walk over a value goes deeper: a template can put a map into itself. */
export const MAX_DEPTH = 100;

/** What a caller may hand in as data. Text is text, bytes are bytes; numbers are what Go's JSON decoder makes of them. */
export type Data =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Data[]
  | ReadonlyMap<string, Data>
  | { readonly [key: string]: Data };

/**
 * Template values of a caller's data. A map that holds nothing but bytes is Go's map[string]string, which is what
 * templates of an ExternalSecret get; any other map is map[string]interface {}.
 */
export function fromData(data: Data, depth = 0): Value {
  if (depth > MAX_DEPTH) throw new RangeError('template data is nested too deeply');
  if (data === null || typeof data === 'boolean' || typeof data === 'number') return data;
  if (typeof data === 'bigint') return int(data);
  if (typeof data === 'string') return fromText(data);
  if (data instanceof Uint8Array) return fromBytes(data);
  if (Array.isArray(data))
    return new List((data as readonly Data[]).map((item) => fromData(item, depth + 1)));
  const entries = [...(data instanceof Map ? (data as ReadonlyMap<string, Data>) : Object.entries(data))] as [
    string,
    Data,
  ][];
  const allBytes =
    data instanceof Map && entries.length > 0 && entries.every(([, value]) => value instanceof Uint8Array);
  return new Dict(
    new Map(entries.map(([key, value]) => [fromText(key), fromData(value, depth + 1)])),
    allBytes || (data instanceof Map && entries.length === 0) ? 'string' : ANY,
  );
}
