/**
 * The one memory of opened entries. It holds secrets in plain, so it is bounded in bytes, kept by nobody else, and wiped when
 * the barrier closes. Nothing is answered from it that a commit may be replacing: a key is held out of it from before its
 * commit is asked for until the outcome is known, and a read that was under way then is not kept.
 */

import { Doorkeeper } from '../../base/doorkeeper.ts';
import { type Held, Recent } from '../../base/recent.ts';
import type { Soon } from '../../base/soon.ts';
import { Tally } from '../../base/tally.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Derivations, Entry, Place } from '../../storage/storage.ts';

/** What an entry costs beside its bytes: the objects, and its place in the map. */
const OVERHEAD_BYTES = 1024;
/** Of how many keys it is known, roughly, that they were read before: about as many as there is room for. */
const KNOWN_KEYS = 16_384;
/** For the keys of some hundred commits. */
const HELD_PLACES = 16_384;
/** How many names are remembered of which nothing is there: strangers can ask for names without end. */
const ABSENT_NAMES = 4096;

/**
 * What derives of a value, in multiples of it: its text, its record, the answer that it is in, and its hashes in the audit trail.
 * As measured with secrets of 500 bytes, whose hashes are longer than they are.
 */
const DERIVED_COPIES = 5;

/** One place for one thing that is worked out: of two kinds of readers of one entry the later would have it made anew each time. */
class CachedEntry implements Entry, Derivations {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly #among: Recent<Entry>;
  #make: unknown;
  #made: unknown;

  constructor({ key, value, revision }: Entry, among: Recent<Entry>) {
    this.key = key;
    this.value = value;
    this.revision = revision;
    this.#among = among;
  }

  get derived(): Derivations {
    return this;
  }

  charge(bytes: number): void {
    this.#among.grow(this.key, this, bytes);
  }

  /** What `make` gives for the entry; from then on it is the same. */
  of<T>(make: (entry: Entry) => T): T {
    if (this.#make === make) return this.#made as T;
    const made = make(this);
    if (this.#make === undefined) this.charge(DERIVED_COPIES * this.value.length);
    this.#make = make;
    this.#made = made;
    return made;
  }
}

/** Where entries are read that are not in memory. */
export interface Source {
  /** @throws Failure server.sealed */
  assertOpen(): void;
  fetch(key: string): Soon<Entry | undefined>;
}

/** Where an entry lies, in memory or not. */
export class CachedPlace implements Place {
  readonly #key: string;
  readonly #cache: EntryCache;
  readonly #source: Source;
  #held: Held<Entry> | undefined;

  constructor(key: string, cache: EntryCache, source: Source) {
    this.#key = key;
    this.#cache = cache;
    this.#source = source;
  }

  near(): Soon<Entry | undefined> {
    this.#source.assertOpen();
    const entry = this.#held && this.#cache.again(this.#held);
    if (entry !== undefined) return entry;
    this.#held = this.#cache.find(this.#key);
    if (this.#held !== undefined) return this.#held.value;
    return this.#cache.isAbsent(this.#key) ? undefined : this.#source.fetch(this.#key);
  }
}

/** One or several reads of one key that are under way. */
export interface Reading {
  readers: number;
  /** What they bring may be older than what was answered meanwhile. */
  stale: boolean;
}

export class EntryCache {
  readonly #kept: Recent<Entry>;
  /** Names of nothing, in a room of their own: what strangers ask for in vain pushes out no entry. */
  readonly #absent: Recent<true>;
  readonly #doorkeeper: Doorkeeper | undefined;
  readonly #reading = new Map<string, Reading>();
  /** Keys whose commits are under way; a key that is taken for one of them is not kept this time. */
  readonly #held = new Tally(HELD_PLACES);
  readonly #enabled: boolean;

  /**
   * @param limitBytes how much memory it may take, roughly; 0 switches it off
   * @param choosy keeps only what is read a second time: in a large store most is read once, and to take that in and throw it out
   *   again costs more than to read it from a medium that is at hand
   */
  constructor(limitBytes: number, choosy: boolean) {
    this.#doorkeeper = choosy ? new Doorkeeper(KNOWN_KEYS) : undefined;
    this.#kept = new Recent(limitBytes);
    this.#absent = new Recent(limitBytes > 0 ? ABSENT_NAMES : 0);
    this.#enabled = limitBytes > 0;
  }

  /** Roughly, in bytes. */
  get size(): number {
    return this.#kept.weight;
  }

  find(key: string): Held<Entry> | undefined {
    return this.#kept.find(key);
  }

  /** The entry that `find` gave, where it is kept still. */
  again(held: Held<Entry>): Entry | undefined {
    return this.#kept.again(held);
  }

  /** Whether it is known that there is no such entry. */
  isAbsent(key: string): boolean {
    return this.#absent.get(key) === true;
  }

  /** To be asked before a key is read from the store; undefined where what is read shall not be kept. */
  begin(key: string): Reading | undefined {
    if (!this.#enabled || this.#held.has(key) || this.#doorkeeper?.knows(key) === false) return undefined;
    const others = this.#reading.get(key);
    if (others !== undefined) {
      others.readers++;
      return others;
    }
    const reading = { readers: 1, stale: false };
    this.#reading.set(key, reading);
    return reading;
  }

  /** Ends a read that `begin` began, with what it brought. Gives the entry as all are to have it. */
  end(key: string, reading: Reading | undefined, entry: Entry | undefined): Entry | undefined {
    if (reading === undefined) return entry;
    this.abandon(key, reading);
    if (reading.stale) return entry;
    if (entry === undefined) {
      this.#absent.set(key, true);
      return undefined;
    }
    const kept = new CachedEntry(entry, this.#kept);
    this.#kept.set(key, kept, OVERHEAD_BYTES + 2 * key.length + entry.value.length);
    return kept;
  }

  /** Ends a read that brought nothing to keep: it failed. */
  abandon(key: string, reading: Reading | undefined): void {
    if (reading === undefined) return;
    reading.readers--;
    if (reading.readers === 0 && this.#reading.get(key) === reading) this.#reading.delete(key);
  }

  /** Drops the keys and keeps them out until `release`: they are about to be written. */
  hold(keys: Iterable<string>): void {
    if (!this.#enabled) return;
    for (const key of keys) {
      this.#held.add(key);
      this.#drop(key);
    }
  }

  /** The outcome of the write that `hold` was for is known, whatever it is. */
  release(keys: Iterable<string>): void {
    if (!this.#enabled) return;
    for (const key of keys) this.#held.delete(key);
  }

  /** Drops keys that somebody else wrote. */
  invalidate(keys: Iterable<string>): void {
    for (const key of keys) this.#drop(key);
  }

  /** Drops everything. */
  clear(): void {
    for (const reading of this.#reading.values()) reading.stale = true;
    this.#reading.clear();
    this.#kept.clear();
    this.#absent.clear();
  }

  /** Drops everything, and overwrites what can be: the texts that were made of it go with the next collection. */
  wipe(): void {
    for (const { value } of this.#kept.values()) wipe(value);
    this.clear();
  }

  #drop(key: string): void {
    this.#kept.delete(key);
    this.#absent.delete(key);
    const reading = this.#reading.get(key);
    if (reading === undefined) return;
    reading.stale = true;
    this.#reading.delete(key);
  }
}
