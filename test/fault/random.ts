/** Randomness that can be had again: the seed is printed, and HOLDFAST_SEED gives it back. */

export interface Random {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number;
}

/** Follows mulberry32, a generator of 32 bits that is good enough to scatter kills and cuts. */
export function seeded(title: string): Random {
  const given = process.env['HOLDFAST_SEED'];
  const seed = given === undefined ? Date.now() >>> 0 : Number(given) >>> 0;
  console.log(`${title}: HOLDFAST_SEED=${seed}`);
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, next, below: (limit) => Math.floor(next() * limit) };
}
