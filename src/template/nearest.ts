/** The key that somebody meant who wrote one that is not there. Sees keys alone, never values. */

/** Keys that differ only in case and punctuation are the same to the eye: apiKey, api-key, API_KEY. */
const plain = (key: string): string => key.toLowerCase().replace(/[^a-z0-9]/g, '');

const CANDIDATES = 1000;
const LONGEST = 128;

/** The existing key nearest to `wanted`, or undefined where none is near. */
export function nearest(wanted: string, keys: Iterable<string>): string | undefined {
  if (wanted.length > LONGEST) return undefined;
  const target = plain(wanted);
  let best: string | undefined;
  let least = Math.max(1, Math.floor(target.length / 3)) + 1;
  let seen = 0;
  for (const key of keys) {
    if (++seen > CANDIDATES) break;
    if (key.length > LONGEST) continue;
    const candidate = plain(key);
    const within =
      candidate.length >= 3 &&
      target.length >= 3 &&
      (candidate.endsWith(target) || target.endsWith(candidate));
    const far = Math.min(distance(target, candidate), within ? 1 : Number.POSITIVE_INFINITY);
    if (far < least || (far === least && best !== undefined && key < best)) {
      least = far;
      best = key;
    }
  }
  return best;
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
