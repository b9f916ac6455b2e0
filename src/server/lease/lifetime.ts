/**
 * The time by which leases and tokens end. Durations are promises, and the wall clock is set by people and by NTP: a step of a
 * day forward must not end everything at once, one backward must not let anything live for a day more. So within the life of
 * a process this time passes as the monotonic clock does, and moves towards the wall clock by a hundredth of that at most.
 * What it was, and what the clocks showed then, is kept, so that the next life goes on from there.
 */

import type { Boot, Clock } from '../../base/clock.ts';
import { goDuration } from '../../base/duration.ts';
import { isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Storage } from '../../storage/storage.ts';
import { encode, load } from '../auth/records.ts';

/** What the clocks showed at one moment. Milliseconds. */
export interface Look {
  readonly wall: number;
  readonly monotonic: number;
  /** What the machine slept since the look before, in which the monotonic clock stood. */
  readonly slept: number;
}

/** The time of leases at the last look, and what the clocks showed. */
export interface Reckoned {
  readonly time: number;
  readonly wall: number;
  readonly monotonic: number;
}

/** What one life leaves to the next. */
export interface Kept {
  readonly time: number;
  readonly wall: number;
  /** The start of the machine, and its clock that never jumps; absent where that was not known. */
  readonly boot?: Boot;
  /** What the machine had slept. */
  readonly asleep?: number;
}

/** By how much this time may run faster or slower than time passes, to meet the wall clock: NTP slews by 0.0005. */
export const RATE = 0.01;
/** Two clocks that are read one after the other differ by so much and mean the same. */
const NOISE_MS = 1000;
/** From here on a step of the wall clock is told. */
const TOLD_MS = 2000;
const SAVED_EVERY_MS = 60_000;
const KEY = 'clock';

/**
 * The time of leases now, given what it was: never before `last.time`, and never further from what passed since then than
 * RATE of it, whatever the wall clock shows.
 */
export function timeAfter(last: Reckoned, { wall, monotonic, slept }: Look): Reckoned {
  const passed = passedSince(last, monotonic, slept);
  const slack = passed * RATE;
  const free = last.time + passed;
  return { time: Math.min(Math.max(wall, free - slack), free + slack), wall, monotonic };
}

/**
 * The time of leases at the start of a process. On the machine that kept it, and while that was not started anew, the
 * monotonic clock tells how long nobody ran. Elsewhere there is only the wall clock: one that is behind lets no time pass, and
 * never takes any back; one that was known to be ahead is not believed that far.
 * @param kept what the life before left, undefined for the first one
 */
export function timeAtStart(kept: Kept | undefined, now: Omit<Kept, 'time'>): number {
  if (kept === undefined) return now.wall;
  const between = monotonicBetween(kept, now);
  if (between !== undefined) return kept.time + between;
  return Math.max(kept.time, now.wall + Math.min(0, apart(kept)));
}

/** What passed between two looks of processes of one start of the machine; undefined where that is not known. */
function monotonicBetween(kept: Kept, { boot, asleep = 0 }: Omit<Kept, 'time'>): number | undefined {
  if (kept.boot === undefined || boot?.id !== kept.boot.id) return undefined;
  const awake = boot.monotonic - kept.boot.monotonic;
  const slept = asleep - (kept.asleep ?? asleep);
  return awake < 0 ? undefined : awake + (slept > NOISE_MS ? slept : 0);
}

/** How far the time of leases is ahead of the wall clock; 0 for what is but noise. */
function apart({ time, wall }: Pick<Kept, 'time' | 'wall'>): number {
  const difference = time - wall;
  return Math.abs(difference) < NOISE_MS ? 0 : difference;
}

const passedSince = (last: Reckoned, monotonic: number, slept: number): number =>
  Math.max(0, monotonic - last.monotonic) + slept;

/** One per open server. What hands out or ends leases and tokens has it for its clock; what is told to people is `wallOf` it. */
export class LifetimeClock implements Clock {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #storage: Storage;
  #last: Reckoned;
  /** What the machine slept before this clock was made. */
  #asleep: number;
  #cancel: (() => void) | undefined;
  #started = false;

  private constructor(options: LifetimeOptions, kept: Kept | undefined) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#storage = options.storage;
    const wall = options.clock.now();
    const monotonic = options.clock.monotonic();
    this.#asleep = (options.clock.uptime?.() ?? 0) - monotonic;
    this.#last = { time: timeAtStart(kept, this.#shown(wall)), wall, monotonic };
    if (kept !== undefined && wall < kept.wall - TOLD_MS)
      options.log.warn('the system clock is behind the time at which this store was last open', {
        behind: goDuration(Math.round(kept.wall - wall)),
        effect: 'leases and tokens go on from where they were, and end by the time that passes',
      });
  }

  /** Goes on from what the life before left in `storage`; writes nothing. */
  static async open(options: LifetimeOptions): Promise<LifetimeClock> {
    return new LifetimeClock(options, (await load<Kept>(options.storage, KEY))?.value);
  }

  /** Milliseconds since the epoch, as leases count them: it only rises. */
  now(): number {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    const step = wall - this.#last.wall - (monotonic - this.#last.monotonic);
    const slept = Math.abs(step) > TOLD_MS ? this.#surprise(step, monotonic) : 0;
    this.#last = timeAfter(this.#last, { wall, monotonic, slept });
    return Math.round(this.#last.time);
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  after(ms: number, fire: () => void): () => void {
    return this.#clock.after(ms, fire);
  }

  /** How far leases' time is ahead of the system's clock: what was set since, and has not been made up for. Milliseconds. */
  get ahead(): number {
    this.now();
    return apart(this.#last);
  }

  /** What the system's clock shows when leases' time is `time`: for people, who compare it with their own clocks. */
  wallOf(time: number): number {
    return Math.round(time - this.ahead);
  }

  /** Begins to keep the time, so that the next life goes on from there. Only where this process may write. */
  start(): void {
    this.#started = true;
    this.#saveAndWait();
  }

  stop(): void {
    this.#started = false;
    this.#cancel?.();
  }

  /** Keeps the time now. @throws Failure storage.* */
  async save(): Promise<void> {
    const time = this.now();
    const kept: Kept = { time, ...this.#shown(this.#last.wall) };
    await this.#storage.commit([{ key: KEY, value: encode(kept) }]);
  }

  #shown(wall: number): Omit<Kept, 'time'> {
    const boot = this.#clock.boot?.();
    if (boot === undefined) return { wall };
    const uptime = this.#clock.uptime?.();
    return { wall, boot, ...(uptime === undefined ? {} : { asleep: uptime - boot.monotonic }) };
  }

  #saveAndWait(): void {
    this.save()
      .catch((error: unknown) => {
        if (this.#started && !isFailure(error, 'server.sealed'))
          this.#log.warn('the time of leases was not kept', { error });
      })
      .finally(() => {
        if (this.#started) this.#cancel = this.#clock.after(SAVED_EVERY_MS, () => this.#saveAndWait());
      });
  }

  /** The wall clock and the monotonic one disagree: somebody set the one, or the machine slept and the other stood. */
  #surprise(step: number, monotonic: number): number {
    const asleep = (this.#clock.uptime?.() ?? 0) - monotonic;
    const slept = this.#clock.uptime === undefined ? 0 : asleep - this.#asleep;
    if (slept > NOISE_MS) {
      this.#asleep = asleep;
      this.#log.info('the machine slept', { for: goDuration(Math.round(slept)) });
    }
    const set = Math.round(step - (slept > NOISE_MS ? slept : 0));
    if (Math.abs(set) > TOLD_MS)
      this.#log.warn('the system clock was set', {
        by: goDuration(Math.abs(set)),
        direction: set > 0 ? 'forward' : 'back',
        effect: 'leases and tokens end by the time that passes, not by this step',
      });
    return slept > NOISE_MS ? slept : 0;
  }
}

export interface LifetimeOptions {
  /** Where the time is kept: behind the barrier, in a view of the server's own. */
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
}
