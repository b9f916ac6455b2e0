/**
 * The one queue of the operator. Keys that are due are handed out by class, then by the time they fell due; one in eight
 * goes to whoever waits longest, so that no class starves. A key is never worked on twice at once: what is added while it
 * runs is kept until it is done. Handing a key out clears all that was planned for it, because a run plans anew.
 */

import type { Clock } from '../base/clock.ts';
import { type Backoff, backoff } from '../base/retry.ts';

/** In order of urgency: a lease that ends, a change that was told, a retry after a failure, a periodic look. */
export type WorkClass = 'lease' | 'pushed' | 'retry' | 'periodic';

export const WORK_CLASSES: readonly WorkClass[] = ['lease', 'pushed', 'retry', 'periodic'];

export interface Work {
  readonly key: string;
  readonly class: WorkClass;
  /** How long it was due before it was handed out, in milliseconds. */
  readonly waitedMs: number;
  /** The monotonic time of the last reason to work on it: what was learnt since then is new enough. */
  readonly since: number;
}

export interface QueueOptions {
  readonly clock: Clock;
  readonly random?: () => number;
  /** Between the failures of one key. Default 1 s to 60 s. */
  readonly backoff?: Backoff;
}

export interface Queue {
  /**
   * Plans a key, `afterMs` from now. Planned already in this class: the earlier time stands.
   * @param since the time of the reason, where that is earlier than when the key falls due
   */
  add(key: string, workClass: WorkClass, afterMs?: number, since?: number): void;
  /** Puts a key that is due and waits before all others of its class; one that is not is left as it is. */
  hurry(key: string): void;
  /** The next key that is due, as soon as there is one; undefined when the signal is aborted. To be followed by `done`. */
  take(signal: AbortSignal): Promise<Work | undefined>;
  /** Says that the work on a key has ended, well or not. */
  done(key: string): void;
  /** Plans a key again after a failure, later each time. @returns the wait in milliseconds */
  retry(key: string, leastMs?: number): number;
  /** Forgets the failures of a key: it went well. */
  succeeded(key: string): void;
  /** Takes a key out altogether: its object is gone. */
  remove(key: string): void;
  failures(key: string): number;
  /** Keys that are due and wait, by class, and those being worked on. */
  depth(): Readonly<Record<WorkClass | 'running', number>>;
  /** Milliseconds until the key is due; 0 if it is; undefined if nothing is planned. */
  dueIn(key: string): number | undefined;
}

/** Every how many hand-outs the longest waiting key goes first. */
const FAIR_SLOT = 8;
const RETRY: Backoff = { baseMs: 1000, maxMs: 60_000 };

interface Entry {
  readonly key: string;
  readonly class: WorkClass;
  readonly dueAt: number;
  /** By which it is chosen: its time, but for one that is hurried. */
  readonly rank: number;
  /** Breaks ties in the order of adding. */
  readonly sequence: number;
  /** The time of the last reason, see `Work`. */
  since: number;
  /** False once it was replaced, handed out or removed: heaps drop it when they meet it. */
  live: boolean;
}

/** One for each key there is: what is planned in each class, and no map for it. */
interface KeyState extends Partial<Record<WorkClass, Entry | undefined>> {
  /** The one text that all entries have. */
  readonly key: string;
  running: boolean;
}

const plannedIn = (state: KeyState | undefined): readonly Entry[] =>
  state === undefined ? [] : WORK_CLASSES.flatMap((name) => state[name] ?? []);

/** Forgets what was planned; heaps drop it when they meet it. */
function clear(state: KeyState | undefined): void {
  for (const planned of plannedIn(state)) {
    planned.live = false;
    if (state !== undefined) state[planned.class] = undefined;
  }
}

export function createQueue(options: QueueOptions): Queue {
  const { clock } = options;
  const states = new Map<string, KeyState>();
  const failed = new Map<string, number>();
  const later = new Heap();
  const due = new Map(WORK_CLASSES.map((name) => [name, new Heap()]));
  const waiting: ((work: Work) => void)[] = [];
  let sequence = 0;
  let handedOut = 0;
  let alarm: { readonly at: number; readonly cancel: () => void } | undefined;

  const stateOf = (key: string): KeyState => {
    const known = states.get(key);
    if (known !== undefined) return known;
    const made: KeyState = {
      key,
      running: false,
      lease: undefined,
      pushed: undefined,
      retry: undefined,
      periodic: undefined,
    };
    states.set(key, made);
    return made;
  };

  const tidy = (key: string): void => {
    const state = states.get(key);
    if (state !== undefined && !state.running && plannedIn(state).length === 0) states.delete(key);
  };

  const place = (entry: Entry): void => {
    if (entry.dueAt <= clock.monotonic()) due.get(entry.class)?.push(entry);
    else later.push(entry);
  };

  const ripen = (): void => {
    const now = clock.monotonic();
    for (let head = later.peek(); head !== undefined && head.dueAt <= now; head = later.peek()) {
      later.pop();
      due.get(head.class)?.push(head);
    }
  };

  const choose = (): Entry | undefined => {
    const heads = WORK_CLASSES.flatMap((name) => due.get(name)?.peek() ?? []);
    if ((handedOut + 1) % FAIR_SLOT !== 0) return heads[0];
    return heads.reduce<Entry | undefined>(
      (oldest, head) => (oldest === undefined || isOlder(head, oldest) ? head : oldest),
      undefined,
    );
  };

  const next = (): Work | undefined => {
    ripen();
    const entry = choose();
    if (entry === undefined) return undefined;
    handedOut++;
    const state = stateOf(entry.key);
    const now = clock.monotonic();
    let { since } = entry;
    for (const planned of plannedIn(state)) if (planned.dueAt <= now) since = Math.max(since, planned.since);
    clear(state);
    state.running = true;
    return { key: entry.key, class: entry.class, waitedMs: now - entry.dueAt, since };
  };

  const pump = (): void => {
    while (waiting.length > 0) {
      const work = next();
      if (work === undefined) break;
      waiting.shift()?.(work);
    }
    ring();
  };

  /** One alarm for the earliest entry that is not due yet, and only while somebody waits. */
  const ring = (): void => {
    const head = waiting.length > 0 ? later.peek() : undefined;
    if (head === undefined || (alarm !== undefined && alarm.at <= head.dueAt)) return;
    alarm?.cancel();
    const cancel = clock.after(head.dueAt - clock.monotonic(), () => {
      alarm = undefined;
      pump();
    });
    alarm = { at: head.dueAt, cancel };
  };

  const add = (key: string, workClass: WorkClass, afterMs = 0, reason?: number): void => {
    const state = stateOf(key);
    const now = clock.monotonic();
    const dueAt = now + Math.max(0, afterMs);
    const since = Math.min(reason ?? dueAt, dueAt);
    const planned = state[workClass];
    if (planned !== undefined) {
      if (planned.dueAt <= dueAt) {
        if (dueAt <= now) planned.since = Math.max(planned.since, since);
        return;
      }
      planned.live = false;
    }
    const entry: Entry = {
      key: state.key,
      class: workClass,
      dueAt,
      rank: dueAt,
      sequence: sequence++,
      since,
      live: true,
    };
    state[workClass] = entry;
    // What is added while the key runs has no place in a heap until it is done.
    if (!state.running) place(entry);
    pump();
  };

  return {
    add,

    hurry(key) {
      const state = states.get(key);
      const now = clock.monotonic();
      const waits = plannedIn(state).find(({ dueAt }) => dueAt <= now);
      if (state === undefined || state.running || waits === undefined) return;
      waits.live = false;
      const entry: Entry = { ...waits, rank: Number.NEGATIVE_INFINITY, live: true };
      state[entry.class] = entry;
      place(entry);
    },

    take(signal) {
      return new Promise((resolve) => {
        if (signal.aborted) return resolve(undefined);
        const stop = (): void => {
          const at = waiting.indexOf(give);
          if (at !== -1) waiting.splice(at, 1);
          resolve(undefined);
        };
        const give = (work: Work): void => {
          signal.removeEventListener('abort', stop);
          resolve(work);
        };
        signal.addEventListener('abort', stop, { once: true });
        waiting.push(give);
        pump();
      });
    },

    done(key) {
      const state = states.get(key);
      if (state?.running !== true) return;
      state.running = false;
      for (const entry of plannedIn(state)) place(entry);
      tidy(key);
      pump();
    },

    retry(key, leastMs = 0) {
      const failures = failed.get(key) ?? 0;
      failed.set(key, failures + 1);
      const wait = Math.max(leastMs, backoff(failures, options.backoff ?? RETRY, options.random));
      add(key, 'retry', wait);
      return wait;
    },

    succeeded: (key) => void failed.delete(key),

    remove(key) {
      const state = states.get(key);
      clear(state);
      failed.delete(key);
      tidy(key);
    },

    failures: (key) => failed.get(key) ?? 0,

    depth() {
      const counts = { lease: 0, pushed: 0, retry: 0, periodic: 0, running: 0 };
      const now = clock.monotonic();
      for (const state of states.values()) {
        if (state.running) counts.running++;
        for (const entry of plannedIn(state)) if (entry.dueAt <= now) counts[entry.class]++;
      }
      return counts;
    },

    dueIn(key) {
      const planned = plannedIn(states.get(key)).map((entry) => entry.dueAt);
      return planned.length === 0 ? undefined : Math.max(0, Math.min(...planned) - clock.monotonic());
    },
  };
}

/**
 * Works a queue off, several keys at a time, until the signal is aborted and what was begun has ended. `handle` plans the
 * key again itself; what it throws goes to `failed`, which must not throw.
 */
export async function workOff(
  queue: Queue,
  options: {
    readonly concurrency: number;
    readonly signal: AbortSignal;
    readonly handle: (work: Work) => Promise<void>;
    readonly failed: (work: Work, error: unknown) => void;
  },
): Promise<void> {
  const worker = async (): Promise<void> => {
    for (;;) {
      const work = await queue.take(options.signal);
      if (work === undefined) return;
      try {
        await options.handle(work);
      } catch (error) {
        options.failed(work, error);
      } finally {
        queue.done(work.key);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
}

const before = (a: Entry, b: Entry): boolean =>
  a.rank === b.rank ? a.sequence < b.sequence : a.rank < b.rank;
const isOlder = (a: Entry, b: Entry): boolean =>
  a.dueAt === b.dueAt ? a.sequence < b.sequence : a.dueAt < b.dueAt;

/** A binary heap by rank that forgets dead entries when they come to its top. */
class Heap {
  readonly #items: Entry[] = [];

  push(entry: Entry): void {
    const items = this.#items;
    items.push(entry);
    let at = items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || before(above, entry)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = entry;
  }

  peek(): Entry | undefined {
    while (this.#items[0]?.live === false) this.pop();
    return this.#items[0];
  }

  pop(): Entry | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      const left = items[2 * at + 1];
      if (left === undefined) break;
      const right = items[2 * at + 2];
      const rightFirst = right !== undefined && before(right, left);
      const child = rightFirst ? right : left;
      if (before(last, child)) break;
      items[at] = child;
      at = 2 * at + (rightFirst ? 2 : 1);
    }
    items[at] = last;
    return top;
  }
}
