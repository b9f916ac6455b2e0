/** Sprig's lists. Each gives a new list; those named `must...` differ only in how Go reports their errors. */

import { deepEqual, kindOf, List, strings, truth, type Value } from '../value.ts';
import { toInt64, toStringGo, toStrings } from './cast.ts';
import { weigh } from './logic.ts';
import { type Call, CallError, fn, type Table } from './table.ts';

const itemsOf = (value: Value, doing: string): readonly Value[] => {
  if (value instanceof List) return value.items;
  if (value === null) throw new CallError('runtime error: invalid memory address or nil pointer dereference');
  throw new CallError(`Cannot ${doing} type ${kindOf(value)}`);
};

const list = fn('...any', (_, ...items) => new List(items));
const push = fn('any, any', (_, into, item) => new List([...itemsOf(into, 'push on'), item]));
const prepend = fn('any, any', (_, into, item) => new List([item, ...itemsOf(into, 'prepend on')]));
const first = fn('any', (_, of) => itemsOf(of, 'find first on')[0] ?? null);
const last = fn('any', (_, of) => itemsOf(of, 'find last on').at(-1) ?? null);
const rest = fn('any', (_, of) => new List(itemsOf(of, 'find rest on').slice(1)));
const initial = fn('any', (_, of) => new List(itemsOf(of, 'find initial on').slice(0, -1)));
const reverse = fn('any', (_, of) => new List([...itemsOf(of, 'find reverse on')].reverse()));
const compact = fn('any', (_, of) => new List(itemsOf(of, 'compact on').filter((item) => truth(item))));
const uniq = fn('any', (call, of) => {
  const kept: Value[] = [];
  for (const item of itemsOf(of, 'find uniq on')) if (!includes(call, kept, item)) kept.push(item);
  return new List(kept);
});
const without = fn('any, ...any', (call, of, ...omit) => {
  return new List(itemsOf(of, 'find without on').filter((item) => !includes(call, omit, item)));
});
const has = fn('any, any', (call, needle, haystack) =>
  haystack === null ? false : includes(call, itemsOf(haystack, 'find has on'), needle),
);
const slice = fn('any, ...any', (_, of, ...indexes) => {
  if (!(of instanceof List)) throw new CallError(`list should be type of slice or array but ${kindOf(of)}`);
  if (of.items.length === 0) return null;
  const start = indexes[0] === undefined ? 0 : Number(toInt64(indexes[0]));
  const end = indexes[1] === undefined ? of.items.length : Number(toInt64(indexes[1]));
  if (start < 0 || end < start || end > of.items.length)
    throw new CallError('reflect.Value.Slice: slice index out of bounds');
  return new List(of.items.slice(start, end), of.elem);
});
/** Parts of no size, or less than none: what Go's arithmetic makes of them. */
function oddChunks(items: readonly Value[], size: bigint): List {
  if (size < 0n && items.length === 1) return new List([new List(items)], '[]interface {}');
  if (size < 0n && items.length > 1 && BigInt(items.length - 1) <= -size)
    return new List([], '[]interface {}');
  throw new CallError('runtime error: makeslice: len out of range');
}

const chunk = fn('int, any', (_, size, of) => {
  const items = itemsOf(of, 'chunk');
  if (size <= 0n) return oddChunks(items, size);
  const by = Number(size);
  const parts: Value[] = [];
  for (let at = 0; at < items.length; at += by) parts.push(new List(items.slice(at, at + by)));
  return new List(parts, '[]interface {}');
});

export const lists: Table = {
  list,
  tuple: list,
  append: push,
  push,
  mustAppend: push,
  mustPush: push,
  prepend,
  mustPrepend: prepend,
  first,
  mustFirst: first,
  last,
  mustLast: last,
  rest,
  mustRest: rest,
  initial,
  mustInitial: initial,
  reverse,
  mustReverse: reverse,
  compact,
  mustCompact: compact,
  uniq,
  mustUniq: uniq,
  without,
  mustWithout: without,
  has,
  mustHas: has,
  // Sprig's `slice` takes the place of Go's own, as it does there: functions of a map win over builtins.
  slice,
  mustSlice: slice,
  chunk,
  mustChunk: chunk,
  concat: fn('...any', (call, ...all) => {
    const items = all.flatMap((each) => {
      if (!(each instanceof List)) throw new CallError(`Cannot concat type ${kindOf(each)} as list`);
      call.meter.alloc(each.items.length * 16);
      return each.items;
    });
    return new List(items);
  }),
  sortAlpha: fn('any', (call, of) => {
    if (!(of instanceof List)) return strings([toStringGo(of, call.meter)]);
    return strings(toStrings(of, call.meter).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
  }),
};

function includes(call: Call, items: readonly Value[], needle: Value): boolean {
  for (const item of items) {
    weigh(call.meter, item, 0);
    if (deepEqual(item, needle)) return true;
  }
  return false;
}
