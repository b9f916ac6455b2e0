/**
 * Signed tokens (JWS compact, RFC 7515; claims, RFC 7519), read strictly and within bounds. What is read is not trusted:
 * `parseJws` only takes a token apart, `verifyJws` says whether one of the given keys signed it. Neither ever throws a
 * text that holds a part of the token.
 */

import { constants, createPublicKey, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { base64url, textOf, utf8 } from '../base/bytes.ts';
import { type Json, parseJson } from '../base/json.ts';

/** The longest token that is looked at, in characters. */
const TOKEN_LIMIT = 16 * 1024;

export type Claims = Readonly<Record<string, Json>>;

export interface Jws {
  readonly algorithm: string;
  readonly header: Claims;
  readonly claims: Claims;
  /** What the signature covers. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

interface Algorithm {
  /** null: the algorithm hashes by itself. */
  readonly hash: string | null;
  readonly keyType: 'rsa' | 'ec' | 'ed25519';
  readonly curve?: string;
  readonly pss?: true;
}

/** RFC 7518 section 3.1, the asymmetric ones. A symmetric one would let whoever knows the public key sign. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  RS256: { hash: 'sha256', keyType: 'rsa' },
  RS384: { hash: 'sha384', keyType: 'rsa' },
  RS512: { hash: 'sha512', keyType: 'rsa' },
  PS256: { hash: 'sha256', keyType: 'rsa', pss: true },
  PS384: { hash: 'sha384', keyType: 'rsa', pss: true },
  PS512: { hash: 'sha512', keyType: 'rsa', pss: true },
  ES256: { hash: 'sha256', keyType: 'ec', curve: 'prime256v1' },
  ES384: { hash: 'sha384', keyType: 'ec', curve: 'secp384r1' },
  ES512: { hash: 'sha512', keyType: 'ec', curve: 'secp521r1' },
  // RFC 8037, over Ed25519 alone.
  EdDSA: { hash: null, keyType: 'ed25519' },
};

/** The names of the algorithms that are taken, as the `alg` of a header spells them. */
export const SIGNATURE_ALGORITHMS: readonly string[] = Object.keys(ALGORITHMS);

const LIMITS = { depth: 16, count: 2000 };

/** The parts of a token, or why it is none. */
export function parseJws(token: string): Jws | { readonly reason: string } {
  if (token.length > TOKEN_LIMIT) return { reason: 'the token is too long' };
  const parts = token.split('.');
  const [head, body, tail] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || tail === undefined) {
    return { reason: 'the token has not three parts' };
  }
  const header = object(head);
  const claims = object(body);
  const signature = strictBase64url(tail);
  if (header === undefined) return { reason: 'the header is not a JSON object in base64url' };
  if (claims === undefined) return { reason: 'the claims are not a JSON object in base64url' };
  if (signature === undefined || signature.length === 0) return { reason: 'the token is not signed' };
  const algorithm = header.alg;
  if (typeof algorithm !== 'string' || !Object.hasOwn(ALGORITHMS, algorithm)) {
    return { reason: 'the signature algorithm is none that is taken' };
  }
  // RFC 7515 section 4.1.11: an extension that is not understood must lead to refusal; none is understood here.
  if (header.crit !== undefined) return { reason: 'the header names critical extensions' };
  return { algorithm, header, claims, signed: utf8(`${head}.${body}`), signature };
}

/** Whether one of these keys made the signature. A key of another type or curve than the algorithm's is passed over. */
export function verifyJws(jws: Jws, keys: readonly KeyObject[]): boolean {
  const algorithm = ALGORITHMS[jws.algorithm];
  if (algorithm === undefined) return false;
  return keys.some((key) => {
    if (key.asymmetricKeyType !== algorithm.keyType) return false;
    if (algorithm.curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== algorithm.curve)
      return false;
    const padding = algorithm.pss
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : {};
    // RFC 7518 section 3.4: R and S side by side, not DER.
    const encoding = algorithm.keyType === 'ec' ? { dsaEncoding: 'ieee-p1363' as const } : {};
    try {
      return verify(algorithm.hash, jws.signed, { key, ...padding, ...encoding }, jws.signature);
    } catch {
      return false;
    }
  });
}

/** The public key of a PEM block: a key or a certificate. Undefined for anything else, a private key among it. */
export function publicKeyOf(pem: string): KeyObject | undefined {
  if (pem.length > TOKEN_LIMIT || pem.includes('PRIVATE KEY')) return undefined;
  try {
    return pem.includes('BEGIN CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem);
  } catch {
    return undefined;
  }
}

function object(part: string): Claims | undefined {
  const bytes = strictBase64url(part);
  const text = bytes && textOf(bytes);
  if (text === undefined) return undefined;
  try {
    const value = parseJson(text, [], LIMITS);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Only the one canonical spelling is taken: two spellings of a token would be two keys in a cache and two lines in an audit. */
function strictBase64url(part: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(part)) return undefined;
  const bytes = Buffer.from(part, 'base64url');
  return base64url(bytes) === part ? bytes : undefined;
}
