/** Sprig's dates: Go's layouts, durations and time zones. The clock is the caller's; "Local" is UTC, as in a container. */

import { durationText } from '../calendar.ts';
import { parseDuration, parseTime, Time } from '../time.ts';
import { Sized, type Value } from '../value.ts';
import { type Call, CallError, fn, type Table } from './table.ts';

const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 60n * MINUTE;
const DAY = 24n * HOUR;

const now = (call: Call): Time => Time.ofDate(call.now);

/** The moment that a value stands for; what stands for none is now. */
function moment(call: Call, value: Value): Time {
  if (value instanceof Time) return value;
  if (typeof value === 'bigint') return Time.ofUnix(value);
  if (value instanceof Sized && (value.type === 'int64' || value.type === 'int32'))
    return Time.ofUnix(value.value);
  return now(call);
}

const inZone = (call: Call, layout: string, value: Value, zone: string): string => {
  const text = moment(call, value).in(zone).format(layout);
  call.meter.alloc(text.length);
  return text;
};

const asTime = (value: unknown): Time => {
  if (value instanceof Time) return value;
  throw new CallError('the value is no time');
};

const moved = (by: string, date: unknown): Time | undefined => {
  const nanos = parseDuration(by);
  return nanos === undefined ? undefined : asTime(date).plus(nanos);
};
const modify = fn('string, time', (_, by, date) => moved(by, date) ?? date);
const mustModify = fn('string, time', (_, by, date) => {
  const result = moved(by, date);
  if (result === undefined) throw new CallError('time: invalid duration');
  return result;
});
const dateInZone = fn('string, any, string', inZone);

export const dates: Table = {
  now: fn('', now),
  date: fn('string, any', (call, layout, value) => inZone(call, layout, value, 'Local')),
  dateInZone,
  date_in_zone: dateInZone,
  htmlDate: fn('any', (call, value) => inZone(call, '2006-01-02', value, 'Local')),
  htmlDateInZone: fn('any, string', (call, value, zone) => inZone(call, '2006-01-02', value, zone)),
  dateModify: modify,
  date_modify: modify,
  mustDateModify: mustModify,
  must_date_modify: mustModify,
  toDate: fn('string, string', (_, layout, text) => parseTime(layout, text) ?? Time.ZERO),
  mustToDate: fn('string, string', (_, layout, text) => {
    const time = parseTime(layout, text);
    if (time === undefined) throw new CallError('parsing time: the text does not fit the layout');
    return time;
  }),
  unixEpoch: fn('time', (_, date) => String(asTime(date).unix)),
  ago: fn('any', (call, value) => durationText(rounded(now(call).nanos - moment(call, value).nanos))),
  duration: fn('any', (_, value) => {
    if (typeof value === 'string')
      return durationText((/^[+-]?[0-9]{1,18}$/.test(value) ? BigInt(value.replace('+', '')) : 0n) * SECOND);
    return durationText(value instanceof Sized && value.type === 'int64' ? value.value * SECOND : 0n);
  }),
  durationRound: fn('any', (call, value) => {
    const nanos =
      value instanceof Time
        ? now(call).nanos - value.nanos
        : typeof value === 'string'
          ? (parseDuration(value) ?? 0n)
          : value instanceof Sized && value.type === 'int64'
            ? value.value
            : 0n;
    const size = nanos < 0n ? -nanos : nanos;
    const units = [
      [365n * DAY, 'y'],
      [30n * DAY, 'mo'],
      [DAY, 'd'],
      [HOUR, 'h'],
      [MINUTE, 'm'],
      [SECOND, 's'],
    ] as const;
    const found = units.find(([unit]) => size > unit);
    return found === undefined ? '0s' : `${size / found[0]}${found[1]}`;
  }),
};

/** To whole seconds, half away from zero. */
function rounded(nanos: bigint): bigint {
  const size = nanos < 0n ? -nanos : nanos;
  const seconds = ((size + SECOND / 2n) / SECOND) * SECOND;
  return nanos < 0n ? -seconds : seconds;
}
