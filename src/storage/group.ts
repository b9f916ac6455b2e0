/**
 * Group commit: what arrives while one batch is being made durable waits and goes into the next one, so that many
 * writers share one sync. One batch at a time; a batch answers each of its members itself.
 */

export class GroupCommit<T> {
  #waiting: T[] = [];
  #running: Promise<void> | undefined;
  readonly #run: (batch: readonly T[]) => Promise<number>;

  /**
   * @param run takes on the first members of `batch`, one at least, answers them, and gives how many; the others come
   *   first in the next batch. It must not throw.
   */
  constructor(run: (batch: readonly T[]) => Promise<number>) {
    this.#run = run;
  }

  add(member: T): void {
    this.#waiting.push(member);
    this.#running ??= this.#drain();
  }

  /** Resolves when nothing waits or runs any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #drain(): Promise<void> {
    // Whoever commits in the same turn belongs to the same batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const taken = await this.#run(batch);
      if (taken < batch.length) this.#waiting.unshift(...batch.slice(Math.max(taken, 1)));
    }
    this.#running = undefined;
  }
}
