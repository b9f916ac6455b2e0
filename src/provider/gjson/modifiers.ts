/** The modifiers of GJSON paths (`@keys`, `@flatten:{"deep":true}`), one row each. Pure. */

import { Ordered, type OrderedJson, parseOrdered, stringify } from '../../base/json.ts';
import { own } from '../../base/own.ts';

export type Modifier = (value: OrderedJson, argument: string) => OrderedJson | undefined;

const MODIFIERS: Readonly<Record<string, Modifier>> = {
  this: (value) => value,
  // Values here are parsed: how they were indented is no longer there to change.
  pretty: (value) => value,
  ugly: (value) => value,
  valid: (value) => value,
  reverse: (value) => {
    if (Array.isArray(value)) return [...value].reverse();
    return value instanceof Ordered ? new Ordered(new Map([...value.members].reverse())) : value;
  },
  keys: (value) =>
    value instanceof Ordered
      ? [...value.members.keys()]
      : Array.isArray(value)
        ? value.map(() => null)
        : [null],
  values: (value) =>
    value instanceof Ordered ? [...value.members.values()] : Array.isArray(value) ? value : [value],
  flatten: (value, argument) => (Array.isArray(value) ? flatten(value, option(argument, 'deep')) : value),
  join: (value) => {
    if (!Array.isArray(value)) return value;
    return new Ordered(new Map(value.flatMap((item) => (item instanceof Ordered ? [...item.members] : []))));
  },
  tostr: (value) => stringify(value),
  fromstr: (value) => {
    if (typeof value !== 'string') return value === null ? undefined : value;
    try {
      return parseOrdered(value);
    } catch {
      return undefined;
    }
  },
  group: (value) => {
    if (!(value instanceof Ordered)) return undefined;
    const rows: Map<string, OrderedJson>[] = [];
    for (const [key, list] of value.members) {
      if (!Array.isArray(list)) continue;
      list.forEach((item, at) => {
        const row = rows[at] ?? new Map<string, OrderedJson>();
        row.set(key, item);
        rows[at] = row;
      });
    }
    return rows.map((row) => new Ordered(row));
  },
};

/** The modifier of a name, or undefined where there is none. */
export const modifierOf = (name: string): Modifier | undefined => own(MODIFIERS, name);

function option(argument: string, name: string): boolean {
  if (argument === '') return false;
  try {
    const read = parseOrdered(argument);
    return read instanceof Ordered && read.members.get(name) === true;
  } catch {
    return false;
  }
}

const flatten = (items: readonly OrderedJson[], deep: boolean): OrderedJson[] =>
  items.flatMap((item) => (Array.isArray(item) ? (deep ? flatten(item, true) : item) : [item]));
