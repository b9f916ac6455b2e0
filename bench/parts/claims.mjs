// What a benchmark claims, and whether this run bears it out.

/**
 * Prints a line for each claim. `held` is undefined where the run did not measure it: that is told, and is no failure.
 * @param claims { text, held }
 * @returns the same claims
 */
export function judged(claims) {
  for (const { text, held } of claims)
    console.log(`${held === undefined ? 'not measured' : held ? 'holds' : 'DOES NOT HOLD'}: ${text}`);
  return claims;
}
