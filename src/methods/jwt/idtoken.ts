/** Whether a verified ID token answers the login that was begun (OpenID Connect Core 1.0, section 3.1.3.7). Pure. */

import { createHash } from 'node:crypto';
import { base64url, sameSecret } from '../../base/bytes.ts';
import type { Claims, Jws } from '../jws.ts';
import { audiencesOf, refused } from './claims.ts';
import { timeOf } from './expected.ts';

export interface ExpectedIdToken {
  readonly issuer: string;
  readonly clientId: string;
  readonly nonce: string;
  /** Of the role; empty: the client id alone decides. */
  readonly audiences: readonly string[];
  /** When the login was begun, in milliseconds. */
  readonly begunAt: number;
  /** How long ago the user may have proved who they are when the login began; 0: as long as they like. */
  readonly maxAgeMs: number;
}

/** Seconds that the clock of the provider may be off, for `iat`, `nbf` and `auth_time`; none for `exp`. */
const SKEW = 60;

/** @throws Failure jwt.refused. @param now milliseconds */
export function checkIdToken(claims: Claims, expected: ExpectedIdToken, now: number): void {
  const at = now / 1000;
  if (claims['iss'] !== expected.issuer) throw refused('id token issued by a different provider');
  // One without an end has ended: no time is the earliest.
  if (timeOf(claims, 'exp') < at) throw refused('token is expired');
  if (timeOf(claims, 'nbf') > at + SKEW) throw refused('current time before the nbf (not before) time');
  if (timeOf(claims, 'iat') > at + SKEW) throw refused('current time before the iat (issued at) time');
  const { nonce } = claims;
  if (typeof nonce !== 'string' || !sameSecret(nonce, expected.nonce))
    throw refused('invalid id_token nonce');
  if (typeof claims['sub'] !== 'string' || claims['sub'] === '')
    throw refused('invalid id_token: sub: missing required claim');
  checkParties(claims, expected);
  checkAge(claims, expected);
}

function checkParties(claims: Claims, { audiences, clientId }: ExpectedIdToken): void {
  const named = audiencesOf(claims);
  if (named === undefined || named.length === 0)
    throw refused('invalid id_token: aud: missing required claim');
  if (audiences.length > 0 && !audiences.some((one) => named.includes(one)))
    throw refused('invalid id_token audiences: invalid audience');
  if (named.length > 1 && !named.includes(clientId))
    throw refused('invalid id_token: multiple audiences and none of them is equal to client_id');
  // A token that was made for another client must say that it was made at the wish of this one.
  const party = claims['azp'];
  const needed = named.length > 1 || named[0] !== clientId;
  if ((party !== undefined || needed) && party !== clientId)
    throw refused('invalid id_token: authorized party is not equal to client_id');
}

function checkAge(claims: Claims, { maxAgeMs, begunAt }: ExpectedIdToken): void {
  if (maxAgeMs <= 0) return;
  const authenticated = timeOf(claims, 'auth_time');
  if (authenticated === 0) throw refused('missing auth_time claim when max age was requested');
  if (authenticated + SKEW <= (begunAt - maxAgeMs) / 1000) throw refused('auth_time is beyond max age');
}

/** Holds what came with an ID token against the hash of it inside, where there is one (sections 3.1.3.8, 3.3.2.11). */
export function checkHash(jws: Jws, name: 'at_hash' | 'c_hash', value: string): void {
  const hash = jws.claims[name];
  if (hash === undefined || hash === null) return;
  const [bits = '512'] = /\d{3}$/.exec(jws.algorithm) ?? [];
  const digest = createHash(`sha${bits}`).update(value).digest();
  const half = base64url(digest.subarray(0, digest.length / 2));
  if (typeof hash !== 'string' || !sameSecret(hash, half))
    throw refused(
      `${name === 'at_hash' ? 'access_token' : 'authorization code'} hash does not match value in id_token`,
    );
}
