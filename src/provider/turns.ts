/** One after the other for each key: a property is written by reading the whole, and clouds have no compare-and-set. */

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs when all that was begun before under this key has ended. */
  async take<T>(key: string, run: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(run, run);
    const ended = mine.catch(() => {});
    this.#last.set(key, ended);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }
}
