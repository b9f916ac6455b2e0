// What is said of many figures.

/** The smallest value that at least the share `p` of the sorted `values` does not exceed. */
export function percentile(values, p) {
  return values[Math.max(0, Math.ceil(p * values.length) - 1)] ?? Number.NaN;
}

/** The one in the middle; of an even count the mean of the two. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
