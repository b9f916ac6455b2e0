/** Distinguished names and general names (RFC 5280 sections 4.1.2.4 and 4.2.1.6), written and read. Pure. */

import { addressBytes } from '../../base/cidr.ts';
import { failure } from '../../base/errors.ts';
import {
  children,
  context,
  type Element,
  implicit,
  oid,
  readAll,
  readOid,
  readOne,
  readText,
  sequence,
  setOf,
  TAG,
  textString,
  utf8String,
} from './der.ts';

/** A subject. The order of the attributes is the one in which they are written. */
export interface Subject {
  readonly country: readonly string[];
  readonly organization: readonly string[];
  readonly ou: readonly string[];
  readonly locality: readonly string[];
  readonly province: readonly string[];
  readonly streetAddress: readonly string[];
  readonly postalCode: readonly string[];
  readonly commonName: readonly string[];
  readonly serialNumber: readonly string[];
  readonly userIds: readonly string[];
}

export const NO_SUBJECT: Subject = {
  country: [],
  organization: [],
  ou: [],
  locality: [],
  province: [],
  streetAddress: [],
  postalCode: [],
  commonName: [],
  serialNumber: [],
  userIds: [],
};

const ATTRIBUTES: Readonly<Record<keyof Subject, string>> = {
  country: '2.5.4.6',
  organization: '2.5.4.10',
  ou: '2.5.4.11',
  locality: '2.5.4.7',
  province: '2.5.4.8',
  streetAddress: '2.5.4.9',
  postalCode: '2.5.4.17',
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  userIds: '0.9.2342.19200300.100.1.1',
};

/** The name in DER; the values of one attribute share one relative name, as Go writes them. */
export function encodeName(subject: Subject): Buffer {
  const parts: Buffer[] = [];
  for (const [field, id] of Object.entries(ATTRIBUTES) as [keyof Subject, string][]) {
    const values = subject[field];
    if (values.length > 0) parts.push(setOf(...values.map((value) => sequence(oid(id), textString(value)))));
  }
  return sequence(...parts);
}

/** The attributes that are known here; others are left out. @throws Failure pki.malformed */
export function readName(der: Uint8Array): Subject {
  const found: Record<keyof Subject, string[]> = Object.fromEntries(
    Object.keys(ATTRIBUTES).map((field) => [field, []]),
  ) as unknown as Record<keyof Subject, string[]>;
  for (const relative of children(readOne(der))) {
    for (const pair of children(relative, TAG.set)) {
      const [type, value] = children(pair);
      const id = readOid(type);
      const field = Object.entries(ATTRIBUTES).find(([, known]) => known === id)?.[0];
      if (field !== undefined && value !== undefined) found[field as keyof Subject].push(readText(value));
    }
  }
  return found;
}

/** As RFC 2253 writes names: the last attribute first. For people to read; nothing is decided by it. */
export function nameText(subject: Subject): string {
  const parts = (Object.keys(SHORT) as (keyof Subject)[]).flatMap((field) => {
    const values = subject[field].map((value) => `${SHORT[field]}=${value.replace(/[,+"\\<>;]/g, '\\$&')}`);
    return values.length === 0 ? [] : [values.join('+')];
  });
  return parts.reverse().join(',');
}
const SHORT: Readonly<Record<keyof Subject, string>> = {
  country: 'C',
  organization: 'O',
  ou: 'OU',
  locality: 'L',
  province: 'ST',
  streetAddress: 'STREET',
  postalCode: 'POSTALCODE',
  commonName: 'CN',
  serialNumber: 'SERIALNUMBER',
  userIds: 'UID',
};

export interface OtherName {
  readonly oid: string;
  readonly value: string;
}

/** What a subject alternative name may hold. Addresses as text. */
export interface Names {
  readonly dns: readonly string[];
  readonly emails: readonly string[];
  readonly ips: readonly string[];
  readonly uris: readonly string[];
  readonly others: readonly OtherName[];
}

export const NO_NAMES: Names = { dns: [], emails: [], ips: [], uris: [], others: [] };

export const isEmpty = (names: Names): boolean => Object.values(names).every((list) => list.length === 0);

/** GeneralNames in DER. */
export function encodeNames(names: Names): Buffer {
  return sequence(
    ...names.others.map((other) => context(0, oid(other.oid), context(0, utf8String(other.value)))),
    ...names.emails.map((email) => implicit(1, Buffer.from(email, 'latin1'))),
    ...names.dns.map((name) => implicit(2, Buffer.from(name, 'latin1'))),
    ...names.uris.map((uri) => implicit(6, Buffer.from(uri, 'latin1'))),
    ...names.ips.map((ip) => implicit(7, ipBytes(ip))),
  );
}

/** Four or sixteen bytes. @throws Failure pki.request */
export function ipBytes(text: string): Buffer {
  const bytes = addressBytes(text);
  if (bytes === undefined || text.includes('%'))
    throw failure('pki.request', { reason: 'the value is not a valid IP address' });
  return Buffer.from(bytes);
}

export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return [...bytes].join('.');
  if (bytes.length !== 16) throw failure('pki.malformed');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Names of kinds that are not known here (directory names and the like) are refused: they would be dropped unseen. */
export function readNames(der: Uint8Array): Names {
  const dns: string[] = [];
  const emails: string[] = [];
  const ips: string[] = [];
  const uris: string[] = [];
  const others: OtherName[] = [];
  for (const { tag, content } of children(readOne(der))) {
    const text = content.toString('latin1');
    if (tag === 0x82) dns.push(text);
    else if (tag === 0x81) emails.push(text);
    else if (tag === 0x86) uris.push(text);
    else if (tag === 0x87) ips.push(ipText(content));
    else if (tag === 0xa0) others.push(otherName(readAll(content)));
    else throw failure('pki.request', { reason: 'a subject alternative name is of an unknown kind' });
  }
  return { dns, emails, ips, uris, others };
}

function otherName([type, value]: Element[]): OtherName {
  const [text] = value === undefined ? [] : children(value, 0xa0);
  if (text?.tag !== TAG.utf8) throw failure('pki.request', { reason: 'an other name must hold UTF-8 text' });
  return { oid: readOid(type), value: readText(text) };
}
