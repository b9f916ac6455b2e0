/**
 * One time of leading: from the epoch that was won until another has begun, or it is given back. The lease is renewed all the
 * while; whether it surely stands is asked of the clock each time, never remembered, because a process may have slept since.
 */

import type { Clock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { sleep } from '../../base/retry.ts';
import { Waiting } from '../../base/waiting.ts';
import type { Leader, Leadership } from '../../storage/leadership.ts';

/** Milliseconds. */
export interface Pace {
  /** How long a lease stands without being renewed: others wait for as long after a leader died. */
  readonly ttlMs: number;
  readonly renewMs: number;
  /** How often who does not lead tries to. */
  readonly campaignMs: number;
  /** How long who stepped down lets others go first. */
  readonly stepDownMs: number;
  /** How long a request waits for somebody to lead. */
  readonly patienceMs: number;
  /** How long requests under way may take to end before the lead is given up. */
  readonly drainMs: number;
}

/**
 * A leader that dies is followed by another within the lease and one campaign. Six renewals in a lease let it outlast a
 * database that restarts or a process that is busy for two seconds.
 */
export const PACE: Pace = {
  ttlMs: 3000,
  renewMs: 500,
  campaignMs: 250,
  stepDownMs: 10_000,
  patienceMs: 1000,
  drainMs: 3000,
};

const WATCH_MS = 100;

export interface TenureOptions {
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: Log;
  readonly pace: Pace;
}

export class Tenure {
  readonly epoch: number;
  /** When it began, by the wall clock. */
  readonly since: number;
  readonly #options: TenureOptions;
  readonly #ended = new AbortController();
  /** Those who wait for an answer, and are told when the lease lapses. */
  readonly #underWay = new Set<() => void>();
  /** Those who wait for the lease to stand again, or for the end. */
  readonly #waiting: Waiting;
  #watch: NodeJS.Timeout | undefined;
  #told = false;

  private constructor(epoch: number, options: TenureOptions) {
    this.epoch = epoch;
    this.#options = options;
    this.#waiting = new Waiting(options.clock);
    this.since = options.clock.now();
  }

  /** @returns undefined where another node leads. @throws Failure storage.database */
  static async win(node: Omit<Leader, 'epoch'>, options: TenureOptions): Promise<Tenure | undefined> {
    const epoch = await options.leadership.campaign(node, options.pace.ttlMs);
    if (epoch === undefined) return undefined;
    const tenure = new Tenure(epoch, options);
    tenure.#keep();
    return tenure;
  }

  /** Aborted once this node leads no more: by another epoch, or because it gave the lead up. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether nobody else can lead at this moment. */
  holds(): boolean {
    return !this.#ended.signal.aborted && this.#options.leadership.holds();
  }

  /**
   * Waits for `work`, but no longer than the lease stands.
   * @returns undefined when the lease lapsed first; the work goes on, and nobody hears of it
   */
  whileHeld<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const lapse = (): void => resolve(undefined);
      this.#underWay.add(lapse);
      const over = (): boolean => this.#underWay.delete(lapse);
      work.then(
        (value) => {
          over();
          resolve(value);
        },
        (error: unknown) => {
          over();
          reject(error);
        },
      );
    });
  }

  /** Whether the lease stands within `ms`, at once where it does. */
  async standsWithin(ms: number): Promise<boolean> {
    if (this.holds()) return true;
    if (this.#ended.signal.aborted) return false;
    await this.#waiting.until(ms);
    return this.holds();
  }

  /** Leads no more, from now on: nothing is answered any longer. The lease itself is given back by `resign`. */
  end(): void {
    if (this.#ended.signal.aborted) return;
    clearInterval(this.#watch);
    this.#ended.abort();
    this.#lapse();
    this.#waiting.wake();
  }

  /** Gives the lease back, so that others need not wait for its end. */
  async resign(): Promise<void> {
    this.end();
    await this.#options.leadership.resign();
  }

  #keep(): void {
    const { leadership, log, pace } = this.#options;
    const { signal } = this.#ended;
    const renew = async (): Promise<void> => {
      for (;;) {
        await sleep(pace.renewMs, signal);
        try {
          if (!(await leadership.renew())) {
            log.error('the lead over the store is lost: another node leads', { epoch: this.epoch });
            return this.end();
          }
          if (this.#told) log.info('the lease over the store stands again', { epoch: this.epoch });
          this.#told = false;
          this.#waiting.wake();
        } catch (error) {
          if (signal.aborted) return;
          log.warn('the lease over the store was not renewed, and is tried again', { error });
        }
      }
    };
    // It ends by being stopped, which rejects the wait.
    renew().catch(() => {});
    // A renewal may hang for as long as its time limit: the end of the lease is looked at beside it.
    this.#watch = setInterval(() => {
      if (leadership.holds()) return;
      this.#lapse();
      if (this.#told) return;
      this.#told = true;
      log.error('the lease over the store has lapsed: nothing is answered until it stands again', {
        epoch: this.epoch,
        error: failure('storage.fenced'),
      });
      // What waits on a way that no longer answers would wait long after another one is there.
      leadership.cut?.();
    }, WATCH_MS);
    this.#watch.unref();
  }

  #lapse(): void {
    const all = [...this.#underWay];
    this.#underWay.clear();
    for (const tell of all) tell();
  }
}
