/** Sprig's dictionaries. Where Go gives keys in a random order, here it is their own: the same input, the same Secret. */

import type { Meter } from '../fuel.ts';
import { ANY_MAP, Dict, List, MAX_DEPTH, strings, truth, typeOf, type Value } from '../value.ts';
import { toStringGo } from './cast.ts';
import { type Call, CallError, fn, type Table } from './table.ts';

const merge = fn('dict, ...dict', (call, into, ...sources) => merged(call, into, sources, false));
const mergeOverwrite = fn('dict, ...dict', (call, into, ...sources) => merged(call, into, sources, true));

export const dicts: Table = {
  dict: fn('...any', (call, ...values) => {
    const entries = new Map<string, Value>();
    for (let i = 0; i < values.length; i += 2) {
      const value = values[i + 1];
      entries.set(toStringGo(values[i] ?? null, call.meter), value === undefined ? '' : value);
    }
    return new Dict(entries);
  }),
  get: fn('dict, string', (_, from, key) => {
    const value = from.entries.get(key);
    return value === undefined ? '' : value;
  }),
  set: fn('dict, string, any', (call, into, key, value) => {
    call.meter.alloc(key.length + 64);
    into.entries.set(key, value);
    return into;
  }),
  unset: fn('dict, string', (_, from, key) => {
    from.entries.delete(key);
    return from;
  }),
  hasKey: fn('dict, string', (_, of, key) => of.entries.has(key)),
  pluck: fn(
    'string, ...dict',
    (_, key, ...all) =>
      new List(all.map((each) => each.entries.get(key)).filter((value) => value !== undefined)),
  ),
  keys: fn('...dict', (_, ...all) => strings(all.flatMap((each) => each.sortedKeys()))),
  values: fn('dict', (_, of) => new List(of.sortedKeys().map((key) => of.entries.get(key) ?? null))),
  pick: fn(
    'dict, ...string',
    (_, of, ...wanted) =>
      new Dict(
        new Map(
          wanted.flatMap((key) => {
            const value = of.entries.get(key);
            return value === undefined ? [] : [[key, value] as const];
          }),
        ),
      ),
  ),
  omit: fn('dict, ...string', (_, of, ...unwanted) => {
    const names = new Set(unwanted);
    return new Dict(new Map([...of.entries].filter(([key]) => !names.has(key))));
  }),
  merge,
  mustMerge: merge,
  mergeOverwrite,
  mustMergeOverwrite: mergeOverwrite,
  dig: fn('...any', (_, ...values) => {
    if (values.length < 3) throw new CallError('dig needs at least three arguments');
    const [of, fallback, ...path] = [...values].reverse();
    return dig(asDict(of), fallback ?? null, path.reverse());
  }),
};

function asDict(value: Value | undefined): Dict {
  if (value instanceof Dict && value.elem === 'interface {}') return value;
  throw new CallError(conversion(value, ANY_MAP));
}

const conversion = (value: Value | undefined, wanted: string): string =>
  `interface conversion: interface {} is ${value === null ? 'nil' : typeOf(value)}, not ${wanted}`;

function dig(from: Dict, fallback: Value, path: readonly Value[]): Value {
  const names = path.map((name) => {
    if (typeof name !== 'string') throw new CallError(conversion(name, 'string'));
    return name;
  });
  let at = from;
  for (const [i, name] of names.entries()) {
    const value = at.entries.get(name);
    if (value === undefined) return fallback;
    if (i === names.length - 1) return value;
    at = asDict(value);
  }
  return fallback;
}

function merged(call: Call, into: Dict, sources: readonly Dict[], overwrite: boolean): Dict {
  for (const source of sources) mergeInto(call.meter, into, source, overwrite, 0);
  return into;
}

/** Merges in place: what is there stays, unless it is empty or `overwrite` is set; maps are merged with maps. */
function mergeInto(meter: Meter, into: Dict, from: Dict, overwrite: boolean, depth: number): void {
  meter.deep(depth, MAX_DEPTH);
  for (const [key, value] of from.entries) {
    meter.step();
    const old = into.entries.get(key);
    if (value === null) {
      if (overwrite) into.entries.set(key, null);
    } else if (value instanceof Dict && old instanceof Dict && truth(old)) {
      if (value !== old) mergeInto(meter, old, value, overwrite, depth + 1);
    } else if (overwrite || old === undefined || !truth(old)) {
      into.entries.set(key, value);
    }
  }
}
