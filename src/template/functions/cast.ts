/** How Sprig's functions read a value of any type as a number or a text, without ever failing (spf13/cast, strval). */

import { show } from '../format.ts';
import type { Meter } from '../fuel.ts';
import { parseFloatGo, parseInteger } from '../number.ts';
import { fromBytes } from '../text.ts';
import { integerOf, List, type Maybe, Opaque, type Value } from '../value.ts';

const MAX = 2n ** 63n - 1n;

/** An int64 of anything; 0 where it is no number. */
export function toInt64(value: Maybe): bigint {
  const integer = integerOf(value);
  if (integer !== undefined) return BigInt.asIntN(64, integer);
  if (typeof value === 'number') return truncate(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'string') return parseInteger(withoutFraction(value)) ?? 0n;
  return 0n;
}

/** A number's text up to its point, where it is nothing but digits with one. */
function withoutFraction(text: string): string {
  const whole = /^([+-]?\d*)\.\d*$/.exec(text)?.[1];
  if (whole === undefined) return text;
  return /\d/.test(whole) ? whole : `${whole}0`;
}

/** Go's conversion of a float to int64; what does not fit is the smallest int64, as on amd64. */
function truncate(value: number): bigint {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 63) return -MAX - 1n;
  return BigInt(Math.trunc(value));
}

/** A float of anything; 0 where it is no number. */
export function toFloat64(value: Maybe): number {
  const integer = integerOf(value);
  if (integer !== undefined) return Number(integer);
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'string' ? (parseFloatGo(value) ?? 0) : 0;
}

/** A text of anything, as `toString` gives it. */
export function toStringGo(value: Value, meter: Meter): string {
  if (typeof value === 'string') return value;
  if (value instanceof List && value.elem === 'uint8') {
    return fromBytes(Uint8Array.from(value.items, (item) => Number(integerOf(item) ?? 0n)));
  }
  if (value instanceof Opaque) return value.text();
  return value === null ? '<nil>' : show(value, meter);
}

/** The texts of a list's items without the nil ones; anything else is a list of one. */
export function toStrings(value: Value, meter: Meter): string[] {
  if (value === null) return [];
  if (!(value instanceof List)) return [toStringGo(value, meter)];
  meter.step(value.items.length);
  return value.items.filter((item) => item !== null).map((item) => toStringGo(item, meter));
}
