/** Which backups are kept, which one is restored, and when the next one is due: decisions, without a clock or a place. */

import type { Cron } from '../../base/cron.ts';
import { type Backoff, backoff } from '../../base/retry.ts';

/** A backup as a list tells it. Times are milliseconds since the epoch. */
export interface Backup {
  readonly name: string;
  readonly createdAt: number;
  /** Of the file, in bytes. */
  readonly size: number;
  /** "claimed": its manifest says so, and this server did not write it. */
  readonly verified: 'yes' | 'claimed' | 'no';
  /** Whether this server made it. */
  readonly ours: boolean;
}

export interface PrunePlan<B extends Backup = Backup> {
  readonly remove: readonly B[];
  /** Too old, and kept nevertheless. */
  readonly spared: readonly { readonly backup: B; readonly reason: 'last verified' | 'foreign' }[];
}

/**
 * What is older than `keepMs` goes, but for the newest verified one, whatever its age: with it would go the only copy that is
 * known to be good. What this server did not make is not its to remove: two clusters may share a bucket.
 */
export function prunePlan<B extends Backup>(
  backups: readonly B[],
  now: number,
  keepMs: number,
): PrunePlan<B> {
  const last = newest(backups.filter(({ ours, verified }) => ours && verified === 'yes'));
  const old = backups.filter(({ createdAt }) => createdAt < now - keepMs);
  return {
    remove: old.filter((backup) => backup.ours && backup !== last),
    spared: old
      .filter((backup) => !backup.ours || backup === last)
      .map((backup) => ({ backup, reason: backup.ours ? 'last verified' : 'foreign' })),
  };
}

/**
 * The backup that is meant: by its name, or the newest at or before a time; without either the newest. One that nobody
 * verified is only taken by its name.
 */
export function choose<B extends Backup>(
  backups: readonly B[],
  wish: { readonly name?: string | undefined; readonly at?: number | undefined },
): B | undefined {
  if (wish.name !== undefined) return backups.find(({ name }) => name === wish.name);
  const { at = Number.POSITIVE_INFINITY } = wish;
  return newest(backups.filter(({ createdAt, verified }) => verified !== 'no' && createdAt <= at));
}

/** The one that was made last. */
export const newest = <B extends Backup>(backups: readonly B[]): B | undefined =>
  backups.reduce<B | undefined>(
    (best, one) => (best === undefined || one.createdAt > best.createdAt ? one : best),
    undefined,
  );

export interface Course {
  /** When the newest verified backup was made; undefined where there is none. */
  readonly verifiedAt: number | undefined;
  /** When what failed is tried again; undefined where the last try went well. */
  readonly retryAt: number | undefined;
}

/**
 * When the next backup is due: what was missed while no server ran is made up for at once, what failed is tried again.
 * Undefined where the schedule never comes.
 */
export function nextTry(cron: Cron, now: number, { verifiedAt, retryAt }: Course): number | undefined {
  const due = cron.previous(now);
  const isMissed = due !== undefined && (verifiedAt === undefined || verifiedAt < due);
  return isMissed ? (retryAt ?? now) : cron.next(now);
}

const RETRY: Backoff = { baseMs: 30_000, maxMs: 30 * 60_000 };

/** The wait after so many failures in a row, in milliseconds: from half a minute to half an hour. */
export const retryDelay = (failures: number, random: () => number = Math.random): number =>
  backoff(Math.max(0, failures - 1), RETRY, random);
