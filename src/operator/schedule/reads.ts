/**
 * One read for all who ask for the same thing: an answer serves whoever had a reason to ask before it was begun, so nobody
 * is given what was true before its own reason. That holds for reads under way and, for a short while, for answers; how
 * long decides what a round of refreshes costs, never what is right.
 */

import type { Clock } from '../../base/clock.ts';
import type { Answer } from '../plan.ts';

interface Kept {
  /** Monotonic. */
  readonly began: number;
  readonly answer: Promise<Answer>;
  bytes: number;
}

const MOST_EARLY_MS = 300_000;

/**
 * How much sooner than it falls due a refresh may be served, in milliseconds, by what is read for another. Those who were
 * read together fall due together from then on: so this is early once, and saves a read in each round that follows.
 */
export const early = (intervalMs: number): number => Math.min(intervalMs / 2, MOST_EARLY_MS);

/** Values stay in memory no longer than a burst of work takes. */
const KEEP_MS = 15_000;
const MOST_BYTES = 4 * 1024 * 1024;

export class SharedReads {
  readonly #clock: Clock;
  /** In the order in which they were begun. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;
  #forgetting = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param id what is read, and as whom
   * @param since monotonic; an answer that was begun before is too old
   * @param least the version that the answer must have, where one was told of
   * @param read gives the answer or throws; what it throws is thrown at all who wait, and not kept
   */
  async get(
    id: string,
    since: number,
    least: number | undefined,
    read: () => Promise<Answer>,
  ): Promise<Answer> {
    const known = this.#kept.get(id);
    if (known !== undefined && known.began >= since) {
      const answer = await known.answer;
      if (least === undefined || versionOf(answer) >= least) return answer;
    }
    const current = this.#kept.get(id);
    // Another who waited with us may have begun it anew meanwhile.
    if (current !== undefined && current !== known && current.began >= since) return current.answer;
    return this.#begin(id, read);
  }

  /** Forgets all whose id begins so: who they were read as is no more. */
  drop(prefix: string): void {
    for (const [id, kept] of this.#kept) if (id.startsWith(prefix)) this.#forget(id, kept);
  }

  #begin(id: string, read: () => Promise<Answer>): Promise<Answer> {
    const before = this.#kept.get(id);
    if (before !== undefined) this.#forget(id, before);
    const kept: Kept = { began: this.#clock.monotonic(), answer: read(), bytes: 0 };
    this.#kept.set(id, kept);
    kept.answer.then(
      (answer) => this.#settled(id, kept, answer),
      () => this.#forget(id, kept),
    );
    this.#forgetLater();
    return kept.answer;
  }

  #settled(id: string, kept: Kept, answer: Answer): void {
    if (this.#kept.get(id) !== kept) return;
    kept.bytes = sizeOf(answer);
    this.#bytes += kept.bytes;
    for (const [oldest, other] of this.#kept) {
      if (this.#bytes <= MOST_BYTES) return;
      this.#forget(oldest, other);
    }
  }

  #forget(id: string, kept: Kept): void {
    if (this.#kept.get(id) !== kept) return;
    this.#kept.delete(id);
    this.#bytes -= kept.bytes;
  }

  #forgetLater(): void {
    if (this.#forgetting) return;
    this.#forgetting = true;
    this.#clock.after(KEEP_MS, () => {
      this.#forgetting = false;
      const end = this.#clock.monotonic() - KEEP_MS;
      for (const [id, kept] of this.#kept) {
        if (kept.began > end) break;
        this.#forget(id, kept);
      }
      if (this.#kept.size > 0) this.#forgetLater();
    });
  }
}

/** A store that numbers nothing has no older version either. */
function versionOf(answer: Answer): number {
  const version = 'read' in answer ? Number(answer.read.version) : Number.NaN;
  return Number.isNaN(version) ? Number.POSITIVE_INFINITY : version;
}

/** Roughly what an answer takes in memory. */
function sizeOf(answer: Answer): number {
  if ('read' in answer) return valueSize(answer.read.value);
  if ('each' in answer) return [...answer.each.values()].reduce((sum, one) => sum + sizeOf(one), 0);
  if ('found' in answer)
    return answer.found.reduce((sum, [key, value]) => sum + key.length + valueSize(value), 0);
  return 256;
}

type Value = Extract<Answer, { read: unknown }>['read']['value'];

function valueSize(value: Value): number {
  if ('bytes' in value) return 256 + value.bytes.length;
  let size = 256 + 2 * value.json.length;
  for (const bytes of value.fields.values()) size += 128 + bytes.length;
  return size;
}
