/** Revocation: which issuer a certificate was signed by, that it is written down, and the lists made to say so. */

import { failure } from '../../base/errors.ts';
import { type Certificate, isChildOf, isSelfIssued, readCertificate } from '../../crypto/x509/certificate.ts';
import { groupOf, type Opened, opened } from './issuers.ts';
import { refreshLists } from './lists.ts';
import { fileOf, type PkiStore, type Revoked } from './store.ts';

const refused = (reason: string) => failure('pki.request', { reason });

/** The issuer here that signed the certificate, or undefined. */
export async function issuerOf(store: PkiStore, certificate: Certificate): Promise<Opened | undefined> {
  return (await store.all('issuer')).map(opened).find((one) => isChildOf(certificate, one.certificate));
}

/**
 * Revokes; once revoked, a certificate stays so from the first time on.
 * @throws Failure pki.request where it is a root of this mount, has ended, or was signed elsewhere
 */
export async function revoke(store: PkiStore, certificate: Certificate): Promise<Revoked> {
  const there = await store.get('revoked', fileOf(certificate.serial));
  if (there !== undefined) return there;
  const issuer = await issuerOf(store, certificate);
  if (issuer === undefined) throw refused('certificate was not issued by any issuer of this mount');
  if (isSelfIssued(certificate) && certificate.isCa)
    throw refused('adding issuer (its own certificate) to its own CRL is not allowed');
  if (certificate.notAfter < store.now())
    throw refused(`certificate with serial ${certificate.serial} already expired; refusing to add to CRL`);
  const revoked = await store.revoke({
    serial: certificate.serial,
    at: store.now(),
    expires: certificate.notAfter,
    group: groupOf(issuer.certificate),
    issuerId: issuer.issuer.id,
  });
  await refreshLists(store);
  return revoked;
}

/**
 * Revokes what is stored under a serial number, for a lease that ends. What has ended by itself, and what no issuer here can
 * list any more, is done with: throwing would make the lease try again for ever.
 */
export async function revokeStored(store: PkiStore, serial: string): Promise<void> {
  const der = await store.certificate(serial);
  if (der === undefined) return;
  const certificate = readCertificate(der);
  if (certificate.notAfter <= store.now() || (await issuerOf(store, certificate)) === undefined) return;
  await revoke(store, certificate);
}
