/**
 * Shamir's secret sharing over GF(2^8), as upstream has it: a share is one y byte per byte of the secret, then its x.
 * One single share is the secret itself. Combining proves nothing: wrong shares give a wrong secret, so whoever combines
 * must hold something that only the right one opens.
 */

import { combine, split } from 'shamir-secret-sharing';

const MAX_SHARES = 255;

/** Why `shares` with `threshold` cannot be, in upstream's words, or undefined when it can. */
export function refuseShares(shares: number, threshold: number): string | undefined {
  if (!Number.isInteger(shares) || shares < 1) return 'shares must be at least one';
  if (shares > MAX_SHARES) return 'shares must be less than 256';
  if (!Number.isInteger(threshold) || threshold < 1) return 'threshold must be at least one';
  if (shares > 1 && threshold === 1) return 'threshold must be greater than one for multiple shares';
  if (threshold > shares) return 'threshold cannot be larger than shares';
  return undefined;
}

/** The length of a share of a secret of `bytes` bytes. */
export const shareBytes = (bytes: number, shares: number): number => (shares === 1 ? bytes : bytes + 1);

/**
 * Splits `secret` so that any `threshold` of the `shares` give it back and fewer tell nothing.
 * @throws RangeError where `refuseShares` has a reason
 */
export async function splitSecret(
  secret: Uint8Array,
  shares: number,
  threshold: number,
): Promise<Uint8Array[]> {
  const reason = refuseShares(shares, threshold);
  if (reason !== undefined) throw new RangeError(reason);
  if (shares === 1) return [Uint8Array.from(secret)];
  // The library looks at the constructor and refuses a Buffer.
  const plain = Uint8Array.from(secret);
  try {
    return await split(plain, shares, threshold);
  } finally {
    plain.fill(0);
  }
}

/** The secret behind the shares, or undefined where they cannot belong together (two with the same x, other lengths). */
export async function combineShares(shares: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  const [first] = shares;
  if (first === undefined) return undefined;
  if (shares.length === 1) return Uint8Array.from(first);
  const copies = shares.map((share) => Uint8Array.from(share));
  try {
    return await combine(copies);
  } catch {
    return undefined;
  } finally {
    for (const copy of copies) copy.fill(0);
  }
}
