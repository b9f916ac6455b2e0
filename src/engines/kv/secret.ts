/**
 * What is known of one versioned secret beside its values, and every rule that changes it. Pure: time comes in, a new
 * record goes out, nothing is read or written here. After OpenBao's KV version 2.
 */

import { failure } from '../../base/errors.ts';

/** Versions kept where neither the key nor the mount says. */
const DEFAULT_MAX_VERSIONS = 10;

/** What befell a version since it was written. Times are milliseconds since the epoch. */
export interface Mark {
  /** When it is, or will be, soft-deleted. */
  readonly deletion?: number;
  readonly destroyed?: true;
}

export interface Version extends Mark {
  readonly created: number;
}

export interface Secret {
  /** Names the folder of its values; made anew when a deleted key is written again, so that no old value comes back. */
  readonly id: string;
  /** 0: only metadata was written so far. */
  readonly current: number;
  /** 0 until versions begin to be trimmed. */
  readonly oldest: number;
  readonly created: number;
  readonly updated: number;
  /** 0: as the mount says. */
  readonly maxVersions: number;
  readonly casRequired: boolean;
  /** Milliseconds; 0: as the mount says; negative: never. */
  readonly deleteAfter: number;
  readonly custom: Readonly<Record<string, string>> | null;
  /**
   * When each version that is known was written, one after the other; the last is the current one. This is read and written
   * with each write, so it is flat: an object for each version, by its number, takes three times as long.
   */
  readonly written: readonly number[];
  /** By number, of the few versions that have one. */
  readonly marks: Readonly<Record<number, Mark>>;
}

export interface Config {
  readonly maxVersions: number;
  readonly casRequired: boolean;
  readonly deleteAfter: number;
}

export const DEFAULT_CONFIG: Config = { maxVersions: 0, casRequired: false, deleteAfter: 0 };

export const newSecret = (id: string, now: number): Secret => ({
  id,
  current: 0,
  oldest: 0,
  created: now,
  updated: now,
  maxVersions: 0,
  casRequired: false,
  deleteAfter: 0,
  custom: null,
  written: [],
  marks: {},
});

/** The number of the first version that is known; one more than the current one where none is. */
const firstOf = ({ current, written }: Secret): number => current - written.length + 1;

export function versionOf(secret: Secret, number: number): Version | undefined {
  const created = secret.written[number - firstOf(secret)];
  if (created === undefined) return undefined;
  const mark = secret.marks[number];
  return mark === undefined ? { created } : { created, ...mark };
}

/** The numbers of the versions that are known, rising. */
export const numbersOf = (secret: Secret): number[] => numbersFrom(firstOf(secret), secret.written.length);

function numbersFrom(first: number, count: number): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < count; at++) numbers.push(first + at);
  return numbers;
}

/**
 * Whether a write may go on, given the `cas` that came with it.
 * @throws Failure kv.cas_required, kv.cas_mismatch
 */
export function checkAndSet(secret: Secret | undefined, config: Config, cas: number | undefined): void {
  if (cas === undefined) {
    if (config.casRequired || secret?.casRequired === true) throw failure('kv.cas_required');
    return;
  }
  if (cas !== (secret?.current ?? 0)) throw failure('kv.cas_mismatch');
}

/** The secret with one version more, and the numbers of the versions whose values are to go. */
export function addVersion(
  secret: Secret,
  config: Config,
  now: number,
): { readonly secret: Secret; readonly trimmed: readonly number[] } {
  const current = secret.current + 1;
  const limit = Math.max(secret.maxVersions, config.maxVersions) || DEFAULT_MAX_VERSIONS;
  const oldest = current - secret.oldest >= limit ? current - limit + 1 : secret.oldest;
  const first = firstOf(secret);
  const trimmed = numbersFrom(first, oldest - first);
  const written = secret.written.slice(trimmed.length);
  written.push(now);
  const deletion = deletionOf(secret, config, now);
  const marks =
    deletion === undefined ? secret.marks : { ...secret.marks, [current]: { deletion } satisfies Mark };
  return {
    secret: { ...secret, current, oldest, updated: now, written, marks: without(marks, trimmed) },
    trimmed,
  };
}

/** The marks of all but these versions. */
function without(marks: Secret['marks'], gone: readonly number[]): Secret['marks'] {
  if (!gone.some((number) => number in marks)) return marks;
  const left: Record<number, Mark> = { ...marks };
  for (const number of gone) delete left[number];
  return left;
}

/** When a version written now is to be soft-deleted: the shorter of the two spans wins, a negative one says never. */
function deletionOf(secret: Secret, config: Config, now: number): number | undefined {
  const spans = [secret.deleteAfter, config.deleteAfter];
  if (spans.some((span) => span < 0)) return undefined;
  const positive = spans.filter((span) => span > 0);
  return positive.length === 0 ? undefined : now + Math.min(...positive);
}

const isDeleted = ({ deletion }: Mark, now: number): boolean => deletion !== undefined && deletion <= now;

export const isReadable = (version: Version | undefined, now: number): version is Version =>
  version !== undefined && version.destroyed !== true && !isDeleted(version, now);

/** Each of these gives the secret as it then is and the numbers it touched, which may be none. */
type Changed = { readonly secret: Secret; readonly touched: readonly number[] };

export function softDelete(secret: Secret, which: readonly number[], now: number): Changed {
  return change(secret, which, now, (version) => isReadable(version, now) && { deletion: now });
}

export function undelete(secret: Secret, which: readonly number[], now: number): Changed {
  return change(
    secret,
    which,
    now,
    ({ destroyed, deletion }) => destroyed !== true && deletion !== undefined && {},
  );
}

export function destroy(secret: Secret, which: readonly number[], now: number): Changed {
  return change(
    secret,
    which,
    now,
    ({ destroyed, deletion }) =>
      destroyed !== true && (deletion === undefined ? { destroyed: true } : { deletion, destroyed: true }),
  );
}

/** @param rule the mark that a version gets, or false where it stays as it is */
function change(
  secret: Secret,
  which: readonly number[],
  now: number,
  rule: (version: Version) => Mark | false,
): Changed {
  const marks: Record<number, Mark> = { ...secret.marks };
  const touched: number[] = [];
  for (const number of new Set(which)) {
    const version = versionOf(secret, number);
    const mark = version !== undefined && rule(version);
    if (mark === false) continue;
    if (Object.keys(mark).length > 0) marks[number] = mark;
    else delete marks[number];
    touched.push(number);
  }
  return { secret: touched.length === 0 ? secret : { ...secret, marks, updated: now }, touched };
}
