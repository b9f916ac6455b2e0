/** Key pairs of the types that certificates may have, and the signatures made with them. Bits and hashes are decided here alone. */

import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { failure } from '../../base/errors.ts';
import { children, context, type Element, integer, nothing, oid, readOid, sequence } from './der.ts';

export type KeyType = 'rsa' | 'ec' | 'ed25519';
export interface KeyKind {
  readonly type: KeyType;
  /** 0 for Ed25519. */
  readonly bits: number;
}

const CURVES: Readonly<Record<number, string>> = {
  224: 'secp224r1',
  256: 'prime256v1',
  384: 'secp384r1',
  521: 'secp521r1',
};
const RSA_BITS = [2048, 3072, 4096, 8192];

const HASHES: Readonly<
  Record<number, { readonly name: string; readonly oid: string; readonly arc: number }>
> = {
  256: { name: 'sha256', oid: '2.16.840.1.101.3.4.2.1', arc: 11 },
  384: { name: 'sha384', oid: '2.16.840.1.101.3.4.2.2', arc: 12 },
  512: { name: 'sha512', oid: '2.16.840.1.101.3.4.2.3', arc: 13 },
};
const RSA = '1.2.840.113549.1.1';
const PSS = `${RSA}.10`;
const MGF1 = `${RSA}.8`;
const ECDSA = '1.2.840.10045.4.3';
const ED25519 = '1.3.101.112';
const ECDSA_ARCS: Readonly<Record<number, number>> = { 256: 2, 384: 3, 512: 4 };

const refused = (reason: string) => failure('pki.request', { reason });

/** The kind that was asked for; 0 bits are the type's default. @throws Failure pki.request */
export function keyKind(type: string, bits: number): KeyKind {
  if (type === 'ed25519') return { type, bits: 0 };
  if (type === 'rsa') {
    const chosen = bits === 0 ? 2048 : bits;
    if (!RSA_BITS.includes(chosen)) throw refused(`invalid key_bits for RSA key type: ${bits}`);
    return { type, bits: chosen };
  }
  if (type === 'ec') {
    const chosen = bits === 0 ? 256 : bits;
    if (CURVES[chosen] === undefined) throw refused(`invalid key_bits for EC key type: ${bits}`);
    return { type, bits: chosen };
  }
  throw refused(`unknown key type ${type.replace(/[^\w-]/g, '?').slice(0, 40)}`);
}

/** A new private key, made off the main thread. */
export function makeKey({ type, bits }: KeyKind): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _public: KeyObject, made: KeyObject): void =>
      error === null ? resolve(made) : reject(error);
    if (type === 'rsa') generateKeyPair('rsa', { modulusLength: bits }, done);
    else if (type === 'ec') generateKeyPair('ec', { namedCurve: CURVES[bits] ?? '' }, done);
    else generateKeyPair('ed25519', {}, done);
  });
}

/** Of what kind a key is, or undefined where it is none that is used here. */
export function kindOf(key: KeyObject): KeyKind | undefined {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa') return { type: 'rsa', bits: details?.modulusLength ?? 0 };
  if (key.asymmetricKeyType === 'ed25519') return { type: 'ed25519', bits: 0 };
  const [bits] = Object.entries(CURVES).find(([, curve]) => curve === details?.namedCurve) ?? [];
  return key.asymmetricKeyType === 'ec' && bits !== undefined
    ? { type: 'ec', bits: Number(bits) }
    : undefined;
}

/** SubjectPublicKeyInfo in DER, of a private or a public key. */
export const spkiOf = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });

/** @throws Failure pki.malformed */
export function publicKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
  } catch {
    throw failure('pki.malformed');
  }
}

/** The private key of a PEM text, or undefined. */
export function privateKeyOfPem(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** PEM as the API gives it: the type's own form, or PKCS #8. Without a newline at the end. */
export function privatePem(key: KeyObject, format: string): string {
  const type = format === 'pkcs8' || key.asymmetricKeyType === 'ed25519' ? 'pkcs8' : ownForm(key);
  return key.export({ type, format: 'pem' }).toString().trimEnd();
}
export function privateDer(key: KeyObject, format: string): Buffer {
  const type = format === 'pkcs8' || key.asymmetricKeyType === 'ed25519' ? 'pkcs8' : ownForm(key);
  return key.export({ type, format: 'der' });
}
const ownForm = (key: KeyObject): 'pkcs1' | 'sec1' => (key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1');

export interface Signer {
  /** AlgorithmIdentifier in DER. */
  readonly algorithm: Buffer;
  sign(data: Uint8Array): Buffer;
}

/**
 * How a key signs. The hash of an elliptic curve follows the curve, whatever was asked for: Mozilla's root store policy 5.1.2.
 * @param bits of the hash; 0: the key's default
 */
export function signerOf(key: KeyObject, bits = 0, pss = false): Signer {
  const kind = kindOf(key);
  if (kind === undefined) throw refused('the key of this issuer is of a type that does not sign here');
  if (kind.type === 'ed25519') {
    return { algorithm: sequence(oid(ED25519)), sign: (data) => sign(null, data, key) };
  }
  if (kind.type === 'ec') {
    const size = kind.bits <= 256 ? 256 : kind.bits === 384 ? 384 : 512;
    return {
      algorithm: sequence(oid(`${ECDSA}.${ECDSA_ARCS[size]}`)),
      sign: (data) => sign(`sha${size}`, data, key),
    };
  }
  const hash = HASHES[bits === 0 ? 256 : bits];
  if (hash === undefined) throw refused(`invalid signature_bits: ${bits}`);
  if (!pss)
    return {
      algorithm: sequence(oid(`${RSA}.${hash.arc}`), nothing()),
      sign: (data) => sign(hash.name, data, key),
    };
  const size = bits === 0 ? 256 : bits;
  const saltLength = size / 8;
  return {
    algorithm: pssAlgorithm(size),
    sign: (data) => sign(hash.name, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }),
  };
}

/** Whether the signature is this key's. SHA-1 and older prove nothing. @param algorithm AlgorithmIdentifier */
export function isSignedBy(
  key: KeyObject,
  algorithm: Element,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const name = readOid(children(algorithm)[0]);
  try {
    if (name === ED25519) return key.asymmetricKeyType === 'ed25519' && verify(null, data, key, signature);
    for (const [bits, hash] of Object.entries(HASHES)) {
      if (name === `${RSA}.${hash.arc}` && key.asymmetricKeyType === 'rsa')
        return verify(hash.name, data, key, signature);
      if (name === `${ECDSA}.${ECDSA_ARCS[Number(bits)]}` && key.asymmetricKeyType === 'ec')
        return verify(hash.name, data, key, signature);
      if (name !== PSS || key.asymmetricKeyType !== 'rsa') continue;
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      if (algorithm.whole.equals(pssAlgorithm(Number(bits))))
        return verify(hash.name, data, { key, padding, saltLength: Number(bits) / 8 }, signature);
    }
    return false;
  } catch {
    return false;
  }
}

function pssAlgorithm(bits: number): Buffer {
  const hashId = sequence(oid(HASHES[bits]?.oid ?? ''), nothing());
  const mask = sequence(oid(MGF1), hashId);
  return sequence(oid(PSS), sequence(context(0, hashId), context(1, mask), context(2, integer(bits / 8))));
}
