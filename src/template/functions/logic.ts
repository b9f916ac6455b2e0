/** Sprig's defaults, tests of emptiness and of types, and `fail`. */

import type { Meter } from '../fuel.ts';
import { Dict, deepEqual, kindOf, List, MAX_DEPTH, Opaque, truth, typeOf, type Value } from '../value.ts';
import { CallError, fn, type Table } from './table.ts';

/** Sprig's empty: the zero of its type, or nothing in it. */
const empty = (value: Value): boolean => !truth(value);

const deepCopy = fn('any', (call, value) => {
  if (value === null) throw new CallError('reflect: call of reflect.Value.Type on zero Value');
  return copied(call.meter, value, 0);
});

export const logic: Table = {
  default: fn('any, ...any', (_, fallback, ...given) => {
    const [first = null] = given;
    return empty(first) ? fallback : first;
  }),
  empty: fn('any', (_, value) => empty(value)),
  coalesce: fn('...any', (_, ...values) => values.find((value) => !empty(value)) ?? null),
  all: fn('...any', (_, ...values) => values.every((value) => !empty(value))),
  any: fn('...any', (_, ...values) => values.some((value) => !empty(value))),
  ternary: fn('any, any, bool', (_, yes, no, test) => (test ? yes : no)),
  deepCopy,
  mustDeepCopy: deepCopy,
  deepEqual: fn('any, any', (call, a, b) => {
    weigh(call.meter, a, 0);
    return deepEqual(a, b);
  }),
  typeOf: fn('any', (_, value) => typeOf(value)),
  typeIs: fn('string, any', (_, type, value) => typeOf(value) === type),
  typeIsLike: fn('string, any', (_, type, value) => typeOf(value) === type || typeOf(value) === `*${type}`),
  kindOf: fn('any', (_, value) => kindOf(value)),
  kindIs: fn('string, any', (_, kind, value) => kindOf(value) === kind),
  // The text may be a secret: whoever wrote it knows where it stands.
  fail: fn('string', () => {
    throw new CallError('the template called fail');
  }),
};

/** Pays for a walk over all of a value. */
export function weigh(meter: Meter, value: Value, depth: number): void {
  meter.step();
  meter.deep(depth, MAX_DEPTH);
  if (typeof value === 'string') meter.step(Math.ceil(value.length / 64));
  else if (value instanceof List) for (const item of value.items) weigh(meter, item, depth + 1);
  else if (value instanceof Dict) for (const item of value.entries.values()) weigh(meter, item, depth + 1);
}

function copied(meter: Meter, value: Value, depth: number): Value {
  meter.step();
  meter.deep(depth, MAX_DEPTH);
  if (value instanceof Opaque) return value;
  if (value instanceof List) {
    meter.alloc(value.items.length * 16);
    return new List(
      value.items.map((item) => copied(meter, item, depth + 1)),
      value.elem,
    );
  }
  if (!(value instanceof Dict)) return value;
  meter.alloc(value.entries.size * 32);
  return new Dict(
    new Map([...value.entries].map(([key, item]) => [key, copied(meter, item, depth + 1)])),
    value.elem,
  );
}
