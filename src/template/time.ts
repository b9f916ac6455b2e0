/** Go's time.Time with the layouts that are written as the reference date: Mon Jan 2 15:04:05 MST 2006. */

import { DAYS, MONTHS } from './calendar.ts';
import { CallError } from './functions/table.ts';
import { type Method, Opaque, Sized, type Value } from './value.ts';

const BILLION = 1_000_000_000n;
/** Beyond these a JavaScript date does not go. */
const FARTHEST = 8_640_000_000_000n * BILLION;

interface Zone {
  /** Seconds east of UTC. */
  readonly offset: number;
  readonly name: string;
}
const UTC: Zone = { offset: 0, name: 'UTC' };

export class Time extends Opaque {
  static readonly ZERO = new Time(-62135596800n * BILLION);

  readonly type = 'time.Time';
  readonly kind = 'struct';
  /** Since 1970. */
  readonly nanos: bigint;
  readonly zone: Zone;

  constructor(nanos: bigint, zone: Zone = UTC) {
    super();
    if (nanos > FARTHEST || nanos < -FARTHEST) throw new CallError('time is out of range');
    this.nanos = nanos;
    this.zone = zone;
  }

  static ofDate(date: Date): Time {
    return new Time(BigInt(date.getTime()) * 1_000_000n);
  }
  static ofUnix(seconds: bigint): Time {
    return new Time(seconds * BILLION);
  }

  get unix(): bigint {
    return floorDiv(this.nanos, BILLION);
  }
  plus(nanos: bigint): Time {
    return new Time(this.nanos + nanos, this.zone);
  }
  /** The same moment in another zone; an unknown one is UTC. */
  in(zone: string): Time {
    return new Time(this.nanos, zoneAt(zone, Number(floorDiv(this.nanos, 1_000_000n))));
  }

  /** The calendar in this zone: a JavaScript date whose UTC parts are the local ones. */
  get calendar(): Date {
    return new Date(Number(this.unix) * 1000 + this.zone.offset * 1000);
  }
  get nanosecond(): number {
    return Number(this.nanos - this.unix * BILLION);
  }

  text(): string {
    return this.format('2006-01-02 15:04:05.999999999 -0700 MST');
  }
  override source(): string {
    const at = this.calendar;
    const day = [at.getUTCFullYear(), `time.${MONTHS[at.getUTCMonth()]}`, at.getUTCDate()];
    const time = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds(), this.nanosecond];
    return `time.Date(${[...day, ...time].join(', ')}, time.UTC)`;
  }
  override plain(): Value {
    return this.format('2006-01-02T15:04:05.999999999Z07:00');
  }
  equals(other: Opaque): boolean {
    return other instanceof Time && other.nanos === this.nanos && other.zone.offset === this.zone.offset;
  }
  format(layout: string): string {
    return layout.replace(CHUNKS, (chunk) => write(this, chunk));
  }

  method(name: string): Method | undefined {
    const get = (value: () => Value): Method => ({ params: [], run: value });
    const local = this.calendar;
    switch (name) {
      case 'Unix':
        return get(() => new Sized('int64', this.unix));
      case 'UnixMilli':
        return get(() => new Sized('int64', floorDiv(this.nanos, 1_000_000n)));
      case 'UnixNano':
        return get(() => new Sized('int64', this.nanos));
      case 'Year':
        return get(() => BigInt(local.getUTCFullYear()));
      case 'Month':
        return get(() => new Sized('time.Month', BigInt(local.getUTCMonth() + 1)));
      case 'Day':
        return get(() => BigInt(local.getUTCDate()));
      case 'Weekday':
        return get(() => new Sized('time.Weekday', BigInt(local.getUTCDay())));
      case 'YearDay':
        return get(() => BigInt(yearDay(local)));
      case 'Hour':
        return get(() => BigInt(local.getUTCHours()));
      case 'Minute':
        return get(() => BigInt(local.getUTCMinutes()));
      case 'Second':
        return get(() => BigInt(local.getUTCSeconds()));
      case 'Nanosecond':
        return get(() => BigInt(this.nanosecond));
      case 'IsZero':
        return get(() => this.nanos === Time.ZERO.nanos);
      case 'UTC':
        return get(() => new Time(this.nanos));
      case 'String':
        return get(() => this.text());
      case 'Format':
        return { params: ['string'], run: ([layout]) => this.format(String(layout)) };
      case 'AddDate':
        return {
          params: ['int', 'int', 'int'],
          run: ([years, months, days]) => this.#addDate(Number(years), Number(months), Number(days)),
        };
      default:
        return undefined;
    }
  }

  #addDate(years: number, months: number, days: number): Time {
    const date = this.calendar;
    const shifted = Date.UTC(
      date.getUTCFullYear() + years,
      date.getUTCMonth() + months,
      date.getUTCDate() + days,
      date.getUTCHours(),
      date.getUTCMinutes(),
      date.getUTCSeconds(),
    );
    if (Number.isNaN(shifted)) throw new CallError('time is out of range');
    return new Time(
      BigInt(shifted) * 1_000_000n + BigInt(this.nanosecond) - BigInt(this.zone.offset) * BILLION,
      this.zone,
    );
  }
}

const floorDiv = (a: bigint, b: bigint): bigint => (a >= 0n || a % b === 0n ? a / b : a / b - 1n);
const pad = (value: number, width: number): string => String(value).padStart(width, '0');
const yearDay = (date: Date): number =>
  Math.floor(
    (Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) -
      Date.UTC(date.getUTCFullYear(), 0, 1)) /
      86_400_000,
  ) + 1;

/** What a layout is made of; the rest stands for itself. Longer ones first. */
const CHUNKS =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|0[1-6]|15|PM|pm|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07|[.,](?:0+|9+)(?![0-9])|[1-5]/g;

function write(time: Time, chunk: string): string {
  const date = time.calendar;
  const hour12 = date.getUTCHours() % 12 || 12;
  switch (chunk) {
    case 'January':
      return MONTHS[date.getUTCMonth()] ?? '';
    case 'Jan':
      return (MONTHS[date.getUTCMonth()] ?? '').slice(0, 3);
    case '01':
      return pad(date.getUTCMonth() + 1, 2);
    case '1':
      return String(date.getUTCMonth() + 1);
    case 'Monday':
      return DAYS[date.getUTCDay()] ?? '';
    case 'Mon':
      return (DAYS[date.getUTCDay()] ?? '').slice(0, 3);
    case '02':
      return pad(date.getUTCDate(), 2);
    case '_2':
      return String(date.getUTCDate()).padStart(2);
    case '2':
      return String(date.getUTCDate());
    case '002':
      return pad(yearDay(date), 3);
    case '__2':
      return String(yearDay(date)).padStart(3);
    case '15':
      return pad(date.getUTCHours(), 2);
    case '03':
      return pad(hour12, 2);
    case '3':
      return String(hour12);
    case '04':
      return pad(date.getUTCMinutes(), 2);
    case '4':
      return String(date.getUTCMinutes());
    case '05':
      return pad(date.getUTCSeconds(), 2);
    case '5':
      return String(date.getUTCSeconds());
    case '2006':
      return pad(date.getUTCFullYear(), 4);
    case '06':
      return pad(date.getUTCFullYear() % 100, 2);
    case 'PM':
      return date.getUTCHours() >= 12 ? 'PM' : 'AM';
    case 'pm':
      return date.getUTCHours() >= 12 ? 'pm' : 'am';
    case 'MST':
      return time.zone.name;
    default:
      return /^[.,]/.test(chunk) ? fraction(time.nanosecond, chunk) : offset(time.zone.offset, chunk);
  }
}

function fraction(nanos: number, chunk: string): string {
  const digits = pad(nanos, 9).slice(0, chunk.length - 1);
  if (chunk[1] === '0') return chunk[0] + digits;
  const trimmed = digits.replace(/0+$/, '');
  return trimmed === '' ? '' : chunk[0] + trimmed;
}

function offset(seconds: number, chunk: string): string {
  if (chunk.startsWith('Z') && seconds === 0) return 'Z';
  const size = Math.abs(seconds);
  const colon = chunk.includes(':') ? ':' : '';
  const parts = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60].map((part) => pad(part, 2));
  const count = chunk.replace(/[^0-9]/g, '').length / 2;
  return (seconds < 0 ? '-' : '+') + parts.slice(0, count).join(colon);
}

/** The zone's offset and name at a moment, from the runtime's tables; an unknown zone is UTC. */
function zoneAt(name: string, millis: number): Zone {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC;
  if (!/^[A-Za-z0-9_+\-/]{1,64}$/.test(name)) return UTC;
  let parts: Intl.DateTimeFormatPart[];
  let short: string;
  try {
    const format = (style: 'longOffset' | 'short') =>
      new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: style });
    parts = format('longOffset').formatToParts(millis);
    short =
      format('short')
        .formatToParts(millis)
        .find((part) => part.type === 'timeZoneName')?.value ?? name;
  } catch {
    return UTC;
  }
  const text = parts.find((part) => part.type === 'timeZoneName')?.value ?? 'GMT';
  const [, sign, hours = '0', minutes = '0', seconds = '0'] =
    /GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?/.exec(text) ?? [];
  const size = Number(hours) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
  const east = sign === '-' ? -size : size;
  // Where the runtime has no short name for a zone, Go's tables mostly have one; an offset is never wrong.
  const known =
    EUROPEAN[`${name.split('/')[0]} ${short}`] ?? (/^GMT[+-]/.test(short) ? offset(east, '-07') : short);
  return { offset: east, name: known };
}

const EUROPEAN: Readonly<Record<string, string>> = {
  'Europe GMT+1': 'CET',
  'Europe GMT+2': 'CEST',
  'Europe GMT+3': 'EEST',
};

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  '\u00c2\u00b5s': 1000n,
  '\u00ce\u00bcs': 1000n,
  ms: 1_000_000n,
  s: BILLION,
  m: 60n * BILLION,
  h: 3600n * BILLION,
};

/** Go's time.ParseDuration in nanoseconds, or undefined. */
export function parseDuration(text: string): bigint | undefined {
  const [, sign, rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0n;
  const part = /^(?:(\d+)(?:\.(\d*))?|\.(\d+))(ns|us|\u00c2\u00b5s|\u00ce\u00bcs|ms|s|m|h)/;
  let left = rest;
  let total = 0n;
  if (left === '' || left.length > 256) return undefined;
  while (left !== '') {
    const found = part.exec(left);
    if (found === null) return undefined;
    const unit = UNITS[found[4] ?? ''] ?? 0n;
    const fraction = found[2] ?? found[3] ?? '';
    total +=
      BigInt(found[1] ?? '0') * unit + (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length);
    left = left.slice(found[0].length);
  }
  if (total > 2n ** 63n - 1n) return undefined;
  return sign === '-' ? -total : total;
}

interface Fields {
  year: number;
  month: number;
  day: number;
  yearDay: number | undefined;
  hour: number;
  minute: number;
  second: number;
  nanos: number;
  pm: boolean | undefined;
  offset: number | undefined;
  zone: string | undefined;
}

/** Go's time.Parse in UTC, or undefined where the text does not fit the layout. */
export function parseTime(layout: string, text: string): Time | undefined {
  const fields: Fields = {
    year: 0,
    month: 1,
    day: 1,
    yearDay: undefined,
    hour: 0,
    minute: 0,
    second: 0,
    nanos: 0,
    pm: undefined,
    offset: undefined,
    zone: undefined,
  };
  let at = 0;
  let from = 0;
  const literal = (expected: string): boolean => {
    if (!text.startsWith(expected, at)) return false;
    at += expected.length;
    return true;
  };
  for (const chunk of layout.matchAll(CHUNKS)) {
    if (!literal(layout.slice(from, chunk.index))) return undefined;
    const read = readChunk(chunk[0], text.slice(at), fields);
    if (read === undefined) return undefined;
    at += read;
    // Go takes a fraction of seconds even where the layout has none.
    if (/^0?5$/.test(chunk[0]) && !/^[.,][09]/.test(layout.slice(chunk.index + chunk[0].length))) {
      const extra = /^[.,](\d+)/.exec(text.slice(at));
      if (extra !== null) {
        fields.nanos = Number((extra[1] ?? '').slice(0, 9).padEnd(9, '0'));
        at += extra[0].length;
      }
    }
    from = chunk.index + chunk[0].length;
  }
  if (!literal(layout.slice(from)) || at !== text.length) return undefined;
  return timeOf(fields);
}

function timeOf(fields: Fields): Time | undefined {
  const { year, month, day, minute, second, nanos, pm } = fields;
  const hour = pm === undefined ? fields.hour : (fields.hour % 12) + (pm ? 12 : 0);
  const date = new Date(0);
  date.setUTCFullYear(year, fields.yearDay === undefined ? month - 1 : 0, fields.yearDay ?? day);
  if (fields.yearDay === undefined && (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day))
    return undefined;
  if (hour > 23 || minute > 59 || second > 59 || date.getUTCFullYear() !== year) return undefined;
  date.setUTCHours(hour, minute, second);
  const east = fields.offset ?? 0;
  const zone =
    fields.offset === undefined && (fields.zone === undefined || fields.zone === 'UTC')
      ? UTC
      : { offset: east, name: fields.zone ?? (east === 0 ? 'UTC' : '') };
  const moment = BigInt(date.getTime()) * 1_000_000n + BigInt(nanos) - BigInt(east) * BILLION;
  const shown = zone.name === '' ? { ...zone, name: offset(east, '-0700') } : zone;
  return new Time(moment, shown);
}

/** Reads one chunk; how many characters it took. */
function readChunk(chunk: string, text: string, fields: Fields): number | undefined {
  const number = (pattern: RegExp, set: (value: number) => void): number | undefined => {
    const found = pattern.exec(text);
    if (found === null) return undefined;
    set(Number(found[0].trim()));
    return found[0].length;
  };
  const name = (names: readonly string[], set: (index: number) => void): number | undefined => {
    const index = names.findIndex((each) => text.toLowerCase().startsWith(each.toLowerCase()));
    if (index === -1) return undefined;
    set(index);
    return names[index]?.length;
  };
  switch (chunk) {
    case '2006':
      return number(/^\d{4}/, (value) => {
        fields.year = value;
      });
    case '06':
      return number(/^\d\d/, (value) => {
        fields.year = value >= 69 ? 1900 + value : 2000 + value;
      });
    case 'January':
    case 'Jan':
      return name(chunk === 'Jan' ? MONTHS.map((each) => each.slice(0, 3)) : MONTHS, (index) => {
        fields.month = index + 1;
      });
    case 'Monday':
    case 'Mon':
      return name(chunk === 'Mon' ? DAYS.map((each) => each.slice(0, 3)) : DAYS, () => undefined);
    case '01':
    case '1':
      return number(chunk === '01' ? /^\d\d/ : /^\d\d?/, (value) => {
        fields.month = value;
      });
    case '02':
    case '2':
    case '_2':
      return number(chunk === '02' ? /^\d\d/ : /^ ?\d\d?/, (value) => {
        fields.day = value;
      });
    case '002':
    case '__2':
      return number(chunk === '002' ? /^\d{3}/ : /^ {0,2}\d{1,3}/, (value) => {
        fields.yearDay = value;
      });
    case '15':
    case '03':
    case '3':
      return number(chunk === '3' || chunk === '15' ? /^\d\d?/ : /^\d\d/, (value) => {
        fields.hour = value;
      });
    case '04':
    case '4':
      return number(chunk === '04' ? /^\d\d/ : /^\d\d?/, (value) => {
        fields.minute = value;
      });
    case '05':
    case '5':
      return number(chunk === '05' ? /^\d\d/ : /^\d\d?/, (value) => {
        fields.second = value;
      });
    case 'PM':
    case 'pm': {
      const found = (chunk === 'PM' ? /^[AP]M/ : /^[ap]m/).exec(text)?.[0];
      if (found === undefined) return undefined;
      fields.pm = found.toUpperCase() === 'PM';
      return 2;
    }
    case 'MST': {
      const found = /^(?:UTC|[A-Z]{3,4}|[+-]\d\d)/.exec(text)?.[0];
      fields.zone = found;
      return found?.length;
    }
    default:
      break;
  }
  if (/^[.,]/.test(chunk)) {
    const found = /^[.,](\d+)/.exec(text);
    if (found === null) return chunk[1] === '9' ? 0 : undefined;
    if (chunk[1] === '0' && found[0].length !== chunk.length) return undefined;
    fields.nanos = Number((found[1] ?? '').slice(0, 9).padEnd(9, '0'));
    return found[0].length;
  }
  if (chunk.startsWith('Z') && text.startsWith('Z')) {
    fields.offset = 0;
    return 1;
  }
  const colon = chunk.includes(':') ? ':' : '';
  const count = chunk.replace(/[^0-9]/g, '').length / 2;
  const found = new RegExp(
    `^([+-])(\\d\\d)${count > 1 ? `${colon}(\\d\\d)` : '()'}${count > 2 ? `${colon}(\\d\\d)` : '()'}`,
  ).exec(text);
  if (found === null) return undefined;
  const size = Number(found[2]) * 3600 + Number(found[3] || 0) * 60 + Number(found[4] || 0);
  fields.offset = found[1] === '-' ? -size : size;
  return found[0].length;
}
