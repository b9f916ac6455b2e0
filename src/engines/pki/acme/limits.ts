/** How much strangers may have stored: routes without a token would else let anybody fill the disk. */

import type { Clock } from '../../../base/clock.ts';
import { AcmeError } from './problem.ts';

/** Allows `burst` at once and `perHour` in the long run. Kept in memory: a restart forgives. */
export class Bucket {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #burst: number;
  readonly #msEach: number;
  #left: number;
  #at: number;

  constructor(clock: Pick<Clock, 'monotonic'>, burst: number, perHour: number) {
    this.#clock = clock;
    this.#burst = burst;
    this.#msEach = 3_600_000 / perHour;
    this.#left = burst;
    this.#at = clock.monotonic();
  }

  /** Takes one. @throws AcmeError rateLimited, with when to come again */
  take(what: string): void {
    const now = this.#clock.monotonic();
    this.#left = Math.min(this.#burst, this.#left + (now - this.#at) / this.#msEach);
    this.#at = now;
    if (this.#left < 1) throw limited(what, (1 - this.#left) * this.#msEach);
    this.#left -= 1;
  }
}

/** @param afterMs when it may be tried again */
export const limited = (what: string, afterMs: number): AcmeError =>
  new AcmeError('rateLimited', `too many ${what}; try again later`, {
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(afterMs / 1000))) },
  });

/** Accounts that nobody vouched for, all in all. Those bound by EAB are the operator's own doing. */
export const MOST_ACCOUNTS = 100_000;
export const ACCOUNT_BURST = 500;
export const ACCOUNTS_PER_HOUR = 3600;
export const ORDER_BURST = 1000;
export const ORDERS_PER_HOUR = 7200;
/** Orders of one account that wait to be finished. */
export const MOST_PENDING = 100;
export const MOST_IDENTIFIERS = 100;
export const MOST_CONTACTS = 10;
export const MOST_CONTACT_LENGTH = 254;
export const MOST_BODY_BYTES = 64 * 1024;
