/**
 * A store that does not answer is left alone for a while, and then one request finds out whether it is back: the others
 * wait for what that one learns. A store that names a time itself (`Retry-After`) is left alone until then.
 */

import { backoff } from '../../base/retry.ts';

/** Why a request is not made, and when to come again. */
export interface Refusal {
  readonly waitMs: number;
  /** The code of the failure that caused it. */
  readonly code: string;
}

/** So many different reads in a row, none answered, are the store's fault and not that of one secret. */
const FAILURES = 3;
/** Short enough that what waits is right again well within half a minute. */
const PAUSE = { baseMs: 1000, maxMs: 10_000 };
/** Whoever waits for a probe comes again after this long. */
const PROBE_MS = 500;
/** A probe that has not ended by then is not waited for. */
const PROBE_LOST_MS = 60_000;
/** No header of a store stops us for longer. */
const LONGEST_MS = 5 * 60_000;

/** All times are monotonic milliseconds. */
export class Breaker {
  readonly #random: () => number;
  readonly #failed = new Set<string>();
  #code = '';
  #until = Number.NEGATIVE_INFINITY;
  /** How often in a row it was opened; 0: closed. */
  #opened = 0;
  #probeSince: number | undefined;

  constructor(random: () => number) {
    this.#random = random;
  }

  get open(): boolean {
    return this.#opened > 0;
  }

  /** Undefined: go ahead, and tell how it went. */
  refusal(now: number): Refusal | undefined {
    if (now < this.#until) return { waitMs: this.#until - now, code: this.#code };
    if (this.#opened === 0) return undefined;
    if (this.#probeSince !== undefined && now - this.#probeSince < PROBE_LOST_MS)
      return { waitMs: PROBE_MS, code: this.#code };
    this.#probeSince = now;
    return undefined;
  }

  /** The store answered, whatever it said. @returns whether it had been left alone until now */
  answered(): boolean {
    const was = this.#opened > 0;
    this.#failed.clear();
    this.#opened = 0;
    this.#probeSince = undefined;
    return was;
  }

  /** @param read what was asked for: one read that fails for ever says nothing about the others */
  failed(read: string, code: string, now: number): void {
    this.#code = code;
    this.#failed.add(read);
    const probed = this.#probeSince !== undefined;
    this.#probeSince = undefined;
    // What was begun before it was opened fails late and is no news.
    if (this.#opened > 0 && !probed) return;
    if (!probed && this.#failed.size < FAILURES) return;
    this.#failed.clear();
    this.#until = Math.max(this.#until, now + backoff(this.#opened, PAUSE, this.#random));
    this.#opened++;
  }

  /** It never came to the store. */
  unasked(): void {
    this.#probeSince = undefined;
  }

  /** The store said when to come again. */
  pause(ms: number, code: string, now: number): void {
    this.#code = code;
    this.#probeSince = undefined;
    this.#until = Math.max(this.#until, now + Math.min(ms, LONGEST_MS));
  }

  /** There is a reason to think that it is back: the next request finds out. */
  hope(): void {
    this.#until = Number.NEGATIVE_INFINITY;
    this.#probeSince = undefined;
  }
}
