/**
 * What a mount's revocations may ask of what lies behind it. A database that is away must not be asked by a hundred thousand
 * leases at once, neither while it is away nor when it comes back: only so many at once, and after some failures in a row
 * nobody but one who tries, at growing distances.
 */

import type { Milliseconds } from '../../base/duration.ts';
import { backoff } from '../../base/retry.ts';

/** How a mount's revocations fare. Times on the monotonic clock. */
export interface Health {
  /** Failures since the last success. */
  readonly failures: number;
  /** How often a pause was followed by a failure; 0: the gate is open. */
  readonly pauses: number;
  readonly pausedUntil: Milliseconds;
  /** What the last failure said. */
  readonly reason: string;
}

export const HEALTHY: Health = { failures: 0, pauses: 0, pausedUntil: 0, reason: '' };

/** Conversations of one mount's revocations at once. */
export const AT_ONCE = 32;
/** One lease that cannot be taken back says nothing of the others; so many in a row do. */
const FAILURES = 5;
/** So long at most after it is back it is asked again. */
const PAUSE = { baseMs: 1000, maxMs: 30_000 };

/** The health after a revocation began at `began` and failed at `now`, with numbers in [0, 1) from `random`. */
export function afterFailure(
  health: Health,
  { began, now, reason }: { readonly began: number; readonly now: number; readonly reason: string },
  random: () => number = Math.random,
): Health {
  const failures = health.failures + 1;
  // Those that were under way when the pause began say nothing new.
  if (health.pauses > 0 && began < health.pausedUntil) return { ...health, reason };
  if (health.pauses === 0 && failures < FAILURES) return { ...health, failures, reason };
  const pauses = health.pauses + 1;
  return { failures, pauses, pausedUntil: now + backoff(pauses - 1, PAUSE, random), reason };
}

/** How many revocations may begin now, of what the index has waiting. */
export function roomAt(health: Health, running: number, now: number): number {
  if (health.pauses === 0) return Number.POSITIVE_INFINITY;
  // One who tries.
  return now < health.pausedUntil || running > 0 ? 0 : 1;
}

/** The gate of one mount: bounds what is under way, and remembers how it went. */
export class Gate {
  #health = HEALTHY;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  get health(): Health {
    return this.#health;
  }

  /** What waits and what is under way. */
  get size(): number {
    return this.#running + this.#waiting.length;
  }

  /** @param running what was begun by who asks, and may not have come here yet */
  room(running: number, now: number): number {
    return roomAt(this.#health, Math.max(running, this.size), now);
  }

  /** Whether it is known that nothing gets through, so that only one may try. */
  isPaused(now: number): boolean {
    return this.#health.pauses > 0 && now < this.#health.pausedUntil;
  }

  /** Runs `work` when its turn comes. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resume) => this.#waiting.push(resume));
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // Its place goes over to who waited longest.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  succeeded(): void {
    this.#health = HEALTHY;
  }

  /** @returns whether a pause begins with this */
  failed(began: number, now: number, reason: string): boolean {
    const before = this.#health.pauses;
    this.#health = afterFailure(this.#health, { began, now, reason });
    return this.#health.pauses > before;
  }
}
