/**
 * What a function's parameter takes, as Go's reflection decides it: by the Go type of the parameter and of the value. Pure;
 * whoever calls says where in the template it is that something does not fit.
 */

import { type Literal, type NumberLiteral, sourceOf } from './tree.ts';
import { ANY, Dict, List, type Maybe, Sized, typeOf, type Value } from './value.ts';

/** Ends the rendering with a reason that names types, never values. */
export type Fail = (reason: string) => never;

/** A value as a parameter of this Go type gets it. `fail` is told where it may not be given for one. */
export function fitted(value: Maybe, type: string | undefined, fail: Fail): Maybe {
  if (type === 'reflect.Value' || type === undefined) return value;
  if (type === ANY) return value === undefined ? null : value;
  if (value === undefined) {
    const zero = nilOf(type);
    if (zero !== undefined) return zero;
    return fail(`invalid value; expected ${type}`);
  }
  if (value === null) return fail(`wrong type for value; expected ${type}; got ${ANY}`);
  const actual = typeOf(value);
  if (actual !== type) return fail(`wrong type for value; expected ${type}; got ${actual}`);
  return value;
}

/** What nil is in a type that has one. */
export function nilOf(type: string | undefined): Value | undefined {
  if (type?.startsWith('map[')) return new Dict();
  return type?.startsWith('[]') ? new List([], type.slice(2)) : undefined;
}

/** A constant, read as the type that the parameter has. */
export function literal(node: Literal, type: string | undefined, fail: Fail): Maybe {
  switch (type) {
    case undefined:
    case ANY:
    case 'reflect.Value':
      return node.kind === 'bool' ? node.value : node.kind === 'string' ? node.text : number(node, fail);
    case 'string':
      return node.kind === 'string' ? node.text : fail(`expected string; found ${sourceOf(node)}`);
    case 'bool':
      return node.kind === 'bool' ? node.value : fail(`expected bool; found ${sourceOf(node)}`);
    case 'int':
      if (node.kind === 'number' && node.int !== undefined) return node.int;
      return fail(`expected integer; found ${sourceOf(node)}`);
    case 'float64':
      if (node.kind === 'number' && node.float !== undefined) return node.float;
      return fail(`expected float; found ${sourceOf(node)}`);
    case 'uint32':
      if (node.kind === 'number' && node.int !== undefined && node.int >= 0n)
        return new Sized('uint32', node.int);
      return fail(`expected unsigned integer; found ${sourceOf(node)}`);
    default:
      return fail(`can't handle ${sourceOf(node)} for arg of type ${type}`);
  }
}

/** A number without a type of its own, as Go takes it: a float where it is written as one, else an int. */
function number(node: NumberLiteral, fail: Fail): Value {
  if (node.isFloat && node.float !== undefined) return node.float;
  return node.int ?? fail(`${node.text} overflows int`);
}

/** What reading its arguments costs a function, in steps. */
export function costOf(values: readonly Maybe[]): number {
  let size = 1;
  for (const value of values) {
    if (typeof value === 'string') size += value.length / 64;
    else if (value instanceof List) size += value.items.length / 8;
    else if (value instanceof Dict) size += value.entries.size / 8;
  }
  return Math.ceil(size);
}
