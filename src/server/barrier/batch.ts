/** Which waiting commits the store takes as one, and whether the conditions of each hold. Pure. */

import type { Check, Entry } from '../../storage/storage.ts';

/** What a write comes to in the store: sealed bytes and what they add to the set, or nothing any more. */
export type Sealed = { readonly value: Uint8Array; readonly part: string } | undefined;

/** One commit as it waits, sealed already: while one batch is flushed, the next is made ready. */
export interface Commit {
  readonly writes: ReadonlyMap<string, Sealed>;
  readonly checks: readonly Check[];
  readonly resolve: (revision: number) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The members that one commit can hold: it ends before one that writes a key which another one of it writes. They would
 * share a revision, and one revision must not stand for two values.
 */
export function together<T extends Pick<Commit, 'writes'>>(batch: readonly T[]): readonly T[] {
  const keys = new Set<string>();
  for (const [at, { writes }] of batch.entries()) {
    for (const key of writes.keys()) if (keys.has(key)) return batch.slice(0, at);
    for (const key of writes.keys()) keys.add(key);
  }
  return batch;
}

/** Every key that the members write or check, once. */
export function touched(members: readonly Pick<Commit, 'writes' | 'checks'>[]): string[] {
  const keys = new Set<string>();
  for (const { writes, checks } of members) {
    for (const key of writes.keys()) keys.add(key);
    for (const { key } of checks) keys.add(key);
  }
  return [...keys];
}

/** The first check that does not hold; what this batch is about to write has a revision that nobody can name yet. */
export function firstBroken(
  checks: readonly Check[],
  writes: ReadonlyMap<string, Sealed>,
  stored: ReadonlyMap<string, Entry>,
): Check | undefined {
  return checks.find(({ key, revision }) => {
    if (!writes.has(key)) return (stored.get(key)?.revision ?? 0) !== revision;
    return writes.get(key) !== undefined || revision !== 0;
  });
}
