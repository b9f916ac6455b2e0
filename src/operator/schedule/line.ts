/** Who waits in one line, by key: in the order they came, but for those that are hurried, who go first. */

import type { Work } from '../../kube/queue.ts';

export class Line {
  readonly #hurried = new Map<string, Work>();
  readonly #others = new Map<string, Work>();

  get size(): number {
    return this.#hurried.size + this.#others.size;
  }

  get(key: string): Work | undefined {
    return this.#hurried.get(key) ?? this.#others.get(key);
  }

  /** Adds one, or changes it where it stands. */
  set(work: Work, isHurried: boolean): void {
    if (isHurried || this.#hurried.has(work.key)) {
      this.#others.delete(work.key);
      this.#hurried.set(work.key, work);
    } else this.#others.set(work.key, work);
  }

  delete(key: string): void {
    this.#hurried.delete(key);
    this.#others.delete(key);
  }

  *[Symbol.iterator](): Generator<Work> {
    yield* this.#hurried.values();
    yield* this.#others.values();
  }
}
