/**
 * A map that keeps what was used of late, by a bound. Two generations: what is used moves to the young one; when that is
 * full, it becomes the old one and the old one is dropped. So a hit costs a look-up and no list has to be kept in order, as
 * an exact "least recently used" would.
 */

interface Kept<V> {
  readonly value: V;
  weight: number;
}

export class Recent<V> {
  readonly #half: number;
  #young = new Map<string, Kept<V>>();
  #old = new Map<string, Kept<V>>();
  #weight = 0;
  #oldWeight = 0;

  /** @param limit the sum of all weights at most, in whatever unit `set` is given; 0 keeps nothing */
  constructor(limit: number) {
    this.#half = limit / 2;
  }

  /** The sum of the weights. */
  get weight(): number {
    return this.#weight + this.#oldWeight;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young.value;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    this.#oldWeight -= old.weight;
    this.#put(key, old);
    return old.value;
  }

  /** Keeps `value` in place of what was there; not where it alone would take half of the room. */
  set(key: string, value: V, weight = 1): void {
    this.delete(key);
    if (weight <= this.#half) this.#put(key, { value, weight });
  }

  /** Makes what is kept under the key heavier, where that is `value` still. */
  grow(key: string, value: V, by: number): void {
    const young = this.#young.get(key);
    if (young?.value === value) {
      young.weight += by;
      this.#weight += by;
      return;
    }
    const old = this.#old.get(key);
    if (old?.value !== value) return;
    old.weight += by;
    this.#oldWeight += by;
  }

  delete(key: string): void {
    const young = this.#young.get(key);
    if (young !== undefined) {
      this.#young.delete(key);
      this.#weight -= young.weight;
    }
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.#oldWeight -= old.weight;
    }
  }

  *values(): Generator<V> {
    for (const { value } of this.#young.values()) yield value;
    for (const { value } of this.#old.values()) yield value;
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#weight = 0;
    this.#oldWeight = 0;
  }

  #put(key: string, kept: Kept<V>): void {
    if (this.#weight + kept.weight > this.#half) {
      this.#old = this.#young;
      this.#oldWeight = this.#weight;
      this.#young = new Map();
      this.#weight = 0;
    }
    this.#young.set(key, kept);
    this.#weight += kept.weight;
  }
}
