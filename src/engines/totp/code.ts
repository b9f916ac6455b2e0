/** One-time codes: HOTP (RFC 4226) and the steps of time that TOTP (RFC 6238) counts. Pure. */

import { createHmac } from 'node:crypto';
import { sameSecret } from '../../base/bytes.ts';

export type Algorithm = 'SHA1' | 'SHA256' | 'SHA512';
export const ALGORITHMS: readonly Algorithm[] = ['SHA1', 'SHA256', 'SHA512'];

export interface Scheme {
  readonly algorithm: Algorithm;
  readonly digits: number;
  /** Seconds. */
  readonly period: number;
  /** How many steps before and after the present one are taken too. */
  readonly skew: number;
}

/** The code of one count: dynamic truncation, RFC 4226 section 5.3. */
export function hotp(secret: Uint8Array, count: number, { algorithm, digits }: Scheme): string {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(count));
  const mac = createHmac(algorithm, secret).update(message).digest();
  const offset = (mac[mac.length - 1] ?? 0) & 15;
  const number = mac.readUInt32BE(offset) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, '0');
}

/** The step that a moment lies in. @param now milliseconds since the epoch */
export const stepAt = (now: number, { period }: Scheme): number => Math.floor(now / 1000 / period);

/** Whether the code is right now, by any step that `skew` allows. All are tried, so that time does not tell which one it was. */
export function isRight(secret: Uint8Array, code: string, now: number, scheme: Scheme): boolean {
  const present = stepAt(now, scheme);
  let right = false;
  for (let step = Math.max(0, present - scheme.skew); step <= present + scheme.skew; step++)
    right = sameSecret(hotp(secret, step, scheme), code) || right;
  return right;
}
