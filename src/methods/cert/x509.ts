/**
 * Certificates as this method reads them: what they say, and whether one stands under another. The TLS handshake has proven
 * that the client holds the key; everything else is proven here. What this code does not understand and a certificate calls
 * critical, makes it worth nothing (RFC 5280 section 4.2).
 */

import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { hex } from '../../base/bytes.ts';

/** Unpacked once; the names are those of the leaf's subject and its subject alternative name. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly node: X509Certificate;
  readonly commonName: string;
  readonly units: readonly string[];
  readonly dns: readonly string[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  /** Lower-case hexadecimal, without leading zeros. */
  readonly serial: string;
  readonly issuer: string;
  readonly subjectKeyId: string;
  readonly authorityKeyId: string;
  /** DER of the values, by OID. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  readonly isCa: boolean;
  readonly notBefore: number;
  readonly notAfter: number;
}

const OIDS = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  policies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
};
const UNDERSTOOD = new Set<string>(Object.values(OIDS));
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_USAGE = '2.5.29.37.0';
const WEAK = new Set(['MD2', 'MD4', 'MD5', 'SHA-1']);

/** Parses DER, or undefined where it is no certificate that this code can judge. */
export function readCertificate(der: Uint8Array): Certificate | undefined {
  try {
    const node = new X509Certificate(der);
    const parsed = new x509.X509Certificate(Buffer.from(der));
    const names = parsed.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
    const named = (type: string): string[] =>
      names.filter((name) => name.type === type).map(({ value }) => value);
    const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
    const commonNames = parsed.subjectName.getField('CN');
    return {
      der,
      node,
      // Of several names nobody could say which one was meant to be judged.
      commonName: commonNames.length === 1 ? (commonNames[0] ?? '') : '',
      units: parsed.subjectName.getField('OU'),
      dns: named('dns'),
      emails: named('email'),
      uris: named('url'),
      serial: plainSerial(parsed.serialNumber),
      issuer: hex(new Uint8Array(parsed.issuerName.toArrayBuffer())),
      subjectKeyId: parsed.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ?? '',
      authorityKeyId: parsed.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId ?? '',
      extensions: new Map(parsed.extensions.map(({ type, value }) => [type, new Uint8Array(value)])),
      isCa: constraints?.ca === true,
      notBefore: parsed.notBefore.getTime(),
      notAfter: parsed.notAfter.getTime(),
    };
  } catch {
    return undefined;
  }
}

/** The certificates of a PEM text in its order, or undefined where there is none or one does not parse. */
export function readPem(pem: string): Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const begins = pem.match(/-----BEGIN /g) ?? [];
  if (blocks.length === 0 || blocks.length !== begins.length) return undefined;
  const read: Certificate[] = [];
  for (const block of blocks) {
    const body = block.replace(/-----[A-Z ]+-----|\s/g, '');
    const certificate = readCertificate(Buffer.from(body, 'base64'));
    if (certificate === undefined) return undefined;
    read.push(certificate);
  }
  return read;
}

/** Decimal, as Go prints a big.Int. */
export const decimalSerial = ({ serial }: Certificate): string => BigInt(`0x${serial}`).toString();

export const plainSerial = (given: string): string => given.toLowerCase().replace(/^0+(?=.)/, '');

/** @param now milliseconds since the epoch */
export const isTimely = ({ notBefore, notAfter }: Certificate, now: number): boolean =>
  notBefore <= now && now <= notAfter;

/** Whether a leaf may prove a client: where it says what it is for, that must be among it. */
export function isForClients(leaf: Certificate): boolean {
  const usage = new x509.X509Certificate(Buffer.from(leaf.der)).getExtension(x509.ExtendedKeyUsageExtension);
  return usage == null || usage.usages.some((one) => one === CLIENT_AUTH || one === ANY_USAGE);
}

/**
 * The way from the leaf up to one of the anchors, the leaf first, or undefined. An anchor is believed as it is, whoever
 * issued it; what stands between leaf and anchor has to be configured as an anchor too.
 * @param now milliseconds since the epoch
 */
export function chainTo(
  leaf: Certificate,
  anchors: readonly Certificate[],
  now: number,
): readonly Certificate[] | undefined {
  // An authority's key is for signing: as a client's it was stolen or strayed.
  if (leaf.isCa || !isForClients(leaf) || !isSound(leaf, now)) return undefined;
  for (const anchor of anchors) {
    // A leaf that is an anchor itself is compared, not verified: see login.ts.
    if (anchor.isCa && isSound(anchor, now) && isIssuedBy(leaf, anchor)) return [leaf, anchor];
  }
  return undefined;
}

/** In its time, and saying nothing critical that this code does not understand. */
const isSound = (certificate: Certificate, now: number): boolean =>
  isTimely(certificate, now) && !hasUnknownCritical(certificate);

function hasUnknownCritical({ der }: Certificate): boolean {
  const { extensions } = new x509.X509Certificate(Buffer.from(der));
  return extensions.some(({ critical, type }) => critical && !UNDERSTOOD.has(type));
}

/** Names, key identifiers and the right to sign certificates (OpenSSL's check), then the signature itself. */
function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  try {
    return (
      isStronglySigned(certificate) &&
      certificate.node.checkIssued(issuer.node) &&
      certificate.node.verify(issuer.node.publicKey)
    );
  } catch {
    return false;
  }
}

/** Somebody who can make collisions could have made this one of a harmless one. */
function isStronglySigned({ der }: Certificate): boolean {
  const { signatureAlgorithm } = new x509.X509Certificate(Buffer.from(der));
  const { hash, name } = signatureAlgorithm as { hash?: { name?: string } | string; name?: string };
  const hashName = typeof hash === 'string' ? hash : hash?.name;
  return (
    name === 'Ed25519' || name === 'EdDSA' || (hashName !== undefined && !WEAK.has(hashName.toUpperCase()))
  );
}
