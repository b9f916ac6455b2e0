/** The name that somebody probably meant, for messages. Sees names alone, never values. */

/** Bounds of the work that a message may cost. */
const CANDIDATES = 1000;
const LONGEST = 128;

/** `; did you mean "api-key"?` for the nearest of `names`, else the first few names, else that there are none. */
export function nearest(wanted: string, names: Iterable<string>): string {
  const all = [...names];
  const best = nearestName(wanted, all);
  if (best !== undefined) return `; did you mean "${best}"?`;
  if (all.length === 0) return '; it has no keys';
  return `; it has: ${all.slice(0, 8).join(', ')}${all.length > 8 ? ', …' : ''}`;
}

/**
 * The one of `names` nearest to `wanted`, or undefined where none is near. Case and punctuation are free, because that
 * is what people get wrong ("apiKey", "api-key", "API_KEY"); so is a missing or needless beginning ("admin-password").
 */
export function nearestName(wanted: string, names: Iterable<string>): string | undefined {
  if (wanted.length > LONGEST) return undefined;
  const target = bare(wanted);
  let best: string | undefined;
  let least = Math.max(1, Math.floor(target.length / 3)) + 1;
  let seen = 0;
  for (const name of names) {
    if (++seen > CANDIDATES) break;
    if (name.length > LONGEST) continue;
    const far = farness(target, bare(name), least);
    if (far < least || (far === least && best !== undefined && name < best)) {
      least = far;
      best = name;
    }
  }
  return best;
}

const bare = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** How far two bare names are apart; infinitely where that is surely more than `most`. */
function farness(a: string, b: string, most: number): number {
  const within = a.length >= 3 && b.length >= 3 && (a.endsWith(b) || b.endsWith(a)) ? 1 : Infinity;
  return Math.abs(a.length - b.length) > most ? within : Math.min(within, editDistance(a, b));
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
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
