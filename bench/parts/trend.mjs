// A straight line through points, by least squares.

/** The slope of the line through [x, y] pairs, and its standard error. NaN for fewer than three points. */
export function slopeOf(points) {
  const count = points.length;
  if (count < 3) return { slope: Number.NaN, error: Number.NaN };
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / count;
  const [x0, y0] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / spread;
  const rest = points.reduce((sum, [x, y]) => sum + (y - y0 - slope * (x - x0)) ** 2, 0);
  return { slope, error: Math.sqrt(rest / (count - 2) / spread) };
}
