/**
 * A map that keeps what was used of late, by a bound on its weight. A hand goes round over what is kept: what was used since it
 * came by last stays, what was not makes room (the "clock" of page caches). So a hit costs a look-up and a mark, and no list has
 * to be kept in order, as an exact "least recently used" would.
 */

/** Where a value is kept, for who asks for it again: it tells by itself whether that still is so. */
export interface Held<V> {
  /** Undefined once it is kept no more: nobody who holds this holds the value. */
  readonly value: V | undefined;
}

class Place<V> implements Held<V> {
  readonly key: string;
  value: V | undefined;
  weight: number;
  /** Since the hand came by. */
  used = false;

  constructor(key: string, value: V, weight: number) {
    this.key = key;
    this.value = value;
    this.weight = weight;
  }
}

export class Recent<V> {
  readonly #limit: number;
  #places = new Map<string, Place<V>>();
  /** An iterator of a map goes on to what is added meanwhile. */
  #hand = this.#places.values();
  #weight = 0;

  /** @param limit the sum of all weights at most, in whatever unit `set` is given; 0 keeps nothing */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The sum of the weights. */
  get weight(): number {
    return this.#weight;
  }

  get(key: string): V | undefined {
    return this.find(key)?.value;
  }

  /** As `get`, for who will ask for it again (`again`). */
  find(key: string): Held<V> | undefined {
    const place = this.#places.get(key);
    if (place !== undefined) place.used = true;
    return place;
  }

  /** As `get`, without a look-up: by what `find` gave. */
  again(held: Held<V>): V | undefined {
    const place = held as Place<V>;
    place.used = true;
    return place.value;
  }

  /** Keeps `value` in place of what was there; not where it alone would take half of the room. */
  set(key: string, value: V, weight = 1): void {
    this.delete(key);
    if (weight > this.#limit / 2) return;
    this.#makeRoom(weight);
    this.#places.set(key, new Place(key, value, weight));
    this.#weight += weight;
  }

  /** Makes what is kept under the key heavier, where that is `value` still. */
  grow(key: string, value: V, by: number): void {
    const place = this.#places.get(key);
    if (place?.value !== value) return;
    place.weight += by;
    this.#weight += by;
    this.#makeRoom(0);
  }

  delete(key: string): void {
    const place = this.#places.get(key);
    if (place !== undefined) this.#drop(place);
  }

  *values(): Generator<V> {
    for (const { value } of this.#places.values()) yield value as V;
  }

  clear(): void {
    for (const place of this.#places.values()) this.#drop(place);
    this.#places = new Map();
    this.#hand = this.#places.values();
  }

  #makeRoom(weight: number): void {
    while (this.#weight + weight > this.#limit) {
      const next = this.#hand.next();
      if (next.done === true) this.#hand = this.#places.values();
      else if (next.value.used) next.value.used = false;
      else this.#drop(next.value);
    }
  }

  #drop(place: Place<V>): void {
    this.#places.delete(place.key);
    this.#weight -= place.weight;
    place.value = undefined;
  }
}
