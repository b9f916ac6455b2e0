/**
 * Certificates for those who ask, under an issuer of the mount: what `issue`, `sign` and ACME have in common. A draft knows
 * everything of the certificate but its signature, so that a lease can be written before there is anything to revoke.
 */

import type { Certificate, CertificateRequest } from '../../crypto/x509/certificate.ts';
import { serialText, signCertificate } from '../../crypto/x509/certificate.ts';
import { encodeName, type Names } from '../../crypto/x509/name.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { type Opened, signerFor, urlsOf } from './issuers.ts';
import {
  checkConstraints,
  commonExtensions,
  leafExtensions,
  leafOf,
  type Times,
  timesOf,
  type Wanted,
} from './issuing.ts';
import type { Role } from './role.ts';
import type { PkiStore } from './store.ts';

/** What is signed: a subject and extensions for a key. */
export interface Body {
  /** DER. */
  readonly subject: Buffer;
  readonly spki: Buffer;
  readonly extensions: readonly Buffer[];
  readonly names: Names;
}

/** Subject and extensions under a role. @throws Failure pki.request where the role does not allow them */
export function leafBody(role: Role, wanted: Wanted, spki: Buffer, request?: CertificateRequest): Body {
  const leaf = leafOf(role, wanted, request);
  return {
    subject: encodeName(leaf.subject),
    spki,
    extensions: leafExtensions(role, leaf),
    names: leaf.names,
  };
}

export interface Draft extends Times {
  readonly serial: Uint8Array;
  /** The serial number as the API writes it. */
  readonly number: string;
  readonly parent: Certificate;
  /** The certificate in DER. Nothing is stored. */
  sign(): Buffer;
}

/**
 * Everything of a certificate but its signature.
 * @throws Failure pki.request, pki.no_key where the issuer may not or cannot sign it
 */
export async function draft(
  mount: Mount,
  store: PkiStore,
  found: Opened,
  role: Role,
  body: Body,
  asked: { readonly ttlMs: number; readonly notAfter: string },
): Promise<Draft> {
  const parent = found.certificate;
  const signer = await signerFor(store, found, 'issuing-certificates', role.signature_bits, role.use_pss);
  const times = timesOf(asked, role, mount.ttl(), mount.clock.now(), {
    certificate: parent,
    behavior: found.issuer.leafBehavior,
  });
  checkConstraints(parent, body.names);
  const serial = store.newSerial();
  const extensions = [...commonExtensions(body.spki, parent, await urlsOf(store, found)), ...body.extensions];
  const { subject, spki } = body;
  const { notBefore, notAfter } = times;
  return {
    ...times,
    serial,
    number: serialText(serial),
    parent,
    sign: () =>
      signCertificate(
        { serial, issuer: parent.subject, subject, spki, notBefore, notAfter, extensions },
        signer,
      ),
  };
}
