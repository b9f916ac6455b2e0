/**
 * How key stores encrypt under a password: the schemes of PKCS #12 itself (RFC 7292 appendix C), which are old and weak and are read
 * alone, and PBES2 (RFC 8018), which is what is written.
 */

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';
import {
  children,
  contentOf,
  type Element,
  integer,
  nothing,
  octets,
  oid,
  readOid,
  sequence,
  TAG,
} from '../x509/der.ts';
import { derive, type Password, type Pay, PURPOSE, pbkdf2 } from './password.ts';
import { decryptRc2 } from './rc2.ts';

/** A scheme, or a part of one, that is not known here. The text names it. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported';
}

/** The bytes do not decrypt: the password is another one, or they were changed. */
export class WrongPassword extends Error {
  override readonly name = 'WrongPassword';
}

type Decipher = (key: Buffer, iv: Buffer, data: Uint8Array) => Buffer;

interface OldScheme {
  readonly keyBytes: number;
  readonly decipher: Decipher;
  /** Bytes that take as long as one iteration of a hash. */
  readonly speed: number;
}
/** What OpenSSL deciphers meanwhile, and what we do. */
const FAST = 1024;
const SLOW = 8;

/** All of 8-byte blocks. Padding is looked at by us, so that a wrong password is told as one. */
const byOpenssl =
  (cipher: string): Decipher =>
  (key, iv, data) => {
    const opening = createDecipheriv(cipher, key, iv).setAutoPadding(false);
    return Buffer.concat([opening.update(data), opening.final()]);
  };

const PKCS12_PBE = '1.2.840.113549.1.12.1';
const OLD_SCHEMES: Readonly<Record<string, OldScheme>> = {
  [`${PKCS12_PBE}.3`]: { keyBytes: 24, decipher: byOpenssl('des-ede3-cbc'), speed: FAST / 8 },
  [`${PKCS12_PBE}.4`]: { keyBytes: 16, decipher: byOpenssl('des-ede-cbc'), speed: FAST / 8 },
  [`${PKCS12_PBE}.5`]: { keyBytes: 16, decipher: decryptRc2, speed: SLOW },
  [`${PKCS12_PBE}.6`]: { keyBytes: 5, decipher: decryptRc2, speed: SLOW },
};

const PBES2 = '1.2.840.113549.1.5.13';
const PBKDF2 = '1.2.840.113549.1.5.12';
const AES = '2.16.840.1.101.3.4.1';
const CIPHERS: Readonly<
  Record<string, { readonly name: string; readonly keyBytes: number; readonly block: number }>
> = {
  [`${AES}.2`]: { name: 'aes-128-cbc', keyBytes: 16, block: 16 },
  [`${AES}.22`]: { name: 'aes-192-cbc', keyBytes: 24, block: 16 },
  [`${AES}.42`]: { name: 'aes-256-cbc', keyBytes: 32, block: 16 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24, block: 8 },
};

/** HMACs by their OIDs, as hashes of OpenSSL. */
const HMACS: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};
const HMAC_SHA256 = '1.2.840.113549.2.9';

/** The hash of an HMAC that an AlgorithmIdentifier names. @throws Unsupported */
export function hmacHash(algorithm: Element | undefined): string {
  const id = readOid(children(algorithm)[0]);
  const hash = own(HMACS, id);
  if (hash === undefined) throw new Unsupported(`the HMAC ${id} is not supported`);
  return hash;
}

/** A count that fits a double; more is no count. @throws Failure pki.malformed */
export function readCount(element: Element | undefined): number {
  const bytes = contentOf(element, TAG.integer);
  if (bytes.length === 0 || bytes.length > 6 || (bytes[0] ?? 0) >= 0x80) throw failure('pki.malformed');
  return bytes.readUIntBE(0, bytes.length);
}

/**
 * Decrypts what stands under an AlgorithmIdentifier.
 * @throws Unsupported, WrongPassword, Failure pki.malformed, and what `pay` throws
 */
export function decrypt(
  algorithm: Element | undefined,
  data: Uint8Array,
  password: Password,
  pay: Pay,
): Buffer {
  const [id, parameters] = children(algorithm);
  const name = readOid(id);
  if (name === PBES2) return decryptPbes2(parameters, data, password, pay);
  const scheme = own(OLD_SCHEMES, name);
  if (scheme === undefined) throw new Unsupported(`the encryption ${name} is not supported`);
  const [saltElement, count] = children(parameters);
  const salt = contentOf(saltElement, TAG.octets);
  const iterations = readCount(count);
  const key = derive('sha1', password, salt, iterations, PURPOSE.key, scheme.keyBytes, pay);
  const iv = derive('sha1', password, salt, iterations, PURPOSE.iv, 8, pay);
  pay(data.length / scheme.speed);
  return unpadded(data, 8, () => scheme.decipher(key, iv, data));
}

function decryptPbes2(
  parameters: Element | undefined,
  data: Uint8Array,
  password: Password,
  pay: Pay,
): Buffer {
  const [derivation, encryption] = children(parameters);
  const [cipherId, ivElement] = children(encryption);
  const cipherName = readOid(cipherId);
  const cipher = own(CIPHERS, cipherName);
  if (cipher === undefined) throw new Unsupported(`the cipher ${cipherName} is not supported`);
  const iv = contentOf(ivElement, TAG.octets);
  if (iv.length !== cipher.block) throw failure('pki.malformed');
  const key = derivedBy(derivation, cipher.keyBytes, password, pay);
  pay(data.length / FAST);
  return unpadded(data, cipher.block, () => byOpenssl(cipher.name)(key, iv, data));
}

/**
 * A key by the PBKDF2 that an AlgorithmIdentifier describes.
 * @param bytes undefined: as many as it says itself
 * @throws Unsupported, Failure pki.malformed, and what `pay` throws
 */
export function derivedBy(
  derivation: Element | undefined,
  bytes: number | undefined,
  password: Password,
  pay: Pay,
): Buffer {
  const [id, parameters] = children(derivation);
  const name = readOid(id);
  if (name !== PBKDF2) throw new Unsupported(`the key derivation ${name} is not supported`);
  const [salt, count, ...rest] = children(parameters);
  const length = rest[0]?.tag === TAG.integer ? rest.shift() : undefined;
  const hash = rest[0] === undefined ? 'sha1' : hmacHash(rest[0]);
  const wanted = bytes ?? (length === undefined ? 0 : readCount(length));
  if (wanted === 0 || wanted > LONGEST_KEY) throw failure('pki.malformed');
  const iterations = readCount(count);
  if (iterations === 0) throw failure('pki.malformed');
  return pbkdf2(hash, password, contentOf(salt, TAG.octets), iterations, wanted, pay);
}
const LONGEST_KEY = 128;

/** Without what fills up the last block (RFC 8018 section 6.1.1): as many bytes as each of them says. */
function unpadded(data: Uint8Array, block: number, decipher: () => Buffer): Buffer {
  if (data.length === 0 || data.length % block !== 0) throw failure('pki.malformed');
  const plain = decipher();
  const filling = plain.at(-1) ?? 0;
  if (filling === 0 || filling > block || plain.subarray(-filling).some((byte) => byte !== filling))
    throw new WrongPassword();
  return plain.subarray(0, plain.length - filling);
}

export interface Encrypted {
  /** AlgorithmIdentifier in DER. */
  readonly algorithm: Buffer;
  readonly data: Buffer;
}

/** What OpenSSL 3, Java and Go iterate; the standard of the field, though little: a key store stands and falls with its password. */
export const ITERATIONS = 2048;
export const SALT_BYTES = 16;

/** Encrypts with AES-256-CBC under a key from PBKDF2 with HMAC-SHA256. @param random so many random bytes */
export function encrypt(
  plain: Uint8Array,
  password: Password,
  random: (count: number) => Uint8Array,
  pay: Pay,
): Encrypted {
  const salt = random(SALT_BYTES);
  const iv = random(16);
  const key = pbkdf2('sha256', password, salt, ITERATIONS, 32, pay);
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  return {
    algorithm: sequence(
      oid(PBES2),
      sequence(
        sequence(
          oid(PBKDF2),
          sequence(octets(salt), integer(ITERATIONS), sequence(oid(HMAC_SHA256), nothing())),
        ),
        sequence(oid(`${AES}.42`), octets(iv)),
      ),
    ),
    data: Buffer.concat([cipher.update(plain), cipher.final()]),
  };
}
