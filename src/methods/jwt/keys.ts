/** Public keys that sign tokens: read from a published set (RFC 7517), and chosen by the header of a token. Pure. */

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Json } from '../../base/json.ts';
import { own } from '../../base/own.ts';
import type { Claims, Jws } from '../jws.ts';

export interface SigningKey {
  /** As the set names it; undefined where it does not, and for keys that stand in the configuration. */
  readonly id: string | undefined;
  /** The one algorithm that the set allows it for. */
  readonly algorithm: string | undefined;
  readonly key: KeyObject;
}

/** More than any provider publishes; trying a signature with each costs time. */
const MOST_KEYS = 100;
/** RFC 7518 section 3.3: MUST. */
const SHORTEST_RSA = 2048;

/** The members that make a public key, by its type. Others, a private key's among them, are never looked at. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
};

/**
 * The signing keys of a published set; undefined where it is no set. Keys for encryption, symmetric keys, and what does
 * not read as a key are passed over, because sets hold keys for other uses and of types to come (section 5).
 */
export function readKeySet(set: Json): readonly SigningKey[] | undefined {
  const keys = isObject(set) ? set['keys'] : undefined;
  if (!Array.isArray(keys)) return undefined;
  return (keys as readonly Json[])
    .slice(0, MOST_KEYS)
    .map(readKey)
    .filter((key) => key !== undefined);
}

function readKey(jwk: Json): SigningKey | undefined {
  if (!isObject(jwk)) return undefined;
  const { kty, use, kid, alg } = jwk;
  const members = typeof kty === 'string' ? own(MEMBERS, kty) : undefined;
  if (members === undefined || (use !== undefined && use !== 'sig')) return undefined;
  try {
    const bare = Object.fromEntries(members.map((name) => [name, jwk[name]]));
    const key = createPublicKey({ key: { ...bare, kty } as never, format: 'jwk' });
    if (!isStrong(key)) return undefined;
    return {
      id: typeof kid === 'string' ? kid : undefined,
      algorithm: typeof alg === 'string' ? alg : undefined,
      key,
    };
  } catch {
    return undefined;
  }
}

export const isStrong = (key: KeyObject): boolean =>
  key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) >= SHORTEST_RSA;

/**
 * The keys that may have signed this token: of its `kid` where it names one and the keys have names, and of its algorithm.
 * Type and curve are judged where the signature is.
 */
export function fitting(keys: readonly SigningKey[], { header, algorithm }: Jws): KeyObject[] {
  const { kid } = header;
  return keys
    .filter((key) => kid === undefined || key.id === undefined || key.id === kid)
    .filter((key) => key.algorithm === undefined || key.algorithm === algorithm)
    .map(({ key }) => key);
}

const isObject = (value: Json): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
