/**
 * Numbers that are dear to find, such as walks over all that is stored: found once for all who ask at the same time, and kept
 * for a while. A listener may let strangers read the numbers, and each of them would else make the server walk anew.
 */

import type { Clock } from '../../base/clock.ts';

interface Kept<T> {
  readonly since: number;
  readonly found: Promise<T>;
}

/**
 * `find`, asked at most once in `ms` milliseconds for each thing that it is asked of. A failure is kept for nobody. What it
 * is asked of is held weakly: after a seal nothing here keeps the keys in memory.
 */
export function keptFor<K extends object, T>(
  clock: Clock,
  ms: number,
  find: (of: K) => Promise<T>,
): (of: K) => Promise<T> {
  const all = new WeakMap<K, Kept<T>>();
  return (of) => {
    const before = all.get(of);
    if (before !== undefined && clock.monotonic() - before.since < ms) return before.found;
    const kept: Kept<T> = { since: clock.monotonic(), found: find(of) };
    all.set(of, kept);
    kept.found.catch(() => {
      if (all.get(of) === kept) all.delete(of);
    });
    return kept.found;
  };
}
