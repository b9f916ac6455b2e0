/**
 * Signed requests (RFC 8555 section 6.2: a JWS in flattened JSON). What is read is not trusted until `verified` said so; no
 * error holds a part of what was sent. The cryptography is jose's; which algorithms and keys are taken is decided here.
 */

import { createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, flattenedVerify } from 'jose';
import { textOf } from '../../../base/bytes.ts';
import { type Json, parseJson } from '../../../base/json.ts';
import { own } from '../../../base/own.ts';
import { AcmeError } from './problem.ts';
import type { Jwk } from './records.ts';

/** Asymmetric ones alone: RFC 8555 section 6.2 forbids "none" and MACs. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
/** Of external account bindings, which are keyed by a shared secret. */
export const MAC_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const;

const LIMITS = { depth: 16, count: 2000 };
const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);

export type Members = Readonly<Record<string, Json>>;

/** A JWS taken apart, as it was sent. */
export interface Envelope {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}
export interface Header {
  readonly alg: string;
  readonly url: string;
  readonly nonce: string | undefined;
  readonly kid: string | undefined;
  readonly jwk: Members | undefined;
}

/** @throws AcmeError malformed */
export function readEnvelope(value: unknown): Envelope {
  const members = membersOf(value);
  if (members === undefined) throw malformed('the request is no JSON object');
  for (const name of ['protected', 'payload', 'signature'] as const)
    if (typeof members[name] !== 'string') throw malformed(`missing required field '${name}'`);
  // RFC 8555 section 6.2: neither an unprotected header nor several signatures.
  if (members['header'] !== undefined) throw malformed('the request had unprotected headers');
  if (members['signatures'] !== undefined) throw malformed('the request had multiple signatures');
  return members as unknown as Envelope;
}

/** The bytes of a body as JSON. @throws AcmeError malformed */
export function readBody(body: Uint8Array): unknown {
  const text = textOf(body);
  try {
    if (text !== undefined) return parseJson(text, [], LIMITS);
  } catch {
    // Told below: a parser's error would quote what it read.
  }
  throw malformed('the request is no JSON object');
}

/** @throws AcmeError malformed, badSignatureAlgorithm */
export function readHeader(given: Envelope, algorithms: readonly string[]): Header {
  const header = decodedObject(given.protected);
  if (header === undefined) throw malformed("'protected' is no JSON object in base64url");
  const { alg, url, nonce, kid, jwk } = header;
  if (typeof alg !== 'string' || !algorithms.includes(alg))
    throw new AcmeError('badSignatureAlgorithm', "invalid header: unexpected value for 'alg'", {
      algorithms,
    });
  if (typeof url !== 'string' || url === '')
    throw malformed("missing required parameter 'url' in 'protected'");
  if (nonce !== undefined && typeof nonce !== 'string') throw malformed("'nonce' must be text");
  if (kid !== undefined && typeof kid !== 'string') throw malformed("'kid' must be text");
  const key = jwk === undefined ? undefined : membersOf(jwk);
  if (jwk !== undefined && key === undefined) throw malformed("'jwk' must be an object");
  return { alg, url, nonce, kid, jwk: key };
}

/** A public key that requests may be signed with, and its thumbprint (RFC 7638). */
export interface SignerKey {
  readonly key: KeyObject;
  readonly jwk: Jwk;
  readonly thumbprint: string;
}

const CURVES = ['P-256', 'P-384', 'P-521'];
/** More would make one request cost what thousands do. */
const MOST_RSA_BITS = 8192;

/** @throws AcmeError badPublicKey where it is weak, private, or of a kind that is not taken */
export async function readKey(given: Members): Promise<SignerKey> {
  const bad = (detail: string): AcmeError => new AcmeError('badPublicKey', detail);
  const names: Readonly<Record<string, readonly string[]>> = {
    RSA: ['kty', 'n', 'e'],
    EC: ['kty', 'crv', 'x', 'y'],
    OKP: ['kty', 'crv', 'x'],
  };
  const kty = given['kty'];
  const wanted = typeof kty === 'string' ? own(names, kty) : undefined;
  if (wanted === undefined) throw bad('the key must be of type RSA, EC or OKP');
  if (given['d'] !== undefined || given['k'] !== undefined) throw bad('the key is a private one');
  const jwk: Record<string, string> = {};
  for (const name of wanted) {
    const value = given[name];
    if (typeof value !== 'string' || value === '') throw bad(`the key has no ${name}`);
    jwk[name] = value;
  }
  if (kty === 'EC' && !CURVES.includes(jwk['crv'] ?? '')) throw bad('the curve is none that is taken');
  if (kty === 'OKP' && jwk['crv'] !== 'Ed25519') throw bad('the curve is none that is taken');
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw bad('the key is malformed');
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 2048;
  if (bits < 2048 || bits > MOST_RSA_BITS) throw bad(`an RSA key must have 2048 to ${MOST_RSA_BITS} bits`);
  return { key, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

/**
 * The payload, once the signature is known to be this key's. Undefined: there is none (POST-as-GET).
 * @throws AcmeError unauthorized, malformed
 */
export async function verified(
  given: Envelope,
  { alg }: Header,
  key: KeyObject | Uint8Array,
): Promise<Members | undefined> {
  let payload: Uint8Array;
  try {
    ({ payload } = await flattenedVerify(given, key, { algorithms: [alg] }));
  } catch {
    throw new AcmeError('unauthorized', 'failed to verify signature');
  }
  if (payload.length === 0) return undefined;
  const members = objectOf(payload);
  if (members === undefined) throw malformed("'payload' is no JSON object in base64url");
  return members;
}

export const membersOf = (value: unknown): Members | undefined =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === null &&
  !Array.isArray(value)
    ? (value as Members)
    : undefined;

function decodedObject(text: string): Members | undefined {
  return /^[A-Za-z0-9_-]+$/.test(text) ? objectOf(Buffer.from(text, 'base64url')) : undefined;
}

function objectOf(bytes: Uint8Array): Members | undefined {
  const text = textOf(bytes);
  try {
    return text === undefined ? undefined : membersOf(parseJson(text, [], LIMITS));
  } catch {
    return undefined;
  }
}
