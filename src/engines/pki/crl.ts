/** Revocation lists (RFC 5280 section 5) as such: signed and read. What stands in them is decided elsewhere. */

import { failure } from '../../base/errors.ts';
import type { Certificate } from '../../crypto/x509/certificate.ts';
import { keyIdIn, serialBytes, serialText, signed } from '../../crypto/x509/certificate.ts';
import {
  children,
  contentOf,
  context,
  integer,
  readBits,
  readOne,
  readTime,
  sequence,
  TAG,
  time,
} from '../../crypto/x509/der.ts';
import { authorityKeyId, crlNumber, deltaCrl, keyIdOf } from '../../crypto/x509/extensions.ts';
import { isSignedBy, publicKey, type Signer } from '../../crypto/x509/keytype.ts';

export interface ListEntry {
  /** Hexadecimal pairs with colons. */
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Extensions in DER. */
  readonly extensions?: readonly Buffer[];
}

/**
 * The list of an issuer in DER.
 * @param numbers `base`: number of the whole list that this one adds to; undefined: this is a whole one
 * @param more extensions of the list in DER
 */
export function signList(
  issuer: Certificate,
  revoked: readonly ListEntry[],
  times: { readonly now: number; readonly expires: number },
  numbers: { readonly number: number; readonly base?: number },
  signer: Signer,
  more: readonly Buffer[] = [],
): Buffer {
  const entries = revoked.map(({ serial, at, extensions = [] }) =>
    sequence(
      integer(serialBytes(serial)),
      time(at),
      ...(extensions.length > 0 ? [sequence(...extensions)] : []),
    ),
  );
  const extensions = [
    authorityKeyId(keyIdIn(issuer) ?? keyIdOf(issuer.spki)),
    crlNumber(numbers.number),
    ...(numbers.base === undefined ? [] : [deltaCrl(numbers.base)]),
    ...more,
  ];
  return signed(
    signer,
    sequence(
      integer(1),
      signer.algorithm,
      issuer.subject,
      time(times.now),
      time(times.expires),
      ...(entries.length > 0 ? [sequence(...entries)] : []),
      context(0, sequence(...extensions)),
    ),
  );
}

export interface RevocationList {
  /** Who issued it: a name in DER. */
  readonly issuer: Buffer;
  /** Without their extensions. */
  readonly revoked: readonly ListEntry[];
  /** Whether the key of this certificate signed it. */
  isSignedBy(certificate: Certificate): boolean;
}

/** @throws Failure pki.malformed */
export function readList(der: Uint8Array): RevocationList {
  const [body, algorithm, signature] = children(readOne(der, TAG.sequence));
  if (body === undefined || algorithm === undefined) throw failure('pki.malformed');
  const parts = children(body);
  const version = parts[0]?.tag === TAG.integer ? 1 : 0;
  const [, issuer, ...rest] = parts.slice(version);
  if (issuer === undefined) throw failure('pki.malformed');
  const entries = rest.find(({ tag }) => tag === TAG.sequence);
  return {
    issuer: issuer.whole,
    revoked: (entries === undefined ? [] : children(entries)).map((entry) => {
      const [serial, at] = children(entry);
      if (at === undefined) throw failure('pki.malformed');
      return { serial: serialText(contentOf(serial, TAG.integer)), at: readTime(at) };
    }),
    isSignedBy: ({ subject, spki }) =>
      subject.equals(issuer.whole) && isSignedBy(publicKey(spki), algorithm, body.whole, readBits(signature)),
  };
}
