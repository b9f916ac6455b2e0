/**
 * What another server publishes, kept for a while. It is asked anew when what is kept is old, and sooner when somebody brings
 * what is not in it; but never more often than the pauses below allow, so that no stranger can make it a storm. While
 * the other server does not answer, what is kept serves on for an hour, and then nothing does.
 */

import type { Clock } from '../../base/clock.ts';

/** Milliseconds. */
const FRESH = 10 * 60_000;
const KEPT = 60 * 60_000;
const PAUSE = 30_000;
const PAUSE_AFTER_FAILURE = 5_000;

export class Remote<T> {
  readonly #ask: () => Promise<T>;
  readonly #clock: Clock;
  #kept: { readonly value: T; readonly at: number } | undefined;
  #last: { readonly at: number; readonly error: unknown } | undefined;
  #asking: Promise<void> | undefined;

  constructor(ask: () => Promise<T>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** What is published, at most ten minutes old; up to an hour while nobody answers. @throws what asking threw */
  async get(): Promise<T> {
    if (this.#kept === undefined || this.#age(this.#kept.at) >= FRESH) await this.#renew();
    return this.#current();
  }

  /** The same, asked for anew unless that was done just now. @throws as `get` */
  async again(): Promise<T> {
    await this.#renew();
    return this.#current();
  }

  #current(): T {
    if (this.#kept !== undefined && this.#age(this.#kept.at) < KEPT) return this.#kept.value;
    throw this.#last?.error;
  }

  /** Asks, once for all who wait; what went wrong is kept for `#current` to tell. */
  async #renew(): Promise<void> {
    const pause = this.#last?.error === undefined ? PAUSE : PAUSE_AFTER_FAILURE;
    if (this.#asking === undefined && this.#last !== undefined && this.#age(this.#last.at) < pause) return;
    this.#asking ??= this.#once().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #once(): Promise<void> {
    try {
      const value = await this.#ask();
      const at = this.#clock.monotonic();
      this.#kept = { value, at };
      this.#last = { at, error: undefined };
    } catch (error) {
      this.#last = { at: this.#clock.monotonic(), error };
    }
  }

  #age = (at: number): number => this.#clock.monotonic() - at;
}
