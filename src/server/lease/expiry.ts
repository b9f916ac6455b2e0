/**
 * What ends when: an index in storage, ordered by time, so that a restart reads only what is due and not everything there
 * is. The entries are hints: whoever is called back looks at the thing itself before ending it.
 */

import { utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';
import type { Storage, Write } from '../../storage/storage.ts';

/** Ends the thing `id`, or gives the later time (milliseconds since the epoch) at which it is due. Idempotent. */
export type Ender = (id: string) => Promise<number | undefined>;

/** Enough digits for any date that `Date` can hold. */
const DIGITS = 16;
const FOLDER = 'expire/';
const BATCH = 256;
/** The wall clock may be set: what is due is looked at again at least this often. */
const LONGEST_WAIT = 60_000;
const RETRY = { baseMs: 1000, maxMs: 600_000 };

const stamp = (at: number): string => String(Math.max(0, Math.ceil(at))).padStart(DIGITS, '0');
const keyOf = (at: number, kind: string, id: string): string => `${FOLDER}${stamp(at)}-${kind}-${id}`;

/** One per unsealed server. The kinds are few and fixed; ids hold no "/". */
export class ExpiryIndex {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #storage: Storage;
  readonly #enders = new Map<string, Ender>();
  readonly #attempts = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #sweeping: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: { storage: Storage; clock: Clock; log: Log }) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  handle(kind: string, ender: Ender): void {
    this.#enders.set(kind, ender);
  }

  /** The writes that move a thing from one due time to another; to be committed together with the thing itself. */
  moved(kind: string, id: string, from: number | undefined, to: number | undefined): Write[] {
    const writes: Write[] = [];
    if (from !== undefined && from !== to) writes.push({ key: keyOf(from, kind, id), delete: true });
    if (to !== undefined) writes.push({ key: keyOf(to, kind, id), value: utf8(id) });
    return writes;
  }

  /** To be called after such a commit. */
  noted(at: number | undefined): void {
    if (at === undefined || this.#stopped || at >= this.#armedFor) return;
    this.#arm(at);
  }

  /** Begins to watch the clock, with what fell due while nobody did. */
  async start(): Promise<void> {
    await this.sweep();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** Ends all that is due; resolves when that is done. */
  async sweep(): Promise<void> {
    if (this.#sweeping !== undefined) {
      this.#again = true;
      return this.#sweeping;
    }
    this.#sweeping = this.#run().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      this.#armedFor = Number.POSITIVE_INFINITY;
      this.#cancel?.();
      let next: number | undefined;
      try {
        next = await this.#due();
      } catch (error) {
        this.#log.error('the expiry index could not be read; trying again', { error });
        next = this.#clock.now() + RETRY.baseMs;
      }
      if (next !== undefined) this.noted(next);
    } while (this.#again && !this.#stopped);
  }

  async #due(): Promise<number | undefined> {
    for (;;) {
      const names = await this.#storage.list(FOLDER, { limit: BATCH });
      const due: { name: string; at: number; kind: string; id: string }[] = [];
      for (const name of names) {
        const at = Number(name.slice(0, DIGITS));
        if (at > this.#clock.now()) {
          if (due.length === 0) return at;
          break;
        }
        const dash = name.indexOf('-', DIGITS + 1);
        due.push({ name, at, kind: name.slice(DIGITS + 1, dash), id: name.slice(dash + 1) });
      }
      if (due.length === 0 || this.#stopped) return undefined;
      await Promise.all(due.map((item) => this.#end(item)));
    }
  }

  async #end({ name, kind, id }: { name: string; kind: string; id: string }): Promise<void> {
    if (this.#stopped) return;
    const key = FOLDER + name;
    let later: number | undefined;
    try {
      later = await this.#enders.get(kind)?.(id);
      this.#attempts.delete(`${kind}-${id}`);
    } catch (error) {
      if (this.#stopped) return;
      const attempt = this.#attempts.get(`${kind}-${id}`) ?? 0;
      this.#attempts.set(`${kind}-${id}`, attempt + 1);
      later = this.#clock.now() + backoff(attempt, RETRY);
      this.#log.warn('what expired could not be ended; trying again', { kind, attempt, error });
    }
    const writes: Write[] = [{ key, delete: true }];
    // Never due again at once: a thing that says so would keep the sweep from ever ending.
    if (later !== undefined)
      writes.push(...this.moved(kind, id, undefined, Math.max(later, this.#clock.now() + 1)));
    await this.#storage.commit(writes);
  }

  #arm(at: number): void {
    this.#cancel?.();
    this.#armedFor = at;
    this.#cancel = this.#clock.after(Math.min(LONGEST_WAIT, Math.max(0, at - this.#clock.now())), () => {
      this.#armedFor = Number.POSITIVE_INFINITY;
      void this.sweep();
    });
  }
}
