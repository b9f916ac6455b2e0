/** When a password is to change next. Pure; times are milliseconds since the epoch. */

import { type Cron, parseCron } from '../../base/cron.ts';

export type Timing =
  | { readonly periodMs: number }
  | {
      /** Five fields of cron, in UTC. */
      readonly schedule: string;
      /** From each time of the schedule on, how long a rotation may still begin; 0: until the next succeeds. */
      readonly windowMs: number;
      /** Since when the schedule holds: what came before it is not made up for. */
      readonly since: number;
    };

/** The schedule, or undefined where the text is none, or names a time that never comes. */
export function readSchedule(text: string): Cron | undefined {
  const cron = parseCron(text);
  return cron?.next(0) === undefined ? undefined : cron;
}

/**
 * The time of the next rotation: in the past where one was missed and is still to be made up for. A window that closed
 * without one, whatever kept it, is waited out until the next time of the schedule, as upstream does.
 */
export function nextRotation(timing: Timing, rotatedAt: number, now: number): number {
  if ('periodMs' in timing) return rotatedAt + timing.periodMs;
  const cron = readSchedule(timing.schedule);
  const first = cron?.next(Math.max(rotatedAt, timing.since)) ?? Number.POSITIVE_INFINITY;
  if (cron === undefined || timing.windowMs === 0 || now < first) return first;
  const latest = cron.previous(now) ?? first;
  return now < latest + timing.windowMs ? latest : (cron.next(now) ?? Number.POSITIVE_INFINITY);
}
