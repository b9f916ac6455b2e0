/**
 * Sprig's certificates: authorities, self-signed ones and those that an authority signs, by the rules of RFC 5280 and with the extensions, in
 * the order, that Go's crypto/x509 gives them. All that is random comes from the caller, and signatures are made alike each
 * time, so a certificate that is rendered again is the same one until it is time for the next.
 */

import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { addressBytes } from '../../base/cidr.ts';
import { algorithmOf, type Ecdsa, type KeyType } from '../../crypto/algorithms.ts';
import { signHashAlike, toDer } from '../../crypto/ecdsa.ts';
import { type Certificate, keyIdIn, signCertificate } from '../../crypto/x509/certificate.ts';
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  extKeyUsage,
  extKeyUsageOid,
  keyIdOf,
  keyUsage,
  keyUsageBits,
  subjectKeyId,
} from '../../crypto/x509/extensions.ts';
import { publicKey, type Signer, signerOf, spkiOf } from '../../crypto/x509/keytype.ts';
import { encodeName, ipText, NO_NAMES, NO_SUBJECT } from '../../crypto/x509/name.ts';
import { nextBlock } from '../pem.ts';
import { decodeRune, RUNE_ERROR, toText } from '../text.ts';
import { Dict, type List, type Method, Opaque, type Value } from '../value.ts';
import { certificateOf, certificatePem, orMalformed } from './certificates.ts';
import { namedKey, newRsaKey, payForKey, privatePem } from './keys.ts';
import { type Call, CallError, fn, type Table } from './table.ts';

/** A certificate with its key, both in PEM: what `.Cert` and `.Key` give. */
class Issued extends Opaque {
  readonly type = 'sprig.certificate';
  readonly kind = 'struct';
  readonly cert: string;
  readonly key: string;

  constructor(cert: string, key: string) {
    super();
    this.cert = cert;
    this.key = key;
  }
  text(): string {
    return `{${this.cert} ${this.key}}`;
  }
  override plain(): Value {
    return new Dict(
      new Map([
        ['Cert', this.cert],
        ['Key', this.key],
      ]),
    );
  }
  method(name: string): Method | undefined {
    if (name === 'Cert') return { params: [], run: () => this.cert };
    return name === 'Key' ? { params: [], run: () => this.key } : undefined;
  }
  equals(other: Opaque): boolean {
    return other instanceof Issued && other.cert === this.cert && other.key === this.key;
  }
}

interface Wish {
  readonly commonName: string;
  readonly ips: List | undefined;
  readonly names: List | undefined;
  readonly days: bigint;
  readonly isCa: boolean;
}
interface Issuer {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

const DAY = 86_400_000;
/** Go's durations end here, after 292 years. */
const MOST_DAYS = 106_751n;

/**
 * When a certificate of so many days begins: at the last third of its life that is past, counted from `since`. So what is rendered anew is the
 * same certificate for a third of its life, and has never less than two thirds left. Milliseconds since 1970, whole seconds.
 */
export function beginning(now: Date, since: Date | undefined, days: number): number {
  const start = since === undefined || days <= 0 ? now.getTime() : since.getTime();
  const period = Math.floor((days * DAY) / 3);
  const past = period > 0 ? Math.floor(Math.max(0, now.getTime() - start) / period) * period : 0;
  return Math.floor((start + past) / 1000) * 1000;
}

/** A certificate for the key, by the issuer, or by itself where there is none. @throws CallError, Failure template.fuel */
const issue = (call: Call, wish: Wish, key: KeyObject, issuer?: Issuer): Issued =>
  orMalformed('the certificate of the authority', () => issued(call, wish, key, issuer));

function issued(call: Call, wish: Wish, key: KeyObject, issuer: Issuer | undefined): Issued {
  if (wish.days > MOST_DAYS || wish.days < -MOST_DAYS)
    throw new CallError('these are more days than a certificate can last');
  const signer = signerFor(call, issuer?.key ?? key);
  const notBefore = beginning(call.now, call.since, Number(wish.days));
  const commonName = textOf(wish.commonName);
  const subject = encodeName({ ...NO_SUBJECT, commonName: commonName === '' ? [] : [commonName] });
  const above = issuer?.certificate;
  const spki = spkiOf(key);
  const names = { ...NO_NAMES, dns: dnsNames(wish.names), ips: addresses(wish.ips) };
  const usages = ['DigitalSignature', 'KeyEncipherment', ...(wish.isCa ? ['CertSign'] : [])];
  const aboveId = above === undefined || above.subject.equals(subject) ? undefined : keyIdIn(above);
  const der = signCertificate(
    {
      serial: serialFor(call, notBefore),
      issuer: above?.subject ?? subject,
      subject,
      spki,
      notBefore,
      notAfter: notBefore + Number(wish.days) * DAY,
      extensions: [
        keyUsage(keyUsageBits(usages)),
        extKeyUsage(['serverauth', 'clientauth'].map((usage) => extKeyUsageOid(usage) ?? '')),
        basicConstraints(wish.isCa),
        ...(wish.isCa ? [subjectKeyId(keyIdOf(spki))] : []),
        ...(aboveId === undefined ? [] : [authorityKeyId(aboveId)]),
        ...(names.dns.length + names.ips.length === 0 ? [] : [alternativeNames(names, commonName === '')]),
      ],
    },
    signer,
  );
  return new Issued(certificatePem({ der }), privatePem(key));
}

/** 16 bytes, positive: another one for each beginning, as no two certificates of an authority may share one (RFC 5280 section 4.1.2.2). */
function serialFor(call: Call, notBefore: number): Buffer {
  const serial = createHash('sha256')
    .update(call.random(16))
    .update(String(notBefore))
    .digest()
    .subarray(0, 16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

const CURVES: Readonly<Record<string, KeyType>> = {
  prime256v1: 'ecdsa-p256',
  secp384r1: 'ecdsa-p384',
  secp521r1: 'ecdsa-p521',
};

/** How the key signs, the same way each time. @throws CallError */
function signerFor(call: Call, key: KeyObject): Signer {
  payForKey(call, key);
  const type = key.asymmetricKeyType;
  if (type === 'rsa' || type === 'ed25519') return signerOf(key);
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (type !== 'ec' || curve === undefined)
    throw new CallError(
      'keys of RSA, Ed25519 and the curves P-256, P-384 and P-521 sign certificates, and this is none',
    );
  const algorithm = algorithmOf(curve) as Ecdsa;
  const digest = { prime256v1: 'sha256', secp384r1: 'sha384', secp521r1: 'sha512' }[algorithm.curve];
  return {
    algorithm: signerOf(key).algorithm,
    sign: (data) => toDer(signHashAlike(algorithm, key, createHash(digest).update(data).digest(), digest)),
  };
}

/** @throws CallError where it is not UTF-8 */
function textOf(bytes: string): string {
  for (let at = 0; at < bytes.length; ) {
    const [rune, width] = decodeRune(bytes, at);
    if (rune === RUNE_ERROR && width === 1) throw new CallError('a name in the certificate is not UTF-8');
    at += width;
  }
  return toText(bytes);
}

const itemsOf = (list: List | undefined): readonly Value[] => list?.items ?? [];

function dnsNames(list: List | undefined): string[] {
  return itemsOf(list).map((name) => {
    if (typeof name !== 'string')
      throw new CallError('error processing alternate dns name: it is not a string');
    if (!/^[\0-\x7f]*$/.test(name))
      throw new CallError('an alternate dns name cannot be encoded as an IA5String');
    return name;
  });
}

/** Addresses as text; IPv4 in IPv6 is IPv4. */
function addresses(list: List | undefined): string[] {
  return itemsOf(list).map((address) => {
    if (typeof address !== 'string') throw new CallError('error parsing ip: it is not a string');
    const found = address.includes('%') ? undefined : addressBytes(address);
    if (found === undefined) throw new CallError('error parsing ip: a text is not an address');
    return ipText(Buffer.from(found));
  });
}

/** The authority in a certificate with its key. @throws CallError */
function issuerOf(authority: Opaque): Issuer {
  if (!(authority instanceof Issued)) throw new CallError('the authority is no certificate with a key');
  const block = nextBlock(authority.cert)?.block;
  if (block === undefined) throw new CallError('unable to decode certificate');
  const certificate = certificateOf(block.bytes);
  const key = namedKey(authority.key);
  const certified = orMalformed('the certificate of the authority', () => publicKey(certificate.spki));
  if (!createPublicKey(key).equals(certified))
    throw new CallError("the private key of the authority doesn't match its certificate");
  return { certificate, key };
}

/** A certificate and a key that somebody has, both in base64 of PEM. */
function custom(cert: string, key: string): Issued {
  const certPem = decoded(cert, 'certificate');
  const keyPem = decoded(key, 'private key');
  const block = nextBlock(certPem)?.block;
  if (block === undefined) throw new CallError('unable to decode certificate');
  certificateOf(block.bytes);
  namedKey(keyPem);
  return new Issued(certPem, keyPem);
}

function decoded(base64: string, what: string): string {
  const plain = base64.replace(/[\r\n]+/g, '');
  if (plain.length % 4 !== 0 || /[^A-Za-z0-9+/]/.test(plain.replace(/={1,2}$/, '')))
    throw new CallError(`unable to decode base64 ${what}`);
  return Buffer.from(plain, 'base64').toString('latin1');
}

const authority = (commonName: string, days: bigint): Wish => ({
  commonName,
  ips: undefined,
  names: undefined,
  days,
  isCa: true,
});
const endEntity = (commonName: string, ips: List, names: List, days: bigint): Wish => ({
  commonName,
  ips,
  names,
  days,
  isCa: false,
});

export const authorities: Table = {
  buildCustomCert: fn('string, string', (_, cert, key) => custom(cert, key)),
  genCA: fn('string, int', (call, name, days) => issue(call, authority(name, days), newRsaKey(call))),
  genCAWithKey: fn('string, int, string', (call, name, days, key) =>
    issue(call, authority(name, days), namedKey(key)),
  ),
  genSelfSignedCert: fn('string, list, list, int', (call, name, ips, names, days) =>
    issue(call, endEntity(name, ips, names, days), newRsaKey(call)),
  ),
  genSelfSignedCertWithKey: fn('string, list, list, int, string', (call, name, ips, names, days, key) =>
    issue(call, endEntity(name, ips, names, days), namedKey(key)),
  ),
  genSignedCert: fn('string, list, list, int, certificate', (call, name, ips, names, days, ca) => {
    const issuer = issuerOf(ca);
    return issue(call, endEntity(name, ips, names, days), newRsaKey(call), issuer);
  }),
  genSignedCertWithKey: fn(
    'string, list, list, int, certificate, string',
    (call, name, ips, names, days, ca, key) => {
      const issuer = issuerOf(ca);
      return issue(call, endEntity(name, ips, names, days), namedKey(key), issuer);
    },
  ),
};
