/**
 * Reading from memory what was read before, for who says that it may be read so. What is worked out of an entry (a parsed
 * record, the text of an answer) hangs on the entry itself: it cannot outlive it or belong to another, so that there is one
 * thing to invalidate and not two.
 */

import type { Soon } from '../base/soon.ts';
import type { Entry, Place, Storage } from './storage.ts';

/**
 * The entry, from memory where this storage keeps it there: as new as the newest commit that was answered on this node. It
 * belongs to all who read it, so nobody may change or wipe its value, and its key is the store's and not the view's. Without
 * such a memory it is `get`.
 */
export const near = (storage: Storage, key: string): Soon<Entry | undefined> => placeOf(storage, key).near();

/** As `near`, for who asks for one key again and again. */
export const placeOf = (storage: Storage, key: string): Place =>
  storage.place?.(key) ?? { near: () => storage.get(key) };

/**
 * What `make` works out of the entry, kept beside it where it is asked for more than once. `make` is one function per kind of
 * record, never one made for the call, and depends on nothing but the entry's value.
 */
export const derived = <T>(entry: Entry, make: (entry: Entry) => T): T =>
  entry.derived === undefined ? make(entry) : entry.derived.of(make);

/** Counts what was hung on the entry beside what its own value accounts for, so that the memory stays within its bound. */
export const charge = (entry: Entry, bytes: number): void => entry.derived?.charge(bytes);
