/** What a certificate is asked for, and whether the request that comes in the end is for just that. Pure. */

import { domainToUnicode } from 'node:url';
import { addressBytes } from '../../../base/cidr.ts';
import { type CertificateRequest, namesOf } from '../../../crypto/x509/certificate.ts';
import { children, readOne, TAG } from '../../../crypto/x509/der.ts';
import { EXT } from '../../../crypto/x509/extensions.ts';
import { ipBytes, ipText, type Names, NO_NAMES } from '../../../crypto/x509/name.ts';
import { isHostname, shown } from '../allowed.ts';
import { AcmeError } from './problem.ts';
import { CHALLENGES, type ChallengeType, type Identifier } from './records.ts';

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);

/**
 * An identifier in the one form that certificates have it in: lower case, or the shortest form of an address.
 * @throws AcmeError malformed, unsupportedIdentifier
 */
export function readIdentifier({ type, value }: { type: string; value: string }): Identifier {
  if (type === 'ip') return { type, value: readAddress(value) };
  if (type !== 'dns')
    throw new AcmeError('unsupportedIdentifier', `unsupported identifier type ${shown(type)}`);
  const name = value.toLowerCase();
  const bare = bareName(name);
  const refused = (why: string): AcmeError =>
    malformed(`value argument (${shown(value)}) failed validation: ${why}`);
  if (bare.includes('*')) throw refused('the wildcard must be the entire left-most label');
  if (addressBytes(bare) !== undefined || /^[\d.]+$/.test(bare)) throw refused('it is an IP address');
  if (bare.endsWith('.') || !isHostname(bare)) throw refused('it is no host name');
  // RFC 8555 section 7.1.4: what begins with "xn--" must be a name that IDNA knows.
  if (bare.includes('xn--') && domainToUnicode(bare) === '') throw refused('it is no name of IDNA');
  return { type, value: name };
}

/** RFC 8738 section 3: in the form of RFC 5952. */
function readAddress(value: string): string {
  const bytes = value.includes('%') ? undefined : addressBytes(value);
  if (bytes === undefined) throw malformed(`value argument (${shown(value)}) is no IP address`);
  return ipText(Uint8Array.from(bytes));
}

export const isWildcard = ({ type, value }: Identifier): boolean => type === 'dns' && value.startsWith('*.');
const bareName = (name: string): string => (name.startsWith('*.') ? name.slice(2) : name);
/** What is proven for an identifier: of a wildcard, the domain below it. */
export const bare = (identifier: Identifier): Identifier => ({
  ...identifier,
  value: bareName(identifier.value),
});

/** RFC 8555 section 7.1.3 and RFC 8738 section 4: a wildcard is proven in the DNS alone, an address over HTTP alone. */
export function challengesFor(identifier: Identifier): readonly ChallengeType[] {
  if (identifier.type === 'ip') return ['http-01'];
  return isWildcard(identifier) ? ['dns-01'] : CHALLENGES;
}

/** The names that a certificate for these identifiers has. */
export const namesFor = (identifiers: readonly Identifier[]): Names => ({
  ...NO_NAMES,
  dns: identifiers.filter(({ type }) => type === 'dns').map(({ value }) => value),
  ips: identifiers.filter(({ type }) => type === 'ip').map(({ value }) => value),
});

/** X.520: an upper bound that verifiers hold to. */
const LONGEST_COMMON_NAME = 64;

/** The common name of the certificate: that of the request, else, where one is needed, the first name that fits. Empty: none. */
export function commonNameFor(
  request: CertificateRequest,
  identifiers: readonly Identifier[],
  needed: boolean,
): string {
  const [asked = ''] = request.subject.commonName;
  // An address is no common name that a role could allow; it stands among the alternative names.
  if (asked !== '' && addressBytes(asked) === undefined) return asked.toLowerCase();
  if (!needed) return '';
  const names = identifiers.filter(({ type }) => type === 'dns');
  const wildcardsFirst = [...names.filter(isWildcard), ...names];
  return wildcardsFirst.find(({ value }) => value.length <= LONGEST_COMMON_NAME)?.value ?? '';
}

/**
 * RFC 8555 section 7.4: the request must be for exactly the identifiers of the order.
 * @throws AcmeError badCSR where it is for more, for less, or for an authority
 */
export function checkRequest(request: CertificateRequest, identifiers: readonly Identifier[]): void {
  const bad = (detail: string): AcmeError => new AcmeError('badCSR', detail);
  const limits = request.extensions.get(EXT.basicConstraints);
  const [first] = limits === undefined ? [] : children(readOne(limits.value));
  if (first?.tag === TAG.boolean && first.content[0] !== 0)
    throw bad('refusing to accept CSR with Basic Constraints extension with CA set to true');
  const names = namesOf(request);
  if (names.emails.length + names.uris.length + names.others.length > 0)
    throw bad('CSR asks for names that an order cannot hold');
  const [common = '', ...more] = request.subject.commonName;
  if (more.length > 0) throw bad('CSR has several common names');
  const isAddress = addressBytes(common) !== undefined;
  const dns = [...names.dns, ...(common === '' || isAddress ? [] : [common])];
  const ips = [...names.ips, ...(isAddress ? [common] : [])];
  const wanted = namesFor(identifiers);
  if (!sameSet(dns, wanted.dns)) throw bad('CSR and order differ in their DNS identifiers');
  if (!sameSet(ips.map(canonical), wanted.ips.map(canonical)))
    throw bad('CSR and order differ in their IP identifiers');
}

const canonical = (ip: string): string => ipBytes(ip).toString('hex');

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [a, b].map((list) => new Set(list.map((one) => one.toLowerCase())));
  return left?.size === right?.size && [...(left ?? [])].every((one) => right?.has(one));
}
