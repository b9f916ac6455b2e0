/**
 * Who was refused by which store, so that all of them are tried again once a server tells that rights there changed, and
 * nobody else is. A word of that kind does not say whose rights they are: most who are woken by it are refused again. So
 * they go behind whatever was pushed, and wakes keep a distance that grows with their number, and with each wake in a row.
 */

import type { Clock } from '../../base/clock.ts';
import type { Failure } from '../../base/errors.ts';
import type { Queue } from '../../kube/queue.ts';

export interface RefusalsOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly queue: Pick<Queue, 'add'>;
}

/**
 * Between two wakes of those whom one store refused, in milliseconds: each distance is twice the last one, at most as long as
 * their own retries wait. A rest of two distances lets it begin anew.
 */
const PACE = { eachMs: 5, leastMs: 1000, mostMs: 25_000 };

/** Whether a store did not let us, or not let us in: what other rights would mend. */
export const isRefusal = ({ code }: Failure): boolean =>
  /^(api\.denied|provider\.(denied|write_denied|login))$/.test(code);

interface Refused {
  readonly keys: Set<string>;
  /** Monotonic; when the server last told of a change, and when its last wake was or is going to be. */
  changedAt: number;
  wakesAt: number;
  /** Wakes in a row without a rest. */
  row: number;
}

export class Refusals {
  readonly #options: RefusalsOptions;
  /** By the places of stores. */
  readonly #stores = new Map<string, Refused>();
  /** Who was refused -> by which stores. */
  readonly #keys = new Map<string, Set<Refused>>();

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /**
   * A store refused what was done for a key. Where rights changed while it was asked, the key is tried again.
   * @param since monotonic; it was asked no earlier
   */
  refused(store: string, key: string, since: number): void {
    const refused = this.#of(store);
    refused.keys.add(key);
    this.#keys.set(key, (this.#keys.get(key) ?? new Set()).add(refused));
    if (refused.changedAt > since) this.#options.queue.add(key, 'retry', this.#waitMs(refused));
  }

  /** What was done for a key went well, or the key is gone. */
  forget(key: string): void {
    for (const { keys } of this.#keys.get(key) ?? []) keys.delete(key);
    this.#keys.delete(key);
  }

  /** Rights may have changed where a store leads: whom it refused is tried again. */
  changed(store: string): void {
    const refused = this.#of(store);
    refused.changedAt = this.#options.clock.monotonic();
    if (refused.keys.size === 0) return;
    const waitMs = this.#waitMs(refused);
    for (const key of refused.keys) this.#options.queue.add(key, 'retry', waitMs);
  }

  #of(store: string): Refused {
    const known = this.#stores.get(store);
    if (known !== undefined) return known;
    const never = Number.NEGATIVE_INFINITY;
    const made: Refused = { keys: new Set(), changedAt: never, wakesAt: never, row: 0 };
    this.#stores.set(store, made);
    return made;
  }

  #waitMs(refused: Refused): number {
    const now = this.#options.clock.monotonic();
    if (refused.wakesAt > now) return refused.wakesAt - now;
    const distance = distanceMs(refused.keys.size, refused.row);
    refused.row = now - refused.wakesAt >= 2 * distance ? 0 : refused.row + 1;
    refused.wakesAt = Math.max(now, refused.wakesAt + distance);
    return refused.wakesAt - now;
  }
}

const distanceMs = (count: number, row: number): number =>
  Math.min(PACE.mostMs, Math.max(PACE.leastMs * 2 ** row, PACE.eachMs * count));
