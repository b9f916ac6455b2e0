/** What a service account token says of itself, and whether that fits what is asked of it. Pure; nothing here is proof. */

import type { Json } from '../../base/json.ts';
import { own } from '../../base/own.ts';
import type { Claims } from '../jws.ts';

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Of tokens kept in Secrets only; else empty. */
  readonly secretName: string;
}

/** How far ahead of ours the clock of the issuer may be. None is allowed for `exp`: a token that has expired has expired. */
const SKEW_S = 60;
const DNS_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** The account that the claims name, bound (nested) or kept in a Secret (flat), or undefined. */
export function serviceAccountOf(claims: Claims): ServiceAccount | undefined {
  const bound = member(claims, 'kubernetes.io');
  const account = bound === undefined ? undefined : member(bound, 'serviceaccount');
  const found =
    bound !== undefined && account !== undefined
      ? {
          namespace: text(bound.namespace),
          name: text(account.name),
          uid: text(account.uid),
          secretName: text(member(bound, 'secret')?.name),
        }
      : {
          namespace: text(claims['kubernetes.io/serviceaccount/namespace']),
          name: text(claims['kubernetes.io/serviceaccount/service-account.name']),
          uid: text(claims['kubernetes.io/serviceaccount/service-account.uid']),
          secretName: text(claims['kubernetes.io/serviceaccount/secret.name']),
        };
  const named = DNS_NAME.test(found.namespace) && DNS_NAME.test(found.name);
  const same = claims.sub === undefined || claims.sub === usernameOf(found);
  return named && found.uid !== '' && same ? found : undefined;
}

export const usernameOf = ({ namespace, name }: ServiceAccount): string =>
  `system:serviceaccount:${namespace}:${name}`;

/** Why the token may not be used at this time, or undefined. @param now milliseconds */
export function untimely(claims: Claims, now: number): string | undefined {
  const at = now / 1000;
  const isBound = claims['kubernetes.io'] !== undefined;
  // Tokens kept in Secrets do not expire; a bound one without an end was not made by an API server.
  if (claims.exp === undefined ? isBound : typeof claims.exp !== 'number')
    return 'the token has no time of expiry';
  if (typeof claims.exp === 'number' && claims.exp <= at) return 'the token has expired';
  for (const name of ['nbf', 'iat'] as const) {
    const from = claims[name];
    if (from === undefined) continue;
    if (typeof from !== 'number') return `the claim ${name} is no time`;
    if (from > at + SKEW_S) return 'the token is not valid yet';
  }
  return undefined;
}

/** Whether the token was made for `audience`. */
export function isFor(claims: Claims, audience: string): boolean {
  return Array.isArray(claims.aud) ? claims.aud.includes(audience) : claims.aud === audience;
}

/** The object under a name; never one that every object inherits. */
function member(of: Claims, name: string): Claims | undefined {
  const value = own(of, name);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined;
}

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
