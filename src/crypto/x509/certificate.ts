/** Certificates and certificate requests (RFC 5280, RFC 2986): made and taken apart. Who may have which is decided elsewhere. */

import { type KeyObject, X509Certificate } from 'node:crypto';
import { failure } from '../../base/errors.ts';
import {
  bitString,
  children,
  contentOf,
  context,
  type Element,
  integer,
  oid,
  readAll,
  readBits,
  readNamedBits,
  readOid,
  readOne,
  readTime,
  sequence,
  setOf,
  TAG,
  time,
} from './der.ts';
import { EXT, type Extension, readExtensions } from './extensions.ts';
import { isSignedBy, publicKey, type Signer, spkiOf } from './keytype.ts';
import { type Names, NO_NAMES, readName, readNames, type Subject } from './name.ts';

export interface Certificate {
  readonly der: Buffer;
  /** Hexadecimal pairs with colons: "0a:1b". */
  readonly serial: string;
  /** Names in DER. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly spki: Buffer;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly isCa: boolean;
  /** -1: as many as one likes. */
  readonly pathLength: number;
}

/** @throws Failure pki.malformed */
export function readCertificate(der: Uint8Array): Certificate {
  const [tbs] = children(readOne(der, TAG.sequence));
  const parts = children(tbs);
  const version = parts[0]?.tag === 0xa0 ? 1 : 0;
  const [serial, , issuer, validity, subject, spki, ...rest] = parts.slice(version);
  if (issuer === undefined || subject === undefined || spki === undefined) throw failure('pki.malformed');
  const [start, end] = children(validity);
  if (start === undefined || end === undefined) throw failure('pki.malformed');
  const wrapped = rest.find(({ tag }) => tag === 0xa3);
  const extensions = readExtensions(wrapped && readOne(wrapped.content));
  const limits = extensions.get(EXT.basicConstraints);
  const [ca, length] = limits === undefined ? [] : children(readOne(limits.value));
  const isCa = ca?.tag === TAG.boolean && ca.content[0] === 0xff;
  return {
    der: Buffer.from(der),
    serial: serialText(contentOf(serial, TAG.integer)),
    issuer: issuer.whole,
    subject: subject.whole,
    spki: spki.whole,
    notBefore: readTime(start),
    notAfter: readTime(end),
    extensions,
    isCa,
    pathLength:
      isCa && length !== undefined ? length.content.readUIntBE(0, Math.min(6, length.content.length)) : -1,
  };
}

/** The serial number as the API writes it; the sign byte in front is no part of it. */
export function serialText(bytes: Uint8Array): string {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  return (Buffer.from(bytes.subarray(start)).toString('hex').match(/../g) ?? []).join(':');
}

/** Colons, hyphens or neither, in any case: "0a:1b"; undefined where it is no serial number. */
export function parseSerial(text: string): string | undefined {
  const plain = text.trim().toLowerCase().replaceAll(/[:-]/g, '');
  if (!/^[0-9a-f]{1,64}$/.test(plain)) return undefined;
  return serialText(Buffer.from(plain.length % 2 === 0 ? plain : `0${plain}`, 'hex'));
}
export const serialBytes = (serial: string): Buffer => Buffer.from(serial.replaceAll(':', ''), 'hex');

export const namesOf = ({ extensions }: Pick<Certificate, 'extensions'>): Names => {
  const found = extensions.get(EXT.names);
  return found === undefined ? NO_NAMES : readNames(found.value);
};
export const usageBits = ({ extensions }: Pick<Certificate, 'extensions'>): number[] | undefined => {
  const found = extensions.get(EXT.keyUsage);
  return found && readNamedBits(readOne(found.value));
};
export const keyIdIn = ({ extensions }: Certificate): Buffer | undefined => {
  const found = extensions.get(EXT.subjectKeyId);
  return found && contentOf(readOne(found.value), TAG.octets);
};

export const isSelfIssued = ({ issuer, subject }: Certificate): boolean => issuer.equals(subject);

/** Whether `parent` signed `child`: names first, then the signature. */
export function isChildOf(child: Certificate, parent: Certificate): boolean {
  if (!child.issuer.equals(parent.subject)) return false;
  try {
    return new X509Certificate(child.der).verify(publicKey(parent.spki));
  } catch {
    return false;
  }
}

export interface Plan {
  readonly serial: Uint8Array;
  /** Names in DER. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly spki: Buffer;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly Buffer[];
}

/** The certificate in DER. */
export function signCertificate(plan: Plan, signer: Signer): Buffer {
  return signed(
    signer,
    sequence(
      context(0, integer(2)),
      integer(plan.serial),
      signer.algorithm,
      plan.issuer,
      sequence(time(plan.notBefore), time(plan.notAfter)),
      plan.subject,
      plan.spki,
      context(3, sequence(...plan.extensions)),
    ),
  );
}

/** What is to be signed, its algorithm and the signature: the frame of certificates, requests and lists alike. */
export const signed = (signer: Signer, body: Buffer): Buffer =>
  sequence(body, signer.algorithm, bitString(signer.sign(body)));

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

export interface CertificateRequest {
  readonly subject: Subject;
  /** DER. */
  readonly rawSubject: Buffer;
  readonly spki: Buffer;
  readonly key: KeyObject;
  readonly extensions: ReadonlyMap<string, Extension>;
}

/** A request in PKCS #10 DER. */
export function signRequest(
  subject: Buffer,
  key: KeyObject,
  extensions: readonly Buffer[],
  signer: Signer,
): Buffer {
  const attributes =
    extensions.length === 0 ? [] : [sequence(oid(EXTENSION_REQUEST), setOf(sequence(...extensions)))];
  return signed(signer, sequence(integer(0), subject, spkiOf(key), context(0, ...attributes)));
}

/**
 * Reads a request and checks that whoever sent it has the key. @throws Failure pki.malformed, pki.request
 */
export function readRequest(der: Uint8Array): CertificateRequest {
  const [body, algorithm, signature] = children(readOne(der, TAG.sequence));
  if (body === undefined || algorithm === undefined) throw failure('pki.malformed');
  const [, subject, spki, attributes] = children(body);
  if (subject === undefined || spki === undefined) throw failure('pki.malformed');
  const key = publicKey(spki.whole);
  if (!isSignedBy(key, algorithm, body.whole, readBits(signature)))
    throw failure('pki.request', { reason: 'request signature invalid' });
  return {
    subject: readName(subject.whole),
    rawSubject: subject.whole,
    spki: spki.whole,
    key,
    extensions: requestedExtensions(attributes),
  };
}

function requestedExtensions(attributes: Element | undefined): Map<string, Extension> {
  if (attributes === undefined) return new Map();
  if (attributes.tag !== 0xa0) throw failure('pki.malformed');
  for (const attribute of readAll(attributes.content)) {
    const [type, values] = children(attribute);
    if (readOid(type) === EXTENSION_REQUEST) return readExtensions(children(values, TAG.set)[0]);
  }
  return new Map();
}

const pem = (label: string, der: Uint8Array): string =>
  [
    `-----BEGIN ${label}-----`,
    ...(Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []),
    `-----END ${label}-----`,
  ].join('\n');

/** PEM without a newline at the end, as the API gives it. */
export const certificatePem = (der: Uint8Array): string => pem('CERTIFICATE', der);
export const requestPem = (der: Uint8Array): string => pem('CERTIFICATE REQUEST', der);
export const crlPem = (der: Uint8Array): string => pem('X509 CRL', der);

export interface Block {
  readonly label: string;
  readonly der: Buffer;
  readonly text: string;
}

/** The blocks of a PEM text; undefined where there is anything but whole blocks and text between them. */
export function readPem(text: string): Block[] | undefined {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g)];
  if (blocks.length === 0 || blocks.length !== (text.match(/-----BEGIN /g) ?? []).length) return undefined;
  return blocks.map(([whole, label = '', body = '']) => ({
    label,
    der: Buffer.from(body, 'base64'),
    text: whole,
  }));
}
