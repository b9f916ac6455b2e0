/** The last changes of a store that one process writes, kept in its memory for whoever watches. */

import { type Change, Gone } from './storage.ts';

/** A watcher that falls further behind has to begin anew. */
const KEPT_CHANGES = 8192;

export class History {
  #head: number;
  /** Everything after this revision is still here. */
  #since: number;
  #changes: Change[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(head: number) {
    this.#head = head;
    this.#since = head;
  }

  get head(): number {
    return this.#head;
  }

  /** Appends a change whose revision is above the head. */
  add(change: Change): void {
    this.#changes.push(change);
    this.#head = change.revision;
    // Cut in halves, so that a full history does not cost a shift per write.
    if (this.#changes.length > 2 * KEPT_CHANGES) {
      const dropped = this.#changes.splice(0, this.#changes.length - KEPT_CHANGES);
      this.#since = dropped.at(-1)?.revision ?? this.#since;
    }
    this.wake();
  }

  wake(): void {
    for (const resume of [...this.#waiting]) resume();
  }

  /** The changes after `after`, and then those to come, until `ended` gives a reason or the signal is aborted. */
  async *follow(
    after: number,
    signal: AbortSignal,
    ended: () => Error | undefined,
  ): AsyncGenerator<Change, void, void> {
    let seen = after;
    for (;;) {
      signal.throwIfAborted();
      const end = ended();
      if (end !== undefined) throw end;
      if (seen < this.#since || seen > this.#head) throw new Gone(`revision ${seen} is not kept`);
      const next = this.#changes[this.#firstAfter(seen)];
      if (next === undefined) {
        await this.#more(signal);
        continue;
      }
      seen = next.revision;
      yield next;
    }
  }

  #firstAfter(revision: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = (): void => {
        this.#waiting.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      };
      this.#waiting.add(resume);
      signal.addEventListener('abort', resume, { once: true });
    });
  }
}
