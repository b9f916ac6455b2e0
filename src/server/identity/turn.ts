/** Work that must not overlap: one after the other, whatever becomes of each. */
export class Turn {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that came before is over. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}
