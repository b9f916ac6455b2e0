/**
 * Schedules of five fields, as POSIX has them for crontab, or a descriptor such as @daily; names of months and days, "?" and
 * steps as robfig/cron takes them. Times are in UTC and in milliseconds since the epoch. Pure.
 */

export interface Cron {
  /** Whether the minute that a time lies in is one of the schedule's. */
  matches(at: number): boolean;
  /** The first minute of the schedule after a time; undefined where none ever comes (30 February). */
  next(after: number): number | undefined;
  /** The last minute of the schedule at or before a time; undefined where there never was one. */
  previous(at: number): number | undefined;
}

const MINUTE = 60_000;
const DAY = 86_400_000;
/** 29 February on a given weekday is up to forty years away, around a century that is no leap year. */
const LONGEST_DAYS = 41 * 366;

const DESCRIPTORS: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/** The schedule, or undefined where the text is none. */
export function parseCron(schedule: string): Cron | undefined {
  const text = schedule.trim();
  const fields = (DESCRIPTORS.get(text) ?? text).split(/\s+/);
  if (fields.length !== 5) return undefined;
  const [minute, hour, day, month, weekday] = [
    field(fields[0], 0, 59),
    field(fields[1], 0, 23),
    field(fields[2], 1, 31),
    field(fields[3], 1, 12, MONTHS, 1),
    field(fields[4], 0, 7, DAYS),
  ];
  if (!minute || !hour || !day || !month || !weekday) return undefined;
  const isStar = (part: string | undefined): boolean => part?.startsWith('*') === true || part === '?';
  const isEither = !isStar(fields[2]) && !isStar(fields[4]);

  const dayFits = (start: number): boolean => {
    const at = new Date(start);
    if (!month.has(at.getUTCMonth() + 1)) return false;
    const sunday = at.getUTCDay();
    const onWeekday = weekday.has(sunday) || (sunday === 0 && weekday.has(7));
    const onDay = day.has(at.getUTCDate());
    // Where both days are restricted, cron takes either (POSIX crontab, "DESCRIPTION").
    return isEither ? onDay || onWeekday : onDay && onWeekday;
  };
  const offsets = [...hour]
    .flatMap((h) => [...minute].map((m) => h * 60 + m))
    .sort((one, other) => one - other)
    .map((minutes) => minutes * MINUTE);

  return {
    matches(at) {
      const start = dayOf(at);
      return dayFits(start) && offsets.includes(Math.floor((at - start) / MINUTE) * MINUTE);
    },
    next(after) {
      const first = dayOf(after);
      for (let days = 0; days <= LONGEST_DAYS; days++) {
        const start = first + days * DAY;
        const found = dayFits(start) ? offsets.find((offset) => start + offset > after) : undefined;
        if (found !== undefined) return start + found;
      }
      return undefined;
    },
    previous(at) {
      const first = dayOf(at);
      for (let days = 0; days <= LONGEST_DAYS; days++) {
        const start = first - days * DAY;
        const found = dayFits(start) ? offsets.findLast((offset) => start + offset <= at) : undefined;
        if (found !== undefined) return start + found;
      }
      return undefined;
    },
  };
}

/** A day of UTC has no hour more or less. */
const dayOf = (at: number): number => Math.floor(at / DAY) * DAY;

function field(
  text: string | undefined,
  low: number,
  high: number,
  names: readonly string[] = [],
  base = 0,
): ReadonlySet<number> | undefined {
  const values = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const match = /^(\*|\?|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:\/(\d+))?$/.exec(part);
    if (match === null) return undefined;
    const every = match[1] === '*' || match[1] === '?';
    const from = every ? low : number(match[1], names, base);
    const to =
      match[2] !== undefined ? number(match[2], names, base) : every || match[3] !== undefined ? high : from;
    const step = match[3] === undefined ? 1 : Number(match[3]);
    if (from === undefined || to === undefined || from < low || to > high || from > to || step < 1)
      return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

function number(text: string | undefined, names: readonly string[], base: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  const at = names.indexOf(text.toUpperCase());
  return at === -1 ? undefined : at + base;
}
