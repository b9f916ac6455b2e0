import { failure } from './errors.ts';

/** A span of time in milliseconds. */
export type Milliseconds = number;

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/y;

/** What Go's int64 of nanoseconds holds: 292 years. Beyond it, no clock here has a date for the end. */
const LONGEST: Milliseconds = 2 ** 63 / 1e6;

/**
 * Reads a duration as Vault's clients write it: a number of seconds (number or numeric text) or a Go duration
 * ("1h30m", "-1s", "1.5h"), with "d" for days.
 * @throws Failure duration.malformed
 */
export function parseDuration(given: string | number): Milliseconds {
  if (typeof given === 'number') {
    if (!(Math.abs(given * 1000) < LONGEST)) throw failure('duration.malformed', { text: String(given) });
    return given * 1000;
  }
  const text = given.trim();
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) return parseDuration(Number(text));
  const sign = text.startsWith('-') ? -1 : 1;
  const start = /^[+-]/.test(text) ? 1 : 0;
  let total = 0;
  let at = start;
  while (at < text.length) {
    PART.lastIndex = at;
    const part = PART.exec(text);
    if (part === null) break;
    total += Number(part[1]) * (UNITS[part[2] as string] as number);
    at = PART.lastIndex;
  }
  if (at === start || at !== text.length || !(total < LONGEST)) {
    throw failure('duration.malformed', { text: JSON.stringify(text.slice(0, 40)) });
  }
  return sign * total;
}

/** Whole seconds, as lease and token times are told. */
export const seconds = (ms: Milliseconds): number => Math.floor(ms / 1000);

/** A duration as Go's `time.Duration.String` prints it: "0s", "1m30s", "768h0m0s", "1.5s", "250ms". */
export function goDuration(ms: Milliseconds): string {
  if (ms === 0) return '0s';
  const sign = ms < 0 ? '-' : '';
  const size = Math.abs(ms);
  if (size < 1e-3) return `${sign}${trim(size * 1e6)}ns`;
  if (size < 1) return `${sign}${trim(size * 1e3)}µs`;
  if (size < 1000) return `${sign}${trim(size)}ms`;
  const hours = Math.floor(size / 3_600_000);
  const minutes = Math.floor((size % 3_600_000) / 60_000);
  const rest = trim((size % 60_000) / 1000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}s`;
  if (minutes > 0) return `${sign}${minutes}m${rest}s`;
  return `${sign}${rest}s`;
}

const trim = (value: number): string => String(Number(value.toFixed(9)));
