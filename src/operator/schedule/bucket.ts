/**
 * How fast one store is asked: a token bucket whose rate gives way. A store that says "too many" is asked at half the
 * rate, and then a little faster each second until it is at its full rate again. Pure but for what it remembers.
 */

export interface Rate {
  /** Requests a second. */
  readonly perSecond: number;
  /** Requests at once, after a rest. */
  readonly burst: number;
}

/** From the slowest to the full rate in so many seconds. */
const RECOVERY_SECONDS = 60;
/** Many requests that are refused together are one refusal. */
const HALVE_MS = 1000;
const SLOWEST_PER_SECOND = 0.5;

/** All times are monotonic milliseconds. */
export class Bucket {
  readonly #full: Rate;
  #perSecond: number;
  #tokens: number;
  #at: number;
  #halvedAt = Number.NEGATIVE_INFINITY;

  constructor(full: Rate, now: number) {
    this.#full = full;
    this.#perSecond = full.perSecond;
    this.#tokens = full.burst;
    this.#at = now;
  }

  /** Milliseconds until a request may be made; 0: now. */
  waitMs(now: number): number {
    this.#refill(now);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }

  /** Whole requests that may be made now. */
  free(now: number): number {
    this.#refill(now);
    return Math.max(0, Math.floor(this.#tokens));
  }

  /** Counts a request. Whoever was let in may make several: what is too much is waited for afterwards. */
  take(now: number): void {
    this.#refill(now);
    this.#tokens -= 1;
  }

  /** The store said that it was asked too often. */
  limited(now: number): void {
    this.#refill(now);
    this.#tokens = Math.min(this.#tokens, 0);
    if (now - this.#halvedAt < HALVE_MS) return;
    this.#halvedAt = now;
    this.#perSecond = Math.max(SLOWEST_PER_SECOND, this.#perSecond / 2);
  }

  #refill(now: number): void {
    const seconds = Math.max(0, now - this.#at) / 1000;
    this.#at = Math.max(this.#at, now);
    this.#tokens = Math.min(this.#full.burst, this.#tokens + seconds * this.#perSecond);
    const growth = (this.#full.perSecond / RECOVERY_SECONDS) * seconds;
    this.#perSecond = Math.min(this.#full.perSecond, this.#perSecond + growth);
  }
}
