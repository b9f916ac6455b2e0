/** The extensions of certificates, requests and revocation lists (RFC 5280 sections 4.2 and 5.2). Pure. */

import { createHash } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import {
  boolean,
  children,
  context,
  type Element,
  implicit,
  integer,
  isOid,
  namedBits,
  octets,
  oid,
  readBits,
  readOid,
  readOne,
  sequence,
  TAG,
} from './der.ts';
import { encodeNames, type Names } from './name.ts';

export const EXT = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  names: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  deltaCrl: '2.5.29.27',
  nameConstraints: '2.5.29.30',
  crlPoints: '2.5.29.31',
  policies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  authorityInfo: '1.3.6.1.5.5.7.1.1',
} as const;

/** Key usages by the names of the API, in the order of their bits. */
export const KEY_USAGES = [
  'DigitalSignature',
  'ContentCommitment',
  'KeyEncipherment',
  'DataEncipherment',
  'KeyAgreement',
  'CertSign',
  'CRLSign',
  'EncipherOnly',
  'DecipherOnly',
] as const;

/** Bits of the usages that are named; a "KeyUsage" prefix is allowed, case does not matter, unknown names count for nothing. */
export function keyUsageBits(names: readonly string[]): number[] {
  const wanted = new Set(
    names.map((name) =>
      name
        .trim()
        .toLowerCase()
        .replace(/^keyusage/, ''),
    ),
  );
  return KEY_USAGES.flatMap((name, bit) => (wanted.has(name.toLowerCase()) ? [bit] : []));
}

const PKIX = '1.3.6.1.5.5.7.3';
const EXT_KEY_USAGES: Readonly<Record<string, string>> = {
  any: '2.5.29.37.0',
  serverauth: `${PKIX}.1`,
  clientauth: `${PKIX}.2`,
  codesigning: `${PKIX}.3`,
  emailprotection: `${PKIX}.4`,
  ipsecendsystem: `${PKIX}.5`,
  ipsectunnel: `${PKIX}.6`,
  ipsecuser: `${PKIX}.7`,
  timestamping: `${PKIX}.8`,
  ocspsigning: `${PKIX}.9`,
  microsoftservergatedcrypto: '1.3.6.1.4.1.311.10.3.3',
  netscapeservergatedcrypto: '2.16.840.1.113730.4.1',
};

/** OID of an extended key usage by its name in the API, or undefined. */
export const extKeyUsageOid = (name: string): string | undefined =>
  EXT_KEY_USAGES[
    name
      .trim()
      .toLowerCase()
      .replace(/^extkeyusage/, '')
  ];

const extension = (id: string, critical: boolean, value: Uint8Array): Buffer =>
  critical ? sequence(oid(id), boolean(true), octets(value)) : sequence(oid(id), octets(value));

/** @param pathLength -1: none */
export const basicConstraints = (ca: boolean, pathLength = -1): Buffer =>
  extension(
    EXT.basicConstraints,
    true,
    sequence(...(ca ? [boolean(true)] : []), ...(ca && pathLength >= 0 ? [integer(pathLength)] : [])),
  );

export const keyUsage = (bits: readonly number[]): Buffer => extension(EXT.keyUsage, true, namedBits(bits));

export const extKeyUsage = (oids: readonly string[]): Buffer =>
  extension(EXT.extKeyUsage, false, sequence(...oids.map(oid)));

/** Critical where the subject is empty (RFC 5280 section 4.2.1.6). */
export const alternativeNames = (names: Names, critical: boolean): Buffer =>
  extension(EXT.names, critical, encodeNames(names));

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 over the key's bits. It names a key and protects nothing. */
export function keyIdOf(spki: Uint8Array): Buffer {
  const [, bits] = children(readOne(spki));
  return createHash('sha1').update(readBits(bits)).digest();
}

export const subjectKeyId = (id: Uint8Array): Buffer => extension(EXT.subjectKeyId, false, octets(id));
export const authorityKeyId = (id: Uint8Array): Buffer =>
  extension(EXT.authorityKeyId, false, sequence(implicit(0, id)));

const uri = (text: string): Buffer => implicit(6, Buffer.from(text, 'latin1'));

export function authorityInfo(ocsp: readonly string[], issuers: readonly string[]): Buffer {
  const access = (arc: number, at: string): Buffer => sequence(oid(`1.3.6.1.5.5.7.48.${arc}`), uri(at));
  return extension(
    EXT.authorityInfo,
    false,
    sequence(...ocsp.map((at) => access(1, at)), ...issuers.map((at) => access(2, at))),
  );
}

/** Where revocation lists lie: all of them (`crlPoints`) or what changed since (`freshestCrl`). */
export const crlPoints = (id: typeof EXT.crlPoints | typeof EXT.freshestCrl, at: readonly string[]): Buffer =>
  extension(id, false, sequence(...at.map((url) => sequence(context(0, context(0, uri(url)))))));

export const policies = (oids: readonly string[]): Buffer =>
  extension(EXT.policies, false, sequence(...oids.filter(isOid).map((id) => sequence(oid(id)))));

export const crlNumber = (number: number): Buffer => extension(EXT.crlNumber, false, integer(number));
/** @param base number of the whole list that this one adds to */
export const deltaCrl = (base: number): Buffer => extension(EXT.deltaCrl, true, integer(base));

/** The extensions of an `Extensions` element, by OID. A second one of the same kind makes it malformed. */
export function readExtensions(list: Element | undefined): Map<string, Extension> {
  const found = new Map<string, Extension>();
  if (list === undefined) return found;
  for (const one of children(list)) {
    const [id, ...rest] = children(one);
    const value = rest.at(-1);
    const key = id === undefined ? '' : readOid(id);
    if (value?.tag !== TAG.octets || found.has(key)) throw failure('pki.malformed');
    found.set(key, { critical: rest.length === 2 && rest[0]?.content[0] === 0xff, value: value.content });
  }
  return found;
}

export interface Extension {
  readonly critical: boolean;
  /** DER. */
  readonly value: Buffer;
}

export const extensionOf = (id: string, { critical, value }: Extension): Buffer =>
  extension(id, critical, value);
