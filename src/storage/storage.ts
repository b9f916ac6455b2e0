/**
 * The store, as every room above sees it: untrusted bytes under names. Memory, LMDB, PostgreSQL, the barrier's view and a
 * plugin's view are all this one type. Whoever writes here must assume that the medium can be read, changed, cut and rolled
 * back by others; only the barrier makes more of it.
 */

import type { Soon } from '../base/soon.ts';

/** A condition without a write. `revision` 0 means: the key is absent. */
export interface Check {
  readonly key: string;
  readonly revision: number;
}

export type Write =
  | { readonly key: string; readonly value: Uint8Array }
  | { readonly key: string; readonly delete: true };

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Store-wide, rising, never reused: a count per entry would be open to ABA. */
  readonly revision: number;
  /** Only of an entry that is kept in memory. */
  readonly derived?: Derivations | undefined;
}

/** Where an entry lies: its key is put together once, and the entry is found without it where it was found before. */
export interface Place {
  /** As `get`, from memory where it may be there; `near` in near.ts says what holds. */
  near(): Soon<Entry | undefined>;
}

/** Where an entry that is kept in memory holds what was worked out of it (near.ts). */
export interface Derivations {
  of<T>(make: (entry: Entry) => T): T;
  charge(bytes: number): void;
}

export interface Page {
  /** Names after this one, exclusive; the name need not exist. */
  readonly after?: string;
  readonly limit?: number;
}

/** The longest key that a store keeps, in bytes of UTF-8: what an LMDB page has room for, less our own tag. */
export const KEY_LIMIT = 1900;

export interface Storage {
  get(key: string): Promise<Entry | undefined>;
  /** Where an entry lies whose key is asked for again and again, maybe in memory. Absent: there is no such memory. */
  place?(key: string): Place;
  /**
   * The direct children of `prefix` (which is empty or ends in "/"), relative to it; folders end in "/". Byte order; an
   * entry "a" and a folder "a/" are two children. Costs as much as it returns, however much lies below.
   */
  list(prefix: string, page?: Page): Promise<string[]>;
  /**
   * Every entry whose key begins with `prefix`, in byte order, from one snapshot. When `signal` is aborted it throws the
   * signal's reason: a scan that was cut short must never look like a whole one.
   */
  scan(prefix: string, signal: AbortSignal): AsyncIterable<Entry>;
  /**
   * All or nothing, durable when it resolves; gives the revision that every written entry now has. A key named twice
   * takes its last write. Without writes it only tests its checks and gives the head.
   * @throws Failure storage.conflict with the key of the first check that does not hold; storage.key for a name that is
   *   longer than KEY_LIMIT or no UTF-8; storage.write when the medium fails, and then nothing was kept; storage.unknown
   *   when a medium elsewhere was lost and cannot be asked; storage.fenced when another node leads the store
   */
  commit(writes: readonly Write[], checks?: readonly Check[]): Promise<number>;
}

/**
 * What changed, for caches and watches, in the order of the revisions. Throws `Gone` when `after` is older than what is
 * kept, or newer than the head (the store was rolled back): drop everything. Throws the signal's reason when aborted.
 */
export interface Feed {
  head(): Promise<number>;
  changes(after: number, signal: AbortSignal): AsyncIterable<Change>;
}

export interface Change {
  readonly revision: number;
  readonly keys: readonly string[];
}

/** The feed no longer holds what came after the revision that was asked for. */
export class Gone extends Error {
  override readonly name = 'Gone';
}

/** A storage with its feed, as an engine of the medium provides it. */
export interface Backend extends Storage, Feed {
  readonly name: string;
  /** As `get`, of a medium in this process, which nothing has to be waited for. */
  getNow?(key: string): Entry | undefined;
  /**
   * The entries of these keys that are there, all from one snapshot, as one question to the medium: what a batch of many
   * writers has to know must not cost a way to a database for each of its keys.
   */
  getMany(keys: readonly string[]): Promise<ReadonlyMap<string, Entry>>;
  close(): Promise<void>;
}
