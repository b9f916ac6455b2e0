/**
 * Writes key stores in PKCS #12 (RFC 7292): PBES2 with AES-256 and a MAC of SHA-256, which OpenSSL since 1.1.1, Java since 12 and Windows
 * since 2019 open. Random bytes are handed in, so that the same store can be written twice alike.
 */

import { createHash, createHmac } from 'node:crypto';
import { context, integer, nothing, octets, oid, sequence, setOf, tlv } from '../x509/der.ts';
import { encrypt, ITERATIONS, SALT_BYTES } from './encryption.ts';
import { derive, type Pay, PURPOSE, passwordOf } from './password.ts';

const DATA = '1.2.840.113549.1.7.1';
const ENCRYPTED_DATA = '1.2.840.113549.1.7.6';
const BAG = '1.2.840.113549.1.12.10.1';
const X509 = '1.2.840.113549.1.9.22.1';
const FRIENDLY_NAME = '1.2.840.113549.1.9.20';
const LOCAL_KEY_ID = '1.2.840.113549.1.9.21';
/** Java's mark of a certificate that is trusted, with the purposes that it is trusted for: any. */
const TRUSTED = '2.16.840.1.113894.746875.1.1';
const ANY_PURPOSE = '2.5.29.37.0';
const SHA256 = '2.16.840.1.101.3.4.2.1';
const BMP_STRING = 0x1e;

export interface Making {
  /** In UTF-8. */
  readonly password: Uint8Array;
  readonly random: (count: number) => Uint8Array;
  readonly pay: Pay;
}

/**
 * A store of a key, its certificate and those above it.
 * @param key PKCS #8 in DER
 * @param chain certificates in DER; the first is the key's own
 */
export function writeKeyStore(
  key: Uint8Array,
  chain: readonly [Uint8Array, ...Uint8Array[]],
  making: Making,
): Buffer {
  // What ties the key to its certificate; it protects nothing.
  const ties = attribute(LOCAL_KEY_ID, octets(createHash('sha1').update(chain[0]).digest()));
  const { algorithm, data } = encrypt(key, passwordOf(making.password), making.random, making.pay);
  const keyBag = bag(2, sequence(algorithm, octets(data)), ties);
  const certificates = chain.map((one, i) => bag(3, certificateBag(one), ...(i === 0 ? [ties] : [])));
  return store([encryptedBags(certificates, making), plainBags([keyBag])], making);
}

export interface Trusted {
  /** DER. */
  readonly certificate: Uint8Array;
  /** What Java calls the entry; two of one name are one entry there. */
  readonly name: string;
}

/** A store of certificates that Java takes for trusted. */
export function writeTrustStore(entries: readonly Trusted[], making: Making): Buffer {
  const bags = entries.map(({ certificate, name }) =>
    bag(
      3,
      certificateBag(certificate),
      attribute(TRUSTED, oid(ANY_PURPOSE)),
      attribute(FRIENDLY_NAME, tlv(BMP_STRING, Buffer.from(name, 'utf16le').swap16())),
    ),
  );
  return store([encryptedBags(bags, making)], making);
}

const attribute = (id: string, value: Buffer): Buffer => sequence(oid(id), setOf(value));
const bag = (arc: number, value: Buffer, ...attributes: readonly Buffer[]): Buffer =>
  sequence(
    oid(`${BAG}.${arc}`),
    context(0, value),
    ...(attributes.length === 0 ? [] : [setOf(...attributes)]),
  );
const certificateBag = (der: Uint8Array): Buffer => sequence(oid(X509), context(0, octets(der)));
const contentInfo = (type: string, content: Buffer): Buffer => sequence(oid(type), context(0, content));

const plainBags = (bags: readonly Buffer[]): Buffer => contentInfo(DATA, octets(sequence(...bags)));

function encryptedBags(bags: readonly Buffer[], { password, random, pay }: Making): Buffer {
  const { algorithm, data } = encrypt(sequence(...bags), passwordOf(password), random, pay);
  const content = sequence(oid(DATA), algorithm, tlv(0x80, data));
  return contentInfo(ENCRYPTED_DATA, sequence(integer(0), content));
}

function store(parts: readonly Buffer[], { password, random, pay }: Making): Buffer {
  const content = sequence(...parts);
  const salt = random(SALT_BYTES);
  const key = derive('sha256', passwordOf(password), salt, ITERATIONS, PURPOSE.mac, 32, pay);
  const mac = createHmac('sha256', key).update(content).digest();
  return sequence(
    integer(3),
    contentInfo(DATA, octets(content)),
    sequence(sequence(sequence(oid(SHA256), nothing()), octets(mac)), octets(salt), integer(ITERATIONS)),
  );
}
