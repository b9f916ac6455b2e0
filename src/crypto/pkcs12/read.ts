/**
 * Reads key stores in PKCS #12 (RFC 7292, PBMAC1 of RFC 9579), as OpenSSL, Java, Windows and Go write them. Nothing in one is believed
 * before its MAC is right, save the algorithms and counts that the MAC itself needs; those are paid for before they are spent.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';
import { children, contentOf, type Element, readOid, readOne, TAG } from '../x509/der.ts';
import { derOf } from './ber.ts';
import { decrypt, derivedBy, hmacHash, readCount, Unsupported, WrongPassword } from './encryption.ts';
import { derive, type Password, type Pay, PURPOSE, passwordOf } from './password.ts';

export { Unsupported, WrongPassword } from './encryption.ts';

export interface KeyStore {
  /** PKCS #8 in DER. */
  readonly keys: readonly Buffer[];
  /** DER, in the order of the store. */
  readonly certificates: readonly Buffer[];
}

/** More bags than any key store has. */
const MOST_BAGS = 1000;

const DATA = '1.2.840.113549.1.7.1';
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6';
const BAG = '1.2.840.113549.1.12.10.1';
const X509 = '1.2.840.113549.1.9.22.1';

/** Explicitly tagged with 0. */
const WRAPPED = 0xa0;

/**
 * Opens a key store.
 * @param bytes DER or BER
 * @param password its bytes, in UTF-8
 * @throws WrongPassword, Unsupported, Failure pki.malformed, and what `pay` throws
 */
export function readKeyStore(bytes: Uint8Array, password: Uint8Array, pay: Pay): KeyStore {
  const [version, authSafe, macData] = children(readOne(derOf(bytes)));
  if (readCount(version) !== 3) throw new Unsupported('it is no PKCS #12 of version 3');
  const [type, wrapped] = children(authSafe);
  if (readOid(type) !== DATA) throw new Unsupported('it is protected by a key, not by a password');
  const content = octetsIn(wrapped);
  const opening = authenticated(macData, content, passwordOf(password), pay);
  const keys: Buffer[] = [];
  const certificates: Buffer[] = [];
  let bags = 0;
  for (const info of children(readOne(derOf(content)))) {
    for (const bag of children(readOne(derOf(safeContents(info, opening, pay))))) {
      if (++bags > MOST_BAGS) throw failure('pki.malformed');
      const [id, value] = children(bag);
      const inner = value?.tag === WRAPPED ? readOne(value.content) : undefined;
      switch (readOid(id)) {
        case `${BAG}.1`:
          keys.push(inner?.whole ?? malformed());
          break;
        case `${BAG}.2`:
          keys.push(shrouded(inner, opening, pay));
          break;
        case `${BAG}.3`:
          certificates.push(certificateIn(inner));
          break;
        // Revocation lists, other secrets and bags of bags are nothing that was asked for.
      }
    }
  }
  return { keys, certificates };
}

const malformed = (): never => {
  throw failure('pki.malformed');
};

/** The octets that an explicit [0] holds. */
const octetsIn = (wrapped: Element | undefined): Buffer =>
  contentOf(readOne(contentOf(wrapped, WRAPPED)), TAG.octets);

/** The password in the form whose MAC is right: some write an empty one as no bytes at all. @throws WrongPassword */
function authenticated(
  macData: Element | undefined,
  content: Buffer,
  password: Password,
  pay: Pay,
): Password {
  const isEmpty = password.utf8.length === 0;
  if (macData === undefined) {
    if (!isEmpty) throw new Unsupported('it has no MAC, so that nothing says whether the password is right');
    return password;
  }
  if (hasMac(macData, content, password, pay)) return password;
  const none = { utf8: password.utf8, wide: Buffer.alloc(0) };
  if (isEmpty && hasMac(macData, content, none, pay)) return none;
  throw new WrongPassword();
}

const PBMAC1 = '1.2.840.113549.1.5.14';
const DIGESTS: Readonly<Record<string, { readonly hash: string; readonly bytes: number }>> = {
  '1.3.14.3.2.26': { hash: 'sha1', bytes: 20 },
  '2.16.840.1.101.3.4.2.4': { hash: 'sha224', bytes: 28 },
  '2.16.840.1.101.3.4.2.1': { hash: 'sha256', bytes: 32 },
  '2.16.840.1.101.3.4.2.2': { hash: 'sha384', bytes: 48 },
  '2.16.840.1.101.3.4.2.3': { hash: 'sha512', bytes: 64 },
};

function hasMac(macData: Element, content: Buffer, password: Password, pay: Pay): boolean {
  const [digestInfo, saltElement, count] = children(macData);
  const [algorithm, digest] = children(digestInfo);
  const [id, parameters] = children(algorithm);
  const name = readOid(id);
  let mac: Buffer;
  if (name === PBMAC1) {
    const [derivation, hmac] = children(parameters);
    const hash = hmacHash(hmac);
    mac = createHmac(hash, derivedBy(derivation, undefined, password, pay))
      .update(content)
      .digest();
  } else {
    const known = own(DIGESTS, name);
    if (known === undefined) throw new Unsupported(`the MAC ${name} is not supported`);
    const salt = contentOf(saltElement, TAG.octets);
    const iterations = count === undefined ? 1 : readCount(count);
    const key = derive(known.hash, password, salt, iterations, PURPOSE.mac, known.bytes, pay);
    mac = createHmac(known.hash, key).update(content).digest();
  }
  const given = contentOf(digest, TAG.octets);
  return given.length === mac.length && timingSafeEqual(given, mac);
}

/** The bags of one part of the store, opened. */
function safeContents(info: Element, password: Password, pay: Pay): Buffer {
  const [type, wrapped] = children(info);
  const name = readOid(type);
  if (name === DATA) return octetsIn(wrapped);
  if (name !== ENCRYPTED_DATA)
    throw new Unsupported('a part of it is encrypted under a key, not under a password');
  const [, encrypted] = children(readOne(contentOf(wrapped, WRAPPED)));
  const [, algorithm, content] = children(encrypted);
  return decrypt(algorithm, implicitOctets(content), password, pay);
}

/** An octet string under an implicit [0], whole or, as BER allows, in pieces. */
function implicitOctets(element: Element | undefined): Buffer {
  if (element?.tag !== WRAPPED) return contentOf(element, 0x80);
  return Buffer.concat(children(element, WRAPPED).map((piece) => contentOf(piece, TAG.octets)));
}

function shrouded(bag: Element | undefined, password: Password, pay: Pay): Buffer {
  const [algorithm, data] = children(bag);
  return derOf(decrypt(algorithm, contentOf(data, TAG.octets), password, pay));
}

function certificateIn(bag: Element | undefined): Buffer {
  const [type, wrapped] = children(bag);
  if (readOid(type) !== X509) throw new Unsupported('a certificate in it is not of X.509');
  return octetsIn(wrapped);
}
