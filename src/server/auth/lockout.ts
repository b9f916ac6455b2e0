/**
 * Who may not log in for a while, because somebody guessed too often under that name. Names that do not exist are counted
 * like those that do, so that being locked out tells nobody which exist. In memory alone: a restart forgives.
 */

import { sha256 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Milliseconds } from '../../base/duration.ts';

export interface LockoutRules {
  /** Failures in a row that lock; Infinity: none do. */
  readonly threshold: number;
  readonly durationMs: Milliseconds;
  /** So long after the last failure they are forgotten. */
  readonly resetMs: Milliseconds;
}

export interface LockoutLimits extends LockoutRules {
  /** Names that are remembered at most. */
  readonly names: number;
}

/** As upstream's, for userpass and approle. */
export const LOCKOUT: LockoutLimits = {
  threshold: 5,
  durationMs: 15 * 60_000,
  resetMs: 15 * 60_000,
  names: 65_536,
};
/** Enough to know a name by; the rest is a stranger's text that nobody needs to keep. */
const SHOWN = 256;

interface Tally {
  readonly accessor: string;
  readonly alias: string;
  readonly failures: number;
  /** On the monotonic clock: setting the wall clock must not open what is locked. */
  readonly lastAt: number;
}

export interface LockedUser {
  readonly accessor: string;
  readonly alias: string;
}

export class Lockout {
  readonly #clock: Clock;
  readonly #limits: LockoutLimits;
  readonly #rulesOf: (accessor: string) => LockoutRules;
  /** In the order of their last failures. */
  readonly #tallies = new Map<string, Tally>();

  /** @param rulesOf what holds on the mount with this accessor; absent: the same on all */
  constructor(
    clock: Clock,
    limits: LockoutLimits = LOCKOUT,
    rulesOf: (accessor: string) => LockoutRules = () => limits,
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#rulesOf = rulesOf;
  }

  /** Whether logins of `alias` on the mount with this accessor are refused now. */
  locked(accessor: string, alias: string): boolean {
    // Nobody guesses most of the time: then names need no hashing.
    const tally = this.#tallies.size === 0 ? undefined : this.#tallies.get(keyOf(accessor, alias));
    return tally !== undefined && this.#isLocked(tally);
  }

  /** A wrong credential was shown. */
  failed(accessor: string, alias: string): void {
    const key = keyOf(accessor, alias);
    const before = this.#tallies.get(key);
    // What was in flight when the lock fell must not make it longer.
    if (before !== undefined && this.#isLocked(before)) return;
    const { resetMs, threshold } = this.#rulesOf(accessor);
    const now = this.#clock.monotonic();
    const keep = before !== undefined && before.failures < threshold && now - before.lastAt < resetMs;
    const failures = (keep ? before.failures : 0) + 1;
    this.#tallies.delete(key);
    this.#makeRoom(now);
    this.#tallies.set(key, { accessor, alias: alias.slice(0, SHOWN), failures, lastAt: now });
  }

  /** A right one was: what went before is forgotten. */
  succeeded(accessor: string, alias: string): void {
    if (this.#tallies.size > 0) this.#tallies.delete(keyOf(accessor, alias));
  }

  /** @returns whether there was anything to forget */
  unlock(accessor: string, alias: string): boolean {
    return this.#tallies.delete(keyOf(accessor, alias));
  }

  list(): LockedUser[] {
    return [...this.#tallies.values()].filter((tally) => this.#isLocked(tally));
  }

  #isLocked(tally: Tally): boolean {
    const { threshold, durationMs } = this.#rulesOf(tally.accessor);
    return tally.failures >= threshold && this.#clock.monotonic() - tally.lastAt < durationMs;
  }

  /** Forgets what is too old to matter, and past the bound the oldest, those first that lock nobody. */
  #makeRoom(now: number): void {
    for (const [key, tally] of this.#tallies) {
      const { resetMs, durationMs } = this.#rulesOf(tally.accessor);
      if (now - tally.lastAt < Math.max(resetMs, durationMs)) break;
      this.#tallies.delete(key);
    }
    if (this.#tallies.size < this.#limits.names) return;
    for (const [key, tally] of this.#tallies) {
      if (this.#isLocked(tally)) continue;
      this.#tallies.delete(key);
      return;
    }
    const oldest = this.#tallies.keys().next().value;
    if (oldest !== undefined) this.#tallies.delete(oldest);
  }
}

const keyOf = (accessor: string, alias: string): string => sha256(`${accessor}/${alias}`).toString('base64');
