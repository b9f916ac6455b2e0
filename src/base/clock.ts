import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

/** Time, as a thing that is handed in: `now` may jump (a person sets it), `monotonic` never does. Milliseconds. */
export interface Clock {
  now(): number;
  monotonic(): number;
  /** Since the machine started, counting what it slept, which `monotonic` does not; absent: that is not known. */
  uptime?(): number;
  /** Which start of the machine this is, and what its clock that never jumps shows, for all processes alike; absent: not known. */
  boot?(): Boot | undefined;
  /** Calls `fire` once, `ms` from now; gives what takes it back. Never keeps the process alive. */
  after(ms: number, fire: () => void): () => void;
}

export interface Boot {
  readonly id: string;
  readonly monotonic: number;
}

/** setTimeout takes 31 bits; a longer wait would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Node counts from the start of the process, what lies under it from that of the machine. */
const BEFORE_THIS_PROCESS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Linux draws one at each start of the machine; read when it is first asked for. */
let bootId: { readonly text: string | undefined } | undefined;

function readBootId(): { readonly text: string | undefined } {
  try {
    return { text: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() || undefined };
  } catch {
    return { text: undefined };
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  uptime: () => uptime() * 1000,
  boot() {
    bootId ??= readBootId();
    const { text: id } = bootId;
    return id === undefined ? undefined : { id, monotonic: performance.now() + BEFORE_THIS_PROCESS };
  },
  after(ms, fire) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const step = Math.min(Math.max(left, 0), LONGEST_TIMER);
      timer = setTimeout(() => (left > step ? arm(left - step) : fire()), step);
      timer.unref();
    };
    arm(ms);
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 0;
  readonly #due = new Set<{ at: number; fire: () => void }>();

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, fire: () => void): () => void {
    const timer = { at: this.#monotonic + ms, fire };
    this.#due.add(timer);
    return () => this.#due.delete(timer);
  }

  /** Moves both times forward and fires what fell due, in order. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (;;) {
      const next = [...this.#due].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#due.delete(next);
      this.#now += next.at - this.#monotonic;
      this.#monotonic = next.at;
      next.fire();
    }
    this.#now += end - this.#monotonic;
    this.#monotonic = end;
  }

  /** Sets the wall clock alone, as an administrator or NTP would. */
  jump(ms: number): void {
    this.#now += ms;
  }
}
