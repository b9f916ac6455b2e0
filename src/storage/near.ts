/**
 * Reading from memory what was read before, for who says that it may be read so. What is worked out of an entry (a parsed
 * record, the text of an answer) hangs on the entry itself: it cannot outlive it or belong to another, so that there is one
 * thing to invalidate and not two.
 */

import type { Soon } from '../base/soon.ts';
import type { Derivations, Entry, Storage } from './storage.ts';

/** What derives of a value: its text, the text of the answer that it is in, and its hashes in the audit trail. */
const DERIVED_COPIES = 3;

/**
 * What is asked for a second time is kept: in a large store most is asked for once, and of that only the bytes stay, which are
 * a quarter of it. One place for one thing: of two kinds of readers of one entry the later would have it made anew each time.
 */
export class Derived implements Derivations {
  readonly #grown: (bytes: number) => void;
  #asked = false;
  #make: unknown;
  #value: unknown;

  /** @param grown is told how many bytes more hang on the entry */
  constructor(grown: (bytes: number) => void) {
    this.#grown = grown;
  }

  charge(bytes: number): void {
    this.#grown(bytes);
  }

  /** What `make` gives for the entry; from the second time on it is the same. */
  of<T>(entry: Entry, make: (entry: Entry) => T): T {
    if (this.#make === make) return this.#value as T;
    const made = make(entry);
    if (this.#asked) {
      if (this.#make === undefined) this.#grown(DERIVED_COPIES * entry.value.length);
      this.#make = make;
      this.#value = made;
    }
    this.#asked = true;
    return made;
  }
}

/**
 * The entry, from memory where this storage keeps it there: as new as the newest commit that was answered on this node. It
 * belongs to all who read it, so nobody may change or wipe its value, and its key is the store's and not the view's. Without
 * such a memory it is `get`.
 */
export const near = (storage: Storage, key: string): Soon<Entry | undefined> =>
  storage.near === undefined ? storage.get(key) : storage.near(key);

/**
 * What `make` works out of the entry, kept beside it where it is asked for more than once. `make` is one function per kind of
 * record, never one made for the call, and depends on nothing but the entry's value.
 */
export const derived = <T>(entry: Entry, make: (entry: Entry) => T): T =>
  entry.derived === undefined ? make(entry) : entry.derived.of(entry, make);

/** Counts what was hung on the entry beside what its own value accounts for, so that the memory stays within its bound. */
export const charge = (entry: Entry, bytes: number): void => entry.derived?.charge(bytes);
