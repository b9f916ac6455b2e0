/**
 * What goes to each store, and how much of it at once. A reconcile is let in before it begins, so that a slow store holds
 * some of the workers and never all of them, and one that is asked at its full rate holds none: what has to wait is kept
 * here and planned again when there is room. Requests themselves are counted, and not made while a store is left alone.
 */

import type { Clock } from '../../base/clock.ts';
import { asFailure, type Failure, failure } from '../../base/errors.ts';
import { WORK_CLASSES, type Work, type WorkClass } from '../../kube/queue.ts';
import { Breaker } from './breaker.ts';
import { Bucket, type Rate } from './bucket.ts';
import { Line } from './line.ts';

export interface TrafficOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Reconciles at once, in all. */
  readonly workers: number;
  readonly rate?: Rate;
  /** Plans a reconcile again that had to wait. */
  again(work: Work): void;
  /** A store that had been left alone answers. */
  recovered(store: string): void;
}

/** Far above what a quiet cluster asks, and below what a server of secrets minds. */
const RATE: Rate = { perSecond: 500, burst: 1000 };
const OURS = /^(kube|operator|base)\./;
/** How long a free place may stay unnoticed. */
const LOOK_MS = 250;

interface Lane {
  readonly bucket: Bucket;
  readonly breaker: Breaker;
  readonly waiting: ReadonlyMap<WorkClass, Line>;
  held: number;
  alarm: (() => void) | undefined;
}

export class Traffic {
  readonly #options: TrafficOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #crowded = new Set<string>();
  /** Those who have not been let in since. */
  readonly #hurried = new Set<string>();
  #held = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  /**
   * Lets a reconcile in that may read these stores, by their places.
   * @returns what is to be called when it has ended; undefined where it has to wait: it is planned again by itself
   */
  enter(stores: readonly string[], work: Work): (() => void) | undefined {
    const now = this.#options.clock.monotonic();
    for (const store of stores) {
      const lane = this.#lane(store);
      const waitMs = lane.bucket.waitMs(now);
      if (this.#room(lane) > 0 && waitMs === 0) continue;
      this.#park(store, lane, work, waitMs);
      return undefined;
    }
    // Some are another replica's and never come: where nobody waits, nobody has to be put first.
    if (this.#crowded.size === 0) this.#hurried.clear();
    else this.#hurried.delete(work.key);
    for (const store of stores) this.#lane(store).held++;
    this.#held += stores.length;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      for (const store of stores) this.#lane(store).held--;
      this.#held -= stores.length;
      this.#releaseOne();
    };
  }

  /** Lets these keys in before all others of their class, whenever they come. */
  hurry(keys: readonly string[]): void {
    for (const key of keys) {
      this.#hurried.add(key);
      for (const store of this.#crowded)
        for (const line of this.#lane(store).waiting.values()) {
          const work = line.get(key);
          if (work !== undefined) line.set(work, true);
        }
    }
  }

  /**
   * Makes one request to a store. What it throws is looked at and thrown on.
   * @param label the store for messages; @param read what is asked for, see `Breaker`
   * @throws Failure operator.store_paused while the store is left alone
   */
  async ask<T>(store: string, label: string, read: string, request: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const lane = this.#lane(store);
    const refused = lane.breaker.refusal(clock.monotonic());
    if (refused !== undefined)
      throw failure(
        'operator.store_paused',
        { store: label, code: refused.code },
        { retryAfterMs: refused.waitMs },
      );
    lane.bucket.take(clock.monotonic());
    try {
      const answer = await request();
      this.#answered(store, lane);
      return answer;
    } catch (error) {
      this.#failed(store, lane, read, asFailure(error));
      throw error;
    }
  }

  /** The store is said to be well again, or it changed: what it did before counts no more. */
  hope(store: string): void {
    this.#lanes.get(store)?.breaker.hope();
  }

  /** Reconciles that wait for room, by all stores. */
  get waiting(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) for (const line of lane.waiting.values()) count += line.size;
    return count;
  }

  /** The store is gone. Who waits for it looks, and says so. */
  forget(store: string): void {
    const lane = this.#lanes.get(store);
    if (lane === undefined || lane.held > 0) return;
    this.#lanes.delete(store);
    this.#crowded.delete(store);
    lane.alarm?.();
    for (const line of lane.waiting.values()) for (const work of line) this.#options.again(work);
  }

  #lane(store: string): Lane {
    const known = this.#lanes.get(store);
    if (known !== undefined) return known;
    const { clock, random, rate = RATE } = this.#options;
    const lane: Lane = {
      bucket: new Bucket(rate, clock.monotonic()),
      breaker: new Breaker(random),
      waiting: new Map(WORK_CLASSES.map((name) => [name, new Line()])),
      held: 0,
      alarm: undefined,
    };
    this.#lanes.set(store, lane);
    return lane;
  }

  /**
   * How many more may be let in: a store holds as many workers at most as it leaves free, and may always hold one. One store
   * alone has half of them, a second one a quarter, and so on: however many are slow, the next one is served.
   */
  #room(lane: Lane): number {
    const free = this.#options.workers - this.#held;
    return Math.max(lane.held === 0 ? 1 : 0, Math.ceil((free - lane.held) / 2));
  }

  #park(store: string, lane: Lane, work: Work, waitMs: number): void {
    const before = WORK_CLASSES.map((name) => lane.waiting.get(name)?.get(work.key)).find(
      (w) => w !== undefined,
    );
    const merged = before === undefined ? work : mergedWork(before, work);
    if (before !== undefined && before.class !== merged.class)
      lane.waiting.get(before.class)?.delete(work.key);
    lane.waiting.get(merged.class)?.set(merged, this.#hurried.has(work.key));
    this.#crowded.add(store);
    this.#ring(store, lane, waitMs);
  }

  /** A worker is free again: one that waits goes on, of another store each time. */
  #releaseOne(): void {
    const now = this.#options.clock.monotonic();
    for (const store of this.#crowded) {
      const lane = this.#lane(store);
      if (this.#room(lane) === 0 || lane.bucket.free(now) === 0) continue;
      this.#crowded.delete(store);
      this.#crowded.add(store);
      return this.#release(store, 1);
    }
  }

  /** Plans up to `most` again of those that wait for a store, the most urgent first, as far as there is room. */
  #release(store: string, most: number): void {
    const lane = this.#lane(store);
    const now = this.#options.clock.monotonic();
    let left = Math.min(most, this.#room(lane), lane.bucket.free(now));
    for (const name of WORK_CLASSES) {
      for (const work of lane.waiting.get(name) ?? []) {
        if (left-- <= 0) return this.#ring(store, lane, lane.bucket.waitMs(now));
        lane.waiting.get(name)?.delete(work.key);
        this.#options.again(work);
      }
    }
    this.#crowded.delete(store);
  }

  /** Also where no request is awaited: one that was planned again may have gone elsewhere, and would release nobody. */
  #ring(store: string, lane: Lane, waitMs: number): void {
    if (lane.alarm !== undefined) return;
    lane.alarm = this.#options.clock.after(waitMs === 0 ? LOOK_MS : waitMs, () => {
      lane.alarm = undefined;
      this.#release(store, Number.POSITIVE_INFINITY);
    });
  }

  #answered(store: string, lane: Lane): void {
    if (!lane.breaker.answered()) return;
    this.#options.recovered(store);
  }

  #failed(store: string, lane: Lane, read: string, known: Failure): void {
    const now = this.#options.clock.monotonic();
    const { kind, code, retryAfterMs } = known;
    // The server answers, it is only behind: others have nothing to wait for.
    if (code === 'provider.stale') return this.#answered(store, lane);
    // What stood in the way was the cluster, or we.
    if (OURS.test(code)) return lane.breaker.unasked();
    if (kind === 'limited') lane.bucket.limited(now);
    if (retryAfterMs !== undefined && (kind === 'limited' || kind === 'unavailable' || kind === 'sealed'))
      lane.breaker.pause(retryAfterMs, code, now);
    else if (kind === 'unavailable' || kind === 'sealed') lane.breaker.failed(read, code, now);
    else this.#answered(store, lane);
  }
}

/** One key that has to wait twice: the more urgent class, and the later reason. */
const mergedWork = (a: Work, b: Work): Work => ({
  ...(WORK_CLASSES.indexOf(a.class) <= WORK_CLASSES.indexOf(b.class) ? a : b),
  since: Math.max(a.since, b.since),
});
