/**
 * `spec.syncWindows`: when periodic refreshes may happen. Five-field cron in UTC, or a descriptor such as @daily; each
 * start opens the window for its duration. A schedule that cannot be read opens nothing, as upstream has it.
 */

import { parseDuration } from '../../../../base/duration.ts';
import type { ExternalSecretSpec } from '../../../api/externalsecret.ts';

const MINUTE = 60_000;
/** No window is longer: looking back is one step a minute. */
const LONGEST = 7 * 24 * 60;

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

/** Whether a periodic refresh may happen at `now`. No windows: always. */
export function windowsAllow(windows: ExternalSecretSpec['syncWindows'], now: Date): boolean {
  if (windows === undefined) return true;
  const open = windows.windows.some(({ schedule, duration }) => isOpen(schedule, duration, now));
  return windows.kind === 'allow' ? open : !open;
}

function isOpen(schedule: string, duration: string, now: Date): boolean {
  const cron = parseCron(schedule);
  const length = safeDuration(duration);
  if (cron === undefined || length <= 0) return false;
  const last = Math.floor(now.getTime() / MINUTE) * MINUTE;
  for (let step = 0; step <= LONGEST; step++) {
    const at = last - step * MINUTE;
    if (now.getTime() >= at + length) return false;
    if (cron(new Date(at))) return true;
  }
  return false;
}

function safeDuration(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    return 0;
  }
}

/** Whether a minute is one of the schedule's, or undefined where the schedule cannot be read. */
export function parseCron(schedule: string): ((at: Date) => boolean) | undefined {
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
  const star = (text: string | undefined): boolean => text?.startsWith('*') === true || text === '?';
  return (at) => {
    const dayFits = day.has(at.getUTCDate());
    const sunday = at.getUTCDay();
    const weekdayFits = weekday.has(sunday) || (sunday === 0 && weekday.has(7));
    // Where both days are restricted, cron takes either (POSIX crontab, "DESCRIPTION").
    const fits = star(fields[2]) || star(fields[4]) ? dayFits && weekdayFits : dayFits || weekdayFits;
    return (
      fits && minute.has(at.getUTCMinutes()) && hour.has(at.getUTCHours()) && month.has(at.getUTCMonth() + 1)
    );
  };
}

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
