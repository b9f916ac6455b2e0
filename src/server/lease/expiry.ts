/**
 * What ends when: an index in storage, ordered by time, so that a restart reads only what is due and not everything there
 * is. The entries are hints: whoever is called back looks at the thing itself before ending it.
 *
 * Things of one group (a mount's leases) may hang on the same database: a group has only so much under way, and what it
 * cannot take is left in the index, so that one that hangs or is away holds up nobody else.
 */

import { utf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { backoff } from '../../base/retry.ts';
import type { Storage, Write } from '../../storage/storage.ts';
import { namesIn } from './walk.ts';

/** The ender has taken the entry of the index away itself, in the commit that ended the thing. */
export const UNLISTED = 'unlisted';

/**
 * Ends the thing `id`, or gives the later time (milliseconds since the epoch) at which it is due. Idempotent.
 * @param at when it was due, as the index has it
 */
export type Ender = (id: string, at: number) => Promise<number | undefined | typeof UNLISTED>;

/** How many more things of a group, of which so many run, may be begun now; absent: as many as come. */
export type Room = (group: string, running: number) => number;

interface Due {
  readonly name: string;
  readonly at: number;
  readonly kind: string;
  readonly id: string;
  /** What follows the first "." of the id; without one, nothing. */
  readonly group: string;
}

/** Enough digits for any date that `Date` can hold. */
const DIGITS = 16;
const FOLDER = 'expire/';
const PAGE = 256;
/** What is begun and has not ended, of all kinds and groups. */
const UNDER_WAY = 1024;
/** And of one group: enough that it never runs dry between two looks at the index. */
const OF_GROUP = 256;
/** How much longer than a look the rest after it is. */
const REST = 4;
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
  readonly #enders = new Map<string, { readonly end: Ender; readonly room: Room }>();
  readonly #attempts = new Map<string, number>();
  readonly #running = new Set<string>();
  /** How much of each group is running. */
  readonly #ofGroup = new Map<string, number>();
  /** The groups of which something due was left in the index. */
  readonly #left = new Set<string>();
  readonly #idle = new Set<() => void>();
  #cancel: (() => void) | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** Something was left because too much was under way in all. */
  #full = false;
  /** How many were begun since a sweep last asked. */
  #begun = 0;
  /** On the monotonic clock: a look passes over all that was left, and is not to be all that this process does. */
  #restsUntil = 0;

  constructor(options: { storage: Storage; clock: Clock; log: Log }) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  handle(kind: string, end: Ender, room: Room = () => Number.POSITIVE_INFINITY): void {
    this.#enders.set(kind, { end, room });
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

  /** The ids of the things of a kind that end first, at most `limit` of them. */
  async *soonest(kind: string, limit: number): AsyncGenerator<string, void, void> {
    let given = 0;
    for await (const name of namesIn(this.#storage, FOLDER)) {
      const item = read(name);
      if (item.kind !== kind) continue;
      if (given++ >= limit) return;
      yield item.id;
    }
  }

  /** Begins to watch the clock, with what fell due while nobody did. */
  async start(): Promise<void> {
    await this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#tellIdle();
  }

  /** Ends all that is due and that its group has room for; resolves when that is done. */
  async sweep(): Promise<void> {
    do {
      this.#begun = 0;
      await this.#look();
      await this.#untilIdle();
    } while (!this.#stopped && this.#left.size > 0 && this.#begun > 0);
  }

  /** Begins what is due; of two who ask at once the second one has it done once more. */
  #look(): Promise<void> {
    if (this.#looking !== undefined) {
      this.#again = true;
      return this.#looking;
    }
    this.#looking = this.#lookOnce().finally(() => {
      this.#looking = undefined;
      this.#tellIdle();
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    do {
      this.#again = false;
      this.#armedFor = Number.POSITIVE_INFINITY;
      this.#cancel?.();
      let next: number | undefined;
      const began = this.#clock.monotonic();
      try {
        next = await this.#beginDue();
      } catch (error) {
        if (this.#stopped) return;
        this.#log.error('the expiry index could not be read; trying again', { error });
        next = this.#clock.now() + RETRY.baseMs;
      }
      const ended = this.#clock.monotonic();
      this.#restsUntil = ended + REST * (ended - began);
      if (next !== undefined) this.noted(next);
    } while (this.#again && !this.#stopped);
  }

  /** @returns when something is due next, of what was not begun for its time; undefined where there is nothing more */
  async #beginDue(): Promise<number | undefined> {
    this.#left.clear();
    this.#full = false;
    let after: string | undefined;
    for (;;) {
      const page = after === undefined ? { limit: PAGE } : { limit: PAGE, after };
      const names = await this.#storage.list(FOLDER, page);
      const now = this.#clock.now();
      for (const name of names) {
        const item = read(name);
        if (item.at > now) return item.at;
        if (this.#stopped) return undefined;
        this.#begin(item);
      }
      after = names.at(-1);
      if (after === undefined || names.length < PAGE) return undefined;
      // Others get their turn: what a group that is away has waiting may be a hundred thousand names.
      await new Promise((resume) => setImmediate(resume));
    }
  }

  #begin(item: Due): void {
    const { name, kind, group } = item;
    if (this.#running.has(name)) return;
    const running = this.#ofGroup.get(group) ?? 0;
    const room = Math.min(OF_GROUP - running, this.#enders.get(kind)?.room(group, running) ?? 1);
    const isFull = this.#running.size >= UNDER_WAY;
    if (isFull) this.#full = true;
    if (room <= 0 || isFull) return void this.#left.add(group);
    this.#begun++;
    this.#running.add(name);
    this.#ofGroup.set(group, running + 1);
    void this.#end(item).finally(() => this.#ended(item));
  }

  #ended({ name, group }: Due): void {
    this.#running.delete(name);
    const running = (this.#ofGroup.get(group) ?? 1) - 1;
    if (running > 0) this.#ofGroup.set(group, running);
    else this.#ofGroup.delete(group);
    const isWanted =
      (this.#left.has(group) && running <= OF_GROUP / 2) ||
      (this.#full && this.#running.size <= UNDER_WAY / 2);
    if (isWanted && !this.#stopped) this.#lookSoon();
    this.#tellIdle();
  }

  #lookSoon(): void {
    const restMs = this.#restsUntil - this.#clock.monotonic();
    if (restMs <= 0) void this.#look();
    else this.noted(this.#clock.now() + restMs);
  }

  async #end({ name, at, kind, id }: Due): Promise<void> {
    if (this.#stopped) return;
    let later: number | undefined | typeof UNLISTED;
    try {
      later = await this.#enders.get(kind)?.end(id, at);
      this.#attempts.delete(`${kind}-${id}`);
    } catch (error) {
      if (this.#stopped) return;
      const attempt = this.#attempts.get(`${kind}-${id}`) ?? 0;
      this.#attempts.set(`${kind}-${id}`, attempt + 1);
      later = this.#clock.now() + backoff(attempt, RETRY);
      this.#log.warn('what expired could not be ended; trying again', { kind, attempt, error });
    }
    if (later !== UNLISTED && !this.#stopped) await this.#move(FOLDER + name, kind, id, later);
  }

  async #move(key: string, kind: string, id: string, later: number | undefined): Promise<void> {
    const writes: Write[] = [{ key, delete: true }];
    // Never due again at once: a thing that says so would keep the looks from ever ending.
    const to = later === undefined ? undefined : Math.max(later, this.#clock.now() + 1);
    if (to !== undefined) writes.push(...this.moved(kind, id, undefined, to));
    try {
      await this.#storage.commit(writes);
      this.noted(to);
    } catch (error) {
      // The entry is still there, and due.
      if (this.#stopped) return;
      this.#log.error('the expiry index could not be written; trying again', { error });
      this.noted(this.#clock.now() + RETRY.baseMs);
    }
  }

  #untilIdle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.add(resolve));
  }

  #isIdle(): boolean {
    return this.#stopped || (this.#running.size === 0 && this.#looking === undefined);
  }

  #tellIdle(): void {
    if (!this.#isIdle()) return;
    for (const resolve of this.#idle) resolve();
    this.#idle.clear();
  }

  #arm(at: number): void {
    this.#cancel?.();
    this.#armedFor = at;
    this.#cancel = this.#clock.after(Math.min(LONGEST_WAIT, Math.max(0, at - this.#clock.now())), () => {
      this.#armedFor = Number.POSITIVE_INFINITY;
      void this.#look();
    });
  }
}

function read(name: string): Due {
  const dash = name.indexOf('-', DIGITS + 1);
  const id = name.slice(dash + 1);
  const dot = id.indexOf('.');
  return {
    name,
    at: Number(name.slice(0, DIGITS)),
    kind: name.slice(DIGITS + 1, dash),
    id,
    group: dot === -1 ? '' : id.slice(dot + 1),
  };
}
