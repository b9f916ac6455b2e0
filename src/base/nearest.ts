/** The name that somebody probably meant: for messages, from names alone. */

/**
 * `; did you mean "api-key"?` for the nearest of `names`, else the names themselves, else nothing. Case and separators
 * are free, because that is what people get wrong ("apiKey", "api-key", "API_KEY"). Names only, never values.
 */
export function nearest(wanted: string, names: Iterable<string>): string {
  const all = [...names];
  const bare = fold(wanted);
  let best: { name: string; distance: number } | undefined;
  for (const name of all.slice(0, 200)) {
    const distance = editDistance(bare, fold(name));
    if (best === undefined || distance < best.distance) best = { name, distance };
  }
  if (best !== undefined && best.distance <= Math.max(1, Math.floor(bare.length / 3))) {
    return `; did you mean "${best.name}"?`;
  }
  if (all.length === 0) return '; it has no keys';
  return `; it has: ${all.slice(0, 8).join(', ')}${all.length > 8 ? ', …' : ''}`;
}

const fold = (text: string): string =>
  text
    .slice(0, 100)
    .toLowerCase()
    .replace(/[-_. ]/g, '');

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
