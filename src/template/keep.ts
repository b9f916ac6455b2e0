/**
 * What took long to make and comes out the same each time: keys made from a seed. Refreshing a Secret renders its templates again, and must not
 * search for primes again. Forgotten with the process; lost, it costs time and changes nothing.
 */
export class Keep<T> {
  readonly #most: number;
  readonly #kept = new Map<string, T>();

  /** @param most entries; the one that was asked for longest ago makes room */
  constructor(most: number) {
    this.#most = most;
  }

  /** What is kept under the name, or what `make` makes. The name must say all that it is made of. */
  of(name: string, make: () => T): T {
    const known = this.#kept.get(name);
    const value = known === undefined ? make() : known;
    this.#kept.delete(name);
    this.#kept.set(name, value);
    if (this.#kept.size > this.#most) {
      const [oldest] = this.#kept.keys();
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
    return value;
  }
}
