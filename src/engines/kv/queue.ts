/**
 * One writer at a time for each key, in the order they came. Only for speed: a hundred writers of one key would otherwise
 * run into each other's commits again and again. What makes writes right is the check in the commit itself, which
 * also holds between nodes.
 */
export class KeyQueue {
  readonly #tails = new Map<string, Tail>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)?.work;
    const mine = before === undefined ? work() : before.then(work, work);
    const tail: Tail = { work: mine };
    this.#tails.set(key, tail);
    const leave = (): void => {
      tail.work = undefined;
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    };
    mine.then(leave, leave);
    return mine;
  }
}

/**
 * Who came last, emptied when he is done: a table that a map has outgrown leads to the next one and still holds what was in it,
 * so that what a busy map leads to outlives many collections of young objects (a kilobyte of each write did).
 */
interface Tail {
  work: Promise<unknown> | undefined;
}
