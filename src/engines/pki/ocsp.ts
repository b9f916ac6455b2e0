/** The online certificate status protocol (RFC 6960): requests taken apart, answers made. What the status is, others say. */

import { createHash } from 'node:crypto';
import type { Certificate } from '../../crypto/x509/certificate.ts';
import { serialText } from '../../crypto/x509/certificate.ts';
import {
  bitString,
  children,
  contentOf,
  context,
  type Element,
  enumerated,
  generalizedTime,
  implicit,
  octets,
  oid,
  readBits,
  readOid,
  readOne,
  sequence,
  TAG,
  tlv,
} from '../../crypto/x509/der.ts';
import { keyIdOf } from '../../crypto/x509/extensions.ts';
import type { Signer } from '../../crypto/x509/keytype.ts';

const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const BASIC = '1.3.6.1.5.5.7.48.1.1';
const NONCE = '1.3.6.1.5.5.7.48.1.2';
const MOST_NONCE_BYTES = 32;
/** One answer is one signature; a request for very many would be a cheap way to make dear answers. */
const MOST_ASKED = 32;

export interface Asked {
  /** CertID in DER, repeated in the answer as it came. */
  readonly id: Buffer;
  readonly serial: string;
  readonly hash: string;
  readonly nameHash: Buffer;
  readonly keyHash: Buffer;
}
export interface OcspRequest {
  readonly asked: readonly Asked[];
  /** Extension value in DER (RFC 9654). */
  readonly nonce: Buffer | undefined;
}

/** The request, or undefined where it is none. */
export function readOcspRequest(der: Uint8Array): OcspRequest | undefined {
  try {
    const [body] = children(readOne(der, TAG.sequence));
    const parts = children(body);
    const asked = children(parts.find(({ tag }) => tag === TAG.sequence)).map(readAsked);
    if (asked.length === 0 || asked.length > MOST_ASKED) return undefined;
    return { asked, nonce: nonceOf(parts.find(({ tag }) => tag === 0xa2)) };
  } catch {
    return undefined;
  }
}

function readAsked(request: Element): Asked {
  const [id] = children(request);
  const [algorithm, nameHash, keyHash, serial] = children(id);
  return {
    id: id?.whole ?? Buffer.alloc(0),
    serial: serialText(contentOf(serial, TAG.integer)),
    hash: HASHES[readOid(children(algorithm)[0])] ?? '',
    nameHash: contentOf(nameHash, TAG.octets),
    keyHash: contentOf(keyHash, TAG.octets),
  };
}

function nonceOf(extensions: Element | undefined): Buffer | undefined {
  if (extensions === undefined) return undefined;
  for (const extension of children(readOne(extensions.content))) {
    const [id, ...rest] = children(extension);
    if (readOid(id) !== NONCE) continue;
    const value = contentOf(rest.at(-1), TAG.octets);
    return value.length <= MOST_NONCE_BYTES + 2 ? value : undefined;
  }
  return undefined;
}

/** Whether a request asks for certificates of this issuer. */
export function isAbout({ hash, nameHash, keyHash }: Asked, { subject, spki }: Certificate): boolean {
  if (hash === '') return false;
  const digest = (bytes: Uint8Array): Buffer => createHash(hash).update(bytes).digest();
  const [, bits] = children(readOne(spki));
  return digest(subject).equals(nameHash) && digest(readBits(bits)).equals(keyHash);
}

export type OcspError = 'malformed' | 'internal' | 'unauthorized';
const ERRORS: Readonly<Record<OcspError, number>> = { malformed: 1, internal: 2, unauthorized: 6 };

export const ocspError = (error: OcspError): Buffer => sequence(enumerated(ERRORS[error]));

export interface Status {
  readonly asked: Asked;
  /** Milliseconds since 1970; undefined: good. */
  readonly revoked: number | undefined;
}

/** The signed answer in DER. The issuer answers for itself, so its certificate is not sent along. */
export function signOcsp(
  issuer: Certificate,
  statuses: readonly Status[],
  {
    now,
    lifeMs,
    nonce,
  }: { readonly now: number; readonly lifeMs: number; readonly nonce: Buffer | undefined },
  signer: Signer,
): Buffer {
  const single = ({ asked, revoked }: Status): Buffer =>
    sequence(
      asked.id,
      revoked === undefined ? implicit(0, Buffer.alloc(0)) : tlv(0xa1, generalizedTime(revoked)),
      generalizedTime(now),
      context(0, generalizedTime(now + lifeMs)),
    );
  const body = sequence(
    context(2, octets(keyIdOf(issuer.spki))),
    generalizedTime(now),
    sequence(...statuses.map(single)),
    ...(nonce === undefined ? [] : [context(1, sequence(sequence(oid(NONCE), octets(nonce))))]),
  );
  const basic = sequence(body, signer.algorithm, bitString(signer.sign(body)));
  return sequence(enumerated(0), context(0, sequence(oid(BASIC), octets(basic))));
}
