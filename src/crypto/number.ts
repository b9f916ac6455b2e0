/** Large numbers as cryptography needs them: to and from big-endian bytes, and modulo. Not in constant time: callers blind what is secret. */

export const toNumber = (bytes: Uint8Array): bigint =>
  bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

/** @param length of the result, in bytes; the number must fit */
export const toBytes = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');

/** The remainder that is not negative. */
export const modulo = (value: bigint, by: bigint): bigint => {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
};

/** The inverse modulo a number that shares no factor with it; extended Euclid. */
export function inverse(value: bigint, by: bigint): bigint {
  let [a, b] = [modulo(value, by), by];
  let [x, y] = [1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return modulo(x, by);
}

/** `base` to the power of `exponent`, modulo a number. */
export function power(base: bigint, exponent: bigint, by: bigint): bigint {
  let result = 1n;
  let square = modulo(base, by);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % by;
    square = (square * square) % by;
  }
  return result;
}
