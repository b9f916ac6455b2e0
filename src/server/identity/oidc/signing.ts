/** The signatures of identity tokens: one row for each algorithm, keys as JWK (RFC 7517), tokens as compact JWS (RFC 7515). */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { base64url, textOf, utf8 } from '../../../base/bytes.ts';
import { own } from '../../../base/own.ts';
import { uuid } from '../../../crypto/random.ts';

const makePair = promisify(generateKeyPair);

interface Algorithm {
  readonly hash: string | null;
  make(): Promise<JsonWebKey>;
}

const rsa = (hash: string): Algorithm => ({
  hash,
  make: async () => (await makePair('rsa', { modulusLength: 2048 })).privateKey.export({ format: 'jwk' }),
});
const ecdsa = (hash: string, namedCurve: string): Algorithm => ({
  hash,
  make: async () => (await makePair('ec', { namedCurve })).privateKey.export({ format: 'jwk' }),
});

/** In the order that discovery tells them. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  RS256: rsa('sha256'),
  RS384: rsa('sha384'),
  RS512: rsa('sha512'),
  ES256: ecdsa('sha256', 'P-256'),
  ES384: ecdsa('sha384', 'P-384'),
  ES512: ecdsa('sha512', 'P-521'),
  EdDSA: {
    hash: null,
    make: async () => (await makePair('ed25519')).privateKey.export({ format: 'jwk' }),
  },
};

export const algorithms = Object.keys(ALGORITHMS);
export const isAlgorithm = (name: string): boolean => Object.hasOwn(ALGORITHMS, name);

/** A key with what it is for; `private` never leaves the barrier. */
export interface SigningKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly private: JsonWebKey;
}

/** A key as JWKS tells it. */
export type PublicKey = Readonly<Record<string, string>> & { readonly kid: string; readonly alg: string };

/** @param algorithm one of `algorithms` */
export async function newSigningKey(algorithm: string): Promise<SigningKey> {
  const made = await rowOf(algorithm).make();
  return { kid: uuid(), algorithm, private: made };
}

export function publicOf({ kid, algorithm, private: jwk }: SigningKey): PublicKey {
  const members = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' });
  const told = Object.entries(members).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { ...Object.fromEntries(told), use: 'sig', kid, alg: algorithm };
}

/** @param payload the claims as JSON text */
export function signed(key: SigningKey, payload: string): string {
  const header = JSON.stringify({ alg: key.algorithm, kid: key.kid });
  const text = `${base64url(utf8(header))}.${base64url(utf8(payload))}`;
  const { hash } = rowOf(key.algorithm);
  const signature = sign(hash, utf8(text), {
    key: createPrivateKey({ key: key.private, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363',
  });
  return `${text}.${base64url(signature)}`;
}

/** A token taken apart; nothing in it is to be believed before `isSigned`. */
export interface Parsed {
  readonly kid: string;
  readonly algorithm: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly signature: Uint8Array;
}

/** @returns why it is no token, or the token */
export function parseToken(token: string): Parsed | string {
  const parts = token.split('.');
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) return 'compact JWS format must have three parts';
  if (!parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return 'a part is not base64url';
  const head = membersOf(header);
  const claims = membersOf(payload);
  if (head === undefined || claims === undefined) return 'a part is not a JSON object';
  const { alg, kid } = head;
  if (typeof alg !== 'string' || !isAlgorithm(alg)) return 'unexpected signature algorithm';
  return {
    kid: typeof kid === 'string' ? kid : '',
    algorithm: alg,
    claims,
    text: `${header}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** Whether this key signed it, by the algorithm that the key, not the token, is for. */
export function isSigned({ text, signature, algorithm }: Parsed, key: PublicKey): boolean {
  if (algorithm !== key.alg) return false;
  const { hash } = rowOf(key.alg);
  const opened = createPublicKey({ key, format: 'jwk' });
  return verify(hash, utf8(text), { key: opened, dsaEncoding: 'ieee-p1363' }, signature);
}

function membersOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(textOf(Buffer.from(part, 'base64url')) ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function rowOf(algorithm: string): Algorithm {
  const row = own(ALGORITHMS, algorithm);
  if (row === undefined) throw new Error('a signing key of an unknown algorithm was stored');
  return row;
}
