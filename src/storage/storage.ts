/**
 * The store, as every room above sees it: untrusted bytes under names. Memory, LMDB, PostgreSQL, the barrier's view and a
 * plugin's view are all this one type. Whoever writes here must assume that the medium can be read, changed, cut and rolled
 * back by others; only the barrier makes more of it.
 */

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
}

export interface Page {
  /** Names after this one, exclusive; the name need not exist. */
  readonly after?: string;
  readonly limit?: number;
}

export interface Storage {
  get(key: string): Promise<Entry | undefined>;
  /**
   * The direct children of `prefix` (which is empty or ends in "/"), relative to it; folders end in "/". Byte order; an
   * entry "a" and a folder "a/" are two children. Costs as much as it returns, however much lies below.
   */
  list(prefix: string, page?: Page): Promise<string[]>;
  /** Every entry below `prefix`, in byte order, from one snapshot. */
  scan(prefix: string, signal: AbortSignal): AsyncIterable<Entry>;
  /**
   * All or nothing, durable when it resolves; gives the revision that every written entry now has.
   * @throws Failure storage.conflict with the key of the first check that does not hold
   */
  commit(writes: readonly Write[], checks?: readonly Check[]): Promise<number>;
}

/** What changed, for caches and watches. Ends with `Gone` when `after` is older than what is kept: drop everything. */
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
  close(): Promise<void>;
}
