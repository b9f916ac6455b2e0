/**
 * Certificates for our own endpoints: an authority and what it issues, ECDSA over P-256, as PEM. Names and addresses are
 * those the caller has already allowed; nothing here decides who may have a certificate.
 */

import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  /** DNS names; the first is also the common name. */
  readonly names: readonly string[];
  readonly ips: readonly string[];
  /** For TLS clients too, not servers alone. */
  readonly client?: boolean;
  /** Milliseconds; absent: a year. */
  readonly lifetime?: number;
  /** The time to count from, milliseconds since 1970; absent: now. */
  readonly now?: number;
}

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' };
const DAY = 86_400_000;
const YEAR = 365 * DAY;
/** Clocks of two machines differ; a certificate must not begin in the other's future. */
const SKEW = 3_600_000;

type Keys = webcrypto.CryptoKeyPair;

const generate = (): Promise<Keys> =>
  webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify']) as Promise<Keys>;
const pemOf = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
/** Positive and 16 random bytes: RFC 5280 section 4.1.2.2 asks for at most 20 octets and no negative number. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** A new authority, good for ten years. */
export async function createAuthority(commonName: string, now: number = Date.now()): Promise<Authority> {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: [{ CN: [commonName] }],
      notBefore: new Date(now - SKEW),
      notAfter: new Date(now + 10 * YEAR),
      signingAlgorithm: SIGNATURE,
      keys: keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: `${certificate.toString('pem')}\n`, key: pemOf(keys.privateKey) };
}

/** A certificate of an authority for these names and addresses. */
export async function issueCertificate(authority: Authority, subject: Subject): Promise<Issued> {
  const keys = await generate();
  const der = createPrivateKey(authority.key).export({ type: 'pkcs8', format: 'der' });
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, CURVE, false, ['sign']);
  const issuer = new x509.X509Certificate(authority.certificate);
  const now = subject.now ?? Date.now();
  const [commonName = subject.ips[0] ?? 'holdfast'] = subject.names;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: [{ CN: [commonName] }],
      issuer: issuer.subjectName.toJSON(),
      notBefore: new Date(now - SKEW),
      notAfter: new Date(now + (subject.lifetime ?? YEAR)),
      signingAlgorithm: SIGNATURE,
      publicKey: keys.publicKey,
      signingKey: signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          ...(subject.client === true ? [x509.ExtendedKeyUsage.clientAuth] : []),
        ]),
        new x509.SubjectAlternativeNameExtension([
          ...subject.names.map((value) => ({ type: 'dns' as const, value })),
          ...subject.ips.map((value) => ({ type: 'ip' as const, value })),
        ]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: `${certificate.toString('pem')}\n`, key: pemOf(keys.privateKey) };
}
