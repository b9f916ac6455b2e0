/** Waiting that something else can end before its time: by a clock that is handed in, and never longer than was said. */

import type { Clock } from './clock.ts';

type Timer = Pick<Clock, 'after'>;

/** Resolves after `ms`, or at once when the signal is aborted; it never rejects. */
export function pause(clock: Timer, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Those who wait for one thing to change. */
export class Waiting {
  readonly #clock: Timer;
  readonly #all = new Set<() => void>();

  constructor(clock: Timer) {
    this.#clock = clock;
  }

  /** Resolves when `wake` is called next, or after `ms`. */
  until(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#all.delete(end);
        resolve();
      };
      const cancel = this.#clock.after(ms, end);
      this.#all.add(end);
    });
  }

  wake(): void {
    for (const end of [...this.#all]) end();
  }
}
