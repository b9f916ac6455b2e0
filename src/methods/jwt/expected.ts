/** Whether the registered claims of a verified token (RFC 7519 section 4.1) are what a login expects. Pure. */

import { Exact } from '../../base/json.ts';
import type { Claims } from '../jws.ts';
import { audiencesOf, refused } from './claims.ts';

/** Milliseconds. 0 stands for the default, below 0 for none at all. */
export interface Leeways {
  /** How long a token without `exp` is good, from `iat` or `nbf` on. */
  readonly expirationMs: number;
  /** How long before `exp` a token without `nbf` and `iat` begins to be good. */
  readonly notBeforeMs: number;
  /** How far the clocks may be apart, for all of them. */
  readonly clockSkewMs: number;
}

export interface Expected {
  /** Empty: any. */
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly leeways: Leeways;
}

/** Seconds. */
const DEFAULT_LEEWAY = 150;
const DEFAULT_SKEW = 60;

/** @throws Failure jwt.refused. @param now milliseconds */
export function checkExpected(claims: Claims, expected: Expected, now: number): void {
  if (expected.issuer !== '' && claims.iss !== expected.issuer) throw refused('invalid issuer (iss) claim');
  const { sub } = claims;
  const strange = sub !== undefined && sub !== null && typeof sub !== 'string';
  if (strange || (expected.subject !== '' && sub !== expected.subject))
    throw refused('invalid subject (sub) claim');
  const audiences = audiencesOf(claims);
  if (audiences === undefined)
    throw refused('invalid audience (aud) claim: it is neither a string nor a list of strings');
  if (expected.audiences.length > 0 && !expected.audiences.some((one) => audiences.includes(one)))
    throw refused('invalid audience (aud) claim: audience claim does not match any expected audience');
  checkTimes(claims, expected.leeways, now / 1000);
}

function checkTimes(claims: Claims, leeways: Leeways, now: number): void {
  const issued = timeOf(claims, 'iat');
  const expires = timeOf(claims, 'exp');
  const begins = timeOf(claims, 'nbf');
  if (issued === 0 && expires === 0 && begins === 0)
    throw refused('no issued at (iat), not before (nbf), or expiration time (exp) claims in token');
  // What is not said is worked out from what is: no token is good for ever.
  const end = expires || Math.max(issued, begins) + leewayOf(leeways.expirationMs, DEFAULT_LEEWAY);
  const start = begins || issued || end - leewayOf(leeways.notBeforeMs, DEFAULT_LEEWAY);
  const skew = leewayOf(leeways.clockSkewMs, DEFAULT_SKEW);
  if (now + skew < start) throw refused('invalid not before (nbf) claim: token not yet valid');
  if (now - skew > end) throw refused('invalid expiration time (exp) claim: token is expired');
  if (now + skew < issued) throw refused('invalid issued at (iat) claim: token issued in the future');
}

/** Seconds since 1970; 0 where the claim is not there. @throws Failure jwt.refused where it is no number */
export function timeOf(claims: Claims, name: 'iat' | 'exp' | 'nbf' | 'auth_time'): number {
  const value = claims[name];
  if (value === undefined || value === null) return 0;
  const time = value instanceof Exact ? Number(value.text) : value;
  if (typeof time !== 'number' || !Number.isFinite(time)) throw refused(`the claim ${name} is no time`);
  return time;
}

const leewayOf = (ms: number, byDefault: number): number => (ms === 0 ? byDefault : Math.max(0, ms / 1000));
