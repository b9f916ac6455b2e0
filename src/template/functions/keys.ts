/**
 * Private keys: made, read from PEM and JWK, and decrypted with. Keys are made from the caller's random bytes, so the same rendering gives
 * the same key. What OpenSSL says about a key that it cannot read is replaced: it could quote the key.
 */

import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { dsaFrom, ed25519From, p256From, rsaFrom } from '../../crypto/derived.ts';
import { toBytes as bytesOf } from '../../crypto/number.ts';
import { integer, sequence } from '../../crypto/x509/der.ts';
import { nextBlock, pemText } from '../pem.ts';
import { toBytes, toText } from '../text.ts';
import { type Call, CallError, fn, type Table } from './table.ts';

/** What making a key costs on average, in the unit of `Fuel.cost`; a prime is a matter of luck, some take three times as long. */
const COST = { rsa2048: 1024, rsa4096: 8192, dsa: 4096, curve: 32 };
const SEED_BYTES = 32;

/** A key made from random bytes of the caller, or the one that was made from the same bytes before. */
function made(call: Call, kind: string, cost: number, make: (seed: Uint8Array) => KeyObject): KeyObject {
  call.meter.spend(cost);
  const seed = call.random(SEED_BYTES);
  if (call.keys === undefined) return make(seed);
  return call.keys.of(`${kind}:${createHash('sha256').update(seed).digest('hex')}`, () => make(seed));
}

/** An RSA key of 2048 bits, which is what certificates are made for unless a key is given. */
export const newRsaKey = (call: Call): KeyObject =>
  made(call, 'rsa2048', COST.rsa2048, (seed) => rsaFrom(seed, 2048));

/** A private key in the form that Sprig gives it: PKCS #1 for RSA, SEC 1 for curves, else PKCS #8. */
export function privatePem(key: KeyObject): string {
  const type = key.asymmetricKeyType;
  return key.export({
    type: type === 'rsa' ? 'pkcs1' : type === 'ec' ? 'sec1' : 'pkcs8',
    format: 'pem',
  }) as string;
}

function newKey(call: Call, kind: string): string {
  switch (kind) {
    case '':
    case 'rsa':
      return privatePem(made(call, 'rsa4096', COST.rsa4096, (seed) => rsaFrom(seed, 4096)));
    case 'ecdsa':
      return privatePem(made(call, 'ecdsa', COST.curve, p256From));
    case 'ed25519':
      return privatePem(made(call, 'ed25519', COST.curve, ed25519From));
    case 'dsa': {
      call.meter.spend(COST.dsa);
      const numbers = dsaFrom(call.random(SEED_BYTES)).map((number) => integer(bytesOf(number, 256)));
      return pemText('DSA PRIVATE KEY', sequence(integer(0), ...numbers));
    }
    default:
      throw new CallError('unknown type of key: rsa, ecdsa, ed25519 and dsa are known');
  }
}

const FORMS = ['pkcs1', 'pkcs8', 'sec1'] as const;

/** The key in the DER of any form, or undefined. */
export function privateKeyOf(
  der: Uint8Array,
  forms: readonly (typeof FORMS)[number][] = FORMS,
): KeyObject | undefined {
  for (const type of forms) {
    try {
      return createPrivateKey({ key: Buffer.from(der), format: 'der', type });
    } catch {
      // The next form.
    }
  }
  return undefined;
}

/** The key of the first PEM block, whatever the block calls itself. @throws CallError */
export function firstKey(pem: string): KeyObject {
  const found = nextBlock(pem);
  if (found === undefined) throw new CallError('failed to decode PEM block');
  return privateKeyOf(found.block.bytes) ?? unreadable();
}

const unreadable = (): never => {
  throw new CallError('unable to parse private key type');
};

const KINDS = { 'PRIVATE KEY': 'pkcs8', 'RSA PRIVATE KEY': 'pkcs1', 'EC PRIVATE KEY': 'sec1' } as const;

/** The key of the first PEM block, of the form that the block names, as Sprig wants it. @throws CallError */
export function namedKey(pem: string): KeyObject {
  const block = nextBlock(pem)?.block;
  if (block === undefined) throw new CallError('no PEM data in input');
  const form = Object.hasOwn(KINDS, block.type) ? KINDS[block.type as keyof typeof KINDS] : undefined;
  if (form === undefined)
    throw new CallError('no private key of RSA, of a curve or in PKCS #8 in the PEM block');
  return privateKeyOf(block.bytes, [form]) ?? unreadable();
}

/** Pays for one operation with a private key: for RSA it grows with the third power of its length. */
export function payForKey(call: Call, key: KeyObject): void {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 2048;
  call.meter.spend(32 * Math.ceil((bits / 2048) ** 3));
}

// JWK (RFC 7517).

const ASYMMETRIC = ['RSA', 'EC', 'OKP'];

function jwkOf(text: string): JsonWebKey {
  let value: unknown;
  try {
    value = JSON.parse(toText(text));
  } catch {
    throw new CallError('the JWK is not JSON');
  }
  if (typeof value !== 'object' || value === null || !('kty' in value))
    throw new CallError('the JWK has no kty');
  if (!ASYMMETRIC.includes(String(value.kty)))
    throw new CallError('the kty of the JWK is not RSA, EC or OKP');
  return value as JsonWebKey;
}

function keyOfJwk(text: string, read: (key: JsonWebKey) => KeyObject): KeyObject {
  const jwk = jwkOf(text);
  try {
    return read(jwk);
  } catch {
    throw new CallError('the JWK is not a key that can be read');
  }
}

const HASHES: Readonly<Record<string, string>> = { SHA1: 'sha1', SHA512: 'sha512' };

export const keys: Table = {
  genPrivateKey: fn('string', newKey),
  jwkPublicKeyPem: fn('string', (_, text) => {
    const key = keyOfJwk(text, (jwk) => createPublicKey({ key: jwk, format: 'jwk' }));
    return key.export({ type: 'spki', format: 'pem' }) as string;
  }),
  jwkPrivateKeyPem: fn('string', (_, text) => {
    const key = keyOfJwk(text, (jwk) => createPrivateKey({ key: jwk, format: 'jwk' }));
    return key.export({ type: 'pkcs8', format: 'pem' }) as string;
  }),
  rsaDecrypt: fn('string, string, string, string', (call, scheme, hash, data, pem) => {
    if (scheme === 'None') return data;
    if (scheme !== 'RSA-OAEP')
      throw new CallError('the decryption scheme is not supported: RSA-OAEP and None are');
    const key = firstKey(pem);
    if (key.asymmetricKeyType !== 'rsa') throw new CallError('could not parse RSA private key');
    payForKey(call, key);
    const oaepHash = HASHES[hash] ?? 'sha256';
    try {
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      return privateDecrypt({ key, padding, oaepHash }, toBytes(data)).toString('latin1');
    } catch {
      throw new CallError('error decrypting data with RSA');
    }
  }),
};
