/** Keys and certificates as they are pushed: what a value is, and whether a vault has it already. Pure. */

import { createPrivateKey, type JsonWebKey as NodeJwk, X509Certificate } from 'node:crypto';
import type { JsonWebKey } from '@azure/keyvault-keys';
import { textOf } from '../../base/bytes.ts';
import { readKeyStore } from '../../crypto/pkcs12/read.ts';
import { NotWritable } from '../../provider/document.ts';

/** What a key store may have us derive: a hostile one says by itself how often to iterate. */
const MOST_ITERATIONS = 5_000_000;

export interface Certificate {
  /** What is imported: a key store, DER, or PEM whose private key is PKCS #8, as Azure wants it. */
  readonly bytes: Uint8Array;
  readonly isPem: boolean;
  /** The certificate itself, DER. */
  readonly cer: Uint8Array;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** @throws NotWritable for what is none */
export function certificateOf(bytes: Uint8Array): Certificate {
  const text = textOf(bytes);
  const found = text?.includes('-----BEGIN') === true ? pemCertificate(text) : binaryCertificate(bytes);
  if (found !== undefined) return found;
  throw new NotWritable('could not parse certificate value as PKCS#12, DER or PEM');
}

function pemCertificate(text: string): Certificate | undefined {
  try {
    const blocks = [...text.matchAll(BLOCK)].map(([block, name = '']) =>
      name.endsWith('PRIVATE KEY')
        ? createPrivateKey(block).export({ type: 'pkcs8', format: 'pem' }).toString().trim()
        : block,
    );
    const first = blocks.find((block) => block.startsWith('-----BEGIN CERTIFICATE-----')) ?? '';
    return { bytes: Buffer.from(`${blocks.join('\n')}\n`), isPem: true, cer: new X509Certificate(first).raw };
  } catch {
    return undefined;
  }
}

function binaryCertificate(bytes: Uint8Array): Certificate | undefined {
  try {
    return { bytes, isPem: false, cer: new X509Certificate(bytes).raw };
  } catch {
    // A key store, or nothing.
  }
  try {
    let left = MOST_ITERATIONS;
    const { keys, certificates } = readKeyStore(bytes, new Uint8Array(0), (iterations) => {
      left -= iterations;
      if (left < 0) throw new NotWritable('its key store takes too long to open');
    });
    const [der] = keys;
    const key = der && createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const all = certificates.map((one) => new X509Certificate(one));
    const own = all.find((one) => key !== undefined && one.checkPrivateKey(key)) ?? all[0];
    return own && { bytes, isPem: false, cer: own.raw };
  } catch (error) {
    if (error instanceof NotWritable) throw error;
    return undefined;
  }
}

/** A private key in PEM, or else a symmetric one, as upstream reads it. @throws NotWritable */
export function keyOf(bytes: Uint8Array): JsonWebKey {
  const text = textOf(bytes);
  if (text?.includes('-----BEGIN') !== true) return { kty: 'oct', k: bytes };
  let jwk: NodeJwk;
  try {
    jwk = createPrivateKey(text).export({ format: 'jwk' });
  } catch {
    throw new NotWritable('it is no private key in PEM, or one with a password');
  }
  const { kty } = jwk;
  if (kty !== 'RSA' && kty !== 'EC')
    throw new NotWritable('Key Vault takes keys of RSA and of elliptic curves');
  const numbers = (['n', 'e', 'd', 'dp', 'dq', 'qi', 'p', 'q', 'x', 'y'] as const).flatMap((name) => {
    const value = jwk[name];
    return typeof value === 'string' ? [[name, Buffer.from(value, 'base64url')] as const] : [];
  });
  // Azure's own name of that curve.
  const crv = jwk.crv === 'secp256k1' ? 'P-256K' : jwk.crv;
  return { kty, ...Object.fromEntries(numbers), ...(crv === undefined ? {} : { crv }) };
}

/** Whether both are the same key, by their public halves. A symmetric key shows nothing of itself. */
export function isSameKey(a: JsonWebKey, b: JsonWebKey): boolean {
  const same = (name: 'n' | 'e' | 'x' | 'y') => {
    const [one, other] = [a[name], b[name]];
    return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
  };
  const kind = ({ kty = '' }: JsonWebKey) => kty.replace(/-HSM$/, '');
  if (kind(a) !== kind(b)) return false;
  return kind(a) === 'RSA' ? same('n') && same('e') : a.crv === b.crv && same('x') && same('y');
}
