/** What comes and goes many times a second: each knows its place, so that neither coming nor going costs a look-up. */
export class Present<T extends { place: number }> {
  readonly #all: T[] = [];

  add(one: T): void {
    one.place = this.#all.push(one) - 1;
  }

  /** Takes away one that is here. */
  remove(one: T): void {
    const last = this.#all.pop();
    if (last === undefined || last === one) return;
    this.#all[one.place] = last;
    last.place = one.place;
  }

  /** In no order. */
  all(): readonly T[] {
    return [...this.#all];
  }
}
