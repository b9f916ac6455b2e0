/**
 * Whether a challenge was met (RFC 8555 section 8, RFC 8737). Each function goes out once and either returns or says why not.
 * Nothing of what is fetched is ever told on: else this would be a way to read what only the server can reach.
 */

import { sameSecret, sha256, textOf } from '../../../base/bytes.ts';
import { type Failure, isFailure } from '../../../base/errors.ts';
import { isChildOf, isSelfIssued, namesOf, readCertificate } from '../../../crypto/x509/certificate.ts';
import { contentOf, readOne, TAG } from '../../../crypto/x509/der.ts';
import { EXT } from '../../../crypto/x509/extensions.ts';
import type { Dial } from '../../../plugin/plugin.ts';
import type { Probes } from './probes.ts';
import { AcmeError, type ProblemType } from './problem.ts';
import type { ChallengeType, Identifier } from './records.ts';

export interface Asked {
  readonly type: ChallengeType;
  readonly identifier: Identifier;
  readonly token: string;
  /** Of the account's key. */
  readonly thumbprint: string;
}

export interface World {
  readonly dial: Dial;
  /** Absent: neither the DNS nor TLS can be asked. */
  readonly probes: Probes | undefined;
  /** "address:port"; empty: the system's. */
  readonly resolver: string;
}

const HTTP_TIMEOUT_MS = 10_000;
/** A key authorization has 43 characters on either side of its dot; the rest may be white space. */
const MOST_ANSWER_BYTES = 512;
export const ALPN = 'acme-tls/1';
/** RFC 8737 section 6.1. */
export const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31';

const wrong = (detail: string): AcmeError => new AcmeError('incorrectResponse', detail);
/** RFC 8555 section 8.1. */
export const keyAuthorization = ({ token, thumbprint }: Pick<Asked, 'token' | 'thumbprint'>): string =>
  `${token}.${thumbprint}`;

/** @throws AcmeError connection, dns, tls, incorrectResponse */
export async function check(asked: Asked, world: World): Promise<void> {
  switch (asked.type) {
    case 'http-01':
      return checkHttp(asked, world);
    case 'dns-01':
      return checkDns(asked, world);
    case 'tls-alpn-01':
      return checkTls(asked, world);
  }
}

/** RFC 8555 section 8.3. Redirects are not followed: they would lead where nobody allowed this server to go. */
async function checkHttp(asked: Asked, { dial, probes, resolver }: World): Promise<void> {
  const { type, value } = asked.identifier;
  const name = type === 'ip' && value.includes(':') ? `[${value}]` : value;
  const path = `/.well-known/acme-challenge/${asked.token}`;
  // A name server of one's own: dial asks the system's, so it is given the address, and the name goes into the header.
  const [found] =
    resolver === '' || type === 'ip'
      ? []
      : await reaching('dns', () => probesOf(probes, 'http-01 with dns_resolver').addresses(value, resolver));
  const at = found === undefined ? name : found.includes(':') ? `[${found}]` : found;
  const { status, body } = await reaching('connection', () =>
    dial({
      url: `http://${at}${path}`,
      method: 'GET',
      timeoutMs: HTTP_TIMEOUT_MS,
      ...(found === undefined ? {} : { headers: { host: name } }),
    }),
  );
  if (status >= 300 && status < 400)
    throw wrong(`http-01: ${name} answered with a redirect (${status}), which is not followed`);
  if (status !== 200) throw wrong(`http-01: ${name} answered with status ${status}`);
  const text = body.length > MOST_ANSWER_BYTES ? undefined : textOf(body);
  if (text === undefined || !sameSecret(text.trimEnd(), keyAuthorization(asked)))
    throw wrong(`http-01: what ${name} answered is not the key authorization`);
}

/** RFC 8555 section 8.4. */
async function checkDns(asked: Asked, { probes, resolver }: World): Promise<void> {
  const name = `_acme-challenge.${asked.identifier.value}`;
  const records = await reaching('dns', () => probesOf(probes, 'dns-01').texts(name, resolver));
  const wanted = sha256(keyAuthorization(asked)).toString('base64url');
  if (!records.some((record) => sameSecret(record, wanted)))
    throw wrong(`dns-01: challenge failed against ${records.length} TXT records of ${name}`);
}

/** RFC 8737 section 3. */
async function checkTls(asked: Asked, { probes, resolver }: World): Promise<void> {
  const host = asked.identifier.value;
  const { protocol, certificate } = await reaching('tls', () =>
    probesOf(probes, 'tls-alpn-01').handshake({
      host,
      port: 443,
      servername: host,
      protocol: ALPN,
      resolver,
    }),
  );
  if (protocol !== ALPN) throw wrong('tls-alpn-01: the server did not agree on acme-tls/1');
  const why = faultOf(certificate, asked);
  if (why !== undefined) throw wrong(`tls-alpn-01: ${why}`);
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  ACME_IDENTIFIER,
  EXT.names,
  EXT.keyUsage,
  EXT.extKeyUsage,
  EXT.basicConstraints,
]);

/** What is wrong with the certificate that answered, or undefined. Pure. */
export function faultOf(der: Uint8Array, asked: Asked): string | undefined {
  try {
    const certificate = readCertificate(der);
    if (!isSelfIssued(certificate) || !isChildOf(certificate, certificate))
      return 'the certificate is not self-signed';
    const names = namesOf(certificate);
    const [name = ''] = names.dns;
    const all = Object.values(names).flat();
    if (all.length !== 1 || name.toLowerCase() !== asked.identifier.value)
      return 'the certificate must be for the name that is validated, and for it alone';
    const proof = certificate.extensions.get(ACME_IDENTIFIER);
    if (proof === undefined) return 'the certificate has no acmeIdentifier extension';
    if (!proof.critical) return 'the acmeIdentifier extension must be critical';
    if (!sameSecret(contentOf(readOne(proof.value), TAG.octets), sha256(keyAuthorization(asked))))
      return 'the acmeIdentifier extension does not hold the digest of the key authorization';
    const unknown = [...certificate.extensions].some(([id, { critical }]) => critical && !UNDERSTOOD.has(id));
    return unknown ? 'the certificate has a critical extension that is not understood' : undefined;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return 'the certificate is malformed';
  }
}

function probesOf(probes: Probes | undefined, what: string): Probes {
  if (probes === undefined) throw new AcmeError('serverInternal', `${what} is not available on this server`);
  return probes;
}

/** Goes out; what failed on the way is told by where, and whether the server's own list forbade it. */
async function reaching<T>(type: ProblemType, go: () => Promise<T>): Promise<T> {
  try {
    return await go();
  } catch (error) {
    if (isFailure(error) && error.code.startsWith('dial.')) throw new AcmeError(type, told(error));
    throw error;
  }
}

const told = (failure: Failure): string =>
  failure.code === 'dial.refused'
    ? `${failure.message}: the operator must allow it in the configuration file`
    : failure.message;
