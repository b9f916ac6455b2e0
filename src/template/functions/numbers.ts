/** Sprig's arithmetic: int64 that wraps, float64, and decimals where Sprig computes with them. */

import { formatFloat } from '../float.ts';
import { sprint } from '../format.ts';
import type { Meter } from '../fuel.ts';
import { int, int64, List, type Sized, type Value } from '../value.ts';
import { toFloat64, toInt64 } from './cast.ts';
import { CallError, fn, type Table } from './table.ts';

const MAX = 2n ** 63n - 1n;

/** The first of the values, by this order. */
function extreme(values: readonly Value[], before: (a: bigint, b: bigint) => boolean): Sized {
  let best = toInt64(values[0]);
  for (const value of values) {
    const each = toInt64(value);
    if (before(each, best)) best = each;
  }
  return int64(best);
}
const largest = fn('any, ...any', (_, ...values) => extreme(values, (a, b) => a > b));

export const numbers: Table = {
  int: fn('any', (_, value) => toInt64(value)),
  int64: fn('any', (_, value) => int64(toInt64(value))),
  float64: fn('any', (_, value) => toFloat64(value)),
  atoi: fn('string', (_, text) => atoi(text)),
  toDecimal: fn('any', (call, value) => int64(parseOctal(sprint([value], call.meter)))),
  add1: fn('any', (_, value) => int64(toInt64(value) + 1n)),
  add: fn('...any', (_, ...values) => int64(values.reduce<bigint>((sum, value) => sum + toInt64(value), 0n))),
  sub: fn('any, any', (_, a, b) => int64(toInt64(a) - toInt64(b))),
  mul: fn('any, ...any', (_, first, ...rest) =>
    int64(
      rest.reduce<bigint>((product, value) => BigInt.asIntN(64, product * toInt64(value)), toInt64(first)),
    ),
  ),
  div: fn('any, any', (_, a, b) => int64(toInt64(a) / divisor(b))),
  mod: fn('any, any', (_, a, b) => int64(toInt64(a) % divisor(b))),
  max: largest,
  biggest: largest,
  min: fn('any, ...any', (_, ...values) => extreme(values, (a, b) => a < b)),
  maxf: fn('any, ...any', (_, first, ...rest) => Math.max(toFloat64(first), ...rest.map(toFloat64))),
  minf: fn('any, ...any', (_, first, ...rest) => Math.min(toFloat64(first), ...rest.map(toFloat64))),
  add1f: fn('any', (_, value) => decimals([value, 1n], plus)),
  addf: fn('...any', (_, ...values) => decimals([0, ...values], plus)),
  subf: fn('any, ...any', (_, first, ...rest) => decimals([first, ...rest], minus)),
  mulf: fn('any, ...any', (_, first, ...rest) => decimals([first, ...rest], times)),
  divf: fn('any, ...any', (_, first, ...rest) => decimals([first, ...rest], over)),
  floor: fn('any', (_, value) => Math.floor(toFloat64(value))),
  ceil: fn('any', (_, value) => Math.ceil(toFloat64(value))),
  round: fn('any, int, ...float64', (_, value, places, ...on) => {
    const power = 10 ** Number(places);
    const digit = power * toFloat64(value);
    return (digit - Math.trunc(digit) >= (on[0] ?? 0.5) ? Math.ceil(digit) : Math.floor(digit)) / power;
  }),
  until: fn('int', (call, count) => new List(steps(call.meter, 0n, count, count < 0n ? -1n : 1n), 'int')),
  untilStep: fn(
    'int, int, int',
    (call, start, stop, step) => new List(steps(call.meter, start, stop, step), 'int'),
  ),
  seq: fn('...int', (call, ...params) => sequence(call.meter, params)),
  randInt: fn('int, int', (call, least, limit) => {
    if (limit <= least) throw new CallError('invalid argument to Intn');
    // 64 bits more than the range needs: the bias is beneath notice.
    let drawn = 0n;
    for (const byte of call.random(16)) drawn = (drawn << 8n) | BigInt(byte);
    return least + (drawn % (limit - least));
  }),
};

function divisor(value: Value): bigint {
  const by = toInt64(value);
  if (by === 0n) throw new CallError('runtime error: integer divide by zero');
  return by;
}

function atoi(text: string): bigint {
  if (!/^[+-]?[0-9]+$/.test(text)) return 0n;
  const value = BigInt(text.replace(/^\+/, ''));
  return value > MAX ? MAX : value < -MAX - 1n ? -MAX - 1n : value;
}

function parseOctal(text: string): bigint {
  if (!/^[+-]?[0-7]+$/.test(text)) return 0n;
  const size = BigInt(`0o${text.replace(/^[+-]/, '')}`);
  const value = text.startsWith('-') ? -size : size;
  return value > MAX || value < -MAX - 1n ? 0n : value;
}

/** Go's untilStep, paid for before it is made. */
function steps(meter: Meter, start: bigint, stop: bigint, step: bigint): bigint[] {
  if (step === 0n || stop < start !== step < 0n || stop === start) return [];
  const size = stop < start ? start - stop : stop - start;
  const by = step < 0n ? -step : step;
  const count = Number((size + by - 1n) / by);
  meter.alloc(count * 16);
  meter.step(count);
  return Array.from({ length: count }, (_, i) => start + BigInt(i) * step);
}

/** Go's seq: the bounds are both in. */
function sequence(meter: Meter, params: readonly bigint[]): string {
  const [first, second, third] = params;
  if (first === undefined || params.length > 3) return '';
  let [start, step, end] = [1n, 1n, first];
  if (second !== undefined) [start, end] = [first, second];
  if (second !== undefined && third !== undefined) [step, end] = [second, third];
  const down = end < start;
  if (third !== undefined && down && step > 0n) return '';
  const towards = down ? -1n : 1n;
  if (third === undefined) step = towards;
  const items = steps(meter, start, int(end + towards), step);
  meter.alloc(items.length * 20);
  return items.join(' ');
}

/** A decimal: digits times 10^exponent. */
interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

function decimalOf(value: Value): Decimal {
  const float = toFloat64(value);
  if (!Number.isFinite(float))
    throw new CallError('Cannot create a Decimal from a number that is not finite');
  const [mantissa = '0', exponent = '0'] = formatFloat(float, 'e', -1).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}

const scaled = (decimal: Decimal, exponent: number): bigint =>
  decimal.digits * 10n ** BigInt(decimal.exponent - exponent);

function combine(a: Decimal, b: Decimal, how: (x: bigint, y: bigint) => bigint): Decimal {
  const exponent = Math.min(a.exponent, b.exponent);
  return { digits: how(scaled(a, exponent), scaled(b, exponent)), exponent };
}
const plus = (a: Decimal, b: Decimal): Decimal => combine(a, b, (x, y) => x + y);
const minus = (a: Decimal, b: Decimal): Decimal => combine(a, b, (x, y) => x - y);
const times = (a: Decimal, b: Decimal): Decimal => ({
  digits: a.digits * b.digits,
  exponent: a.exponent + b.exponent,
});

/** Division to 16 places, half away from zero. */
function over(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new CallError('decimal division by 0');
  const exponent = Math.min(a.exponent, b.exponent);
  const numerator = scaled(a, exponent) * 10n ** 16n;
  const denominator = scaled(b, exponent);
  const abs = (x: bigint): bigint => (x < 0n ? -x : x);
  const quotient = (abs(numerator) * 2n + abs(denominator)) / (abs(denominator) * 2n);
  return { digits: numerator < 0n === denominator < 0n ? quotient : -quotient, exponent: -16 };
}

function decimals(values: readonly Value[], how: (a: Decimal, b: Decimal) => Decimal): number {
  const { digits, exponent } = values.map(decimalOf).reduce(how);
  return Number(`${digits}e${exponent}`);
}
