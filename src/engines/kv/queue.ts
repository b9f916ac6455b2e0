/**
 * One writer at a time for each key, in the order they came. Only for speed: a hundred writers of one key would otherwise
 * run into each other's commits again and again. What makes writes right is the check in the commit itself, which
 * also holds between nodes.
 */
export class KeyQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const mine = before === undefined ? work() : before.then(work, work);
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }
}
