/**
 * The shape of a function that templates may call: a row of a table. A row's signature is written in the names of Go's
 * types and checked by the executor before the function runs, so functions see only what they ask for; the types of the
 * parameters in TypeScript follow from the same words.
 */

import type { KeyObject } from 'node:crypto';
import type { Meter } from '../fuel.ts';
import type { Keep } from '../keep.ts';
import {
  ANY,
  ANY_LIST,
  ANY_MAP,
  type Dict,
  type List,
  type Maybe,
  type Opaque,
  type Value,
} from '../value.ts';

/** What a function may use beside its arguments. */
export interface Call {
  readonly meter: Meter;
  readonly now: Date;
  /** What recurring times are counted from; absent: from `now`. */
  readonly since?: Date | undefined;
  readonly random: (count: number) => Uint8Array;
  /** Keys that took long to make; absent: each is made whenever it is wanted. */
  readonly keys?: Keep<KeyObject> | undefined;
}

/** A function's own error; the executor says where. Its message must not hold the value of an argument. */
export class CallError extends Error {
  override readonly name = 'CallError';
}

interface Types {
  string: string;
  int: bigint;
  uint32: bigint;
  float64: number;
  bool: boolean;
  /** An interface {}: anything, or null. */
  any: Value;
  /** A reflect.Value, which only Go's own functions take: anything, or nothing. */
  value: Maybe;
  dict: Dict;
  /** Of anything. */
  list: List;
  time: Opaque;
  /** What the functions that make certificates give; see `authorities.ts`. */
  certificate: Opaque;
}
type One<S> = S extends keyof Types ? Types[S] : never;
export type Arguments<S> = S extends ''
  ? []
  : S extends `${infer Head}, ${infer Tail}`
    ? [One<Head>, ...Arguments<Tail>]
    : S extends `...${infer Rest}`
      ? One<Rest>[]
      : [One<S>];

export interface Row {
  /** Names of Go types, as messages show them; the last may be repeated. */
  readonly params: readonly string[];
  readonly variadic: boolean;
  readonly run: (call: Call, args: readonly Maybe[]) => Maybe;
}

const GO_NAMES: Readonly<Record<string, string>> = {
  any: ANY,
  value: 'reflect.Value',
  dict: ANY_MAP,
  list: ANY_LIST,
  time: 'time.Time',
  certificate: 'sprig.certificate',
};

/** Makes a row, such as `fn('int, string', (call, count, text) => ...)`. The last type may be `...any`. */
export function fn<S extends string>(signature: S, run: (call: Call, ...args: Arguments<S>) => Maybe): Row {
  const words = signature === '' ? [] : signature.split(', ');
  const variadic = words.at(-1)?.startsWith('...') === true;
  const params = words.map((word) => word.replace('...', '')).map((word) => GO_NAMES[word] ?? word);
  // The executor has checked the arguments against `params`, which come from the same words as the types.
  return { params, variadic, run: (call, args) => run(call, ...(args as Arguments<S>)) };
}

export type Table = Readonly<Record<string, Row>>;
