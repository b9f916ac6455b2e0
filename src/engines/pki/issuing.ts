/** What a certificate shall be, decided from the role, the request and the issuer. Pure; nothing is signed or stored here. */

import { goDuration } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import {
  type Certificate,
  type CertificateRequest,
  keyIdIn,
  namesOf,
  usageBits,
} from '../../crypto/x509/certificate.ts';
import { children, oid, readOid, readOne } from '../../crypto/x509/der.ts';
import {
  alternativeNames,
  authorityInfo,
  authorityKeyId,
  basicConstraints,
  crlPoints,
  EXT,
  extensionOf,
  extKeyUsage,
  extKeyUsageOid,
  keyIdOf,
  keyUsage,
  keyUsageBits,
  policies,
  subjectKeyId,
} from '../../crypto/x509/extensions.ts';
import { kindOf } from '../../crypto/x509/keytype.ts';
import { isEmpty, type Names, NO_NAMES, NO_SUBJECT, type Subject } from '../../crypto/x509/name.ts';
import {
  asciiName,
  checkCommonName,
  checkListed,
  checkNames,
  isDnsName,
  parseOther,
  shown,
} from './allowed.ts';
import { brokenBy } from './constraints.ts';
import { parseNotAfter, type Role } from './role.ts';
import type { Issuer, Urls } from './store.ts';

const refused = (reason: string) => failure('pki.request', { reason });

/** What a caller asks for beside the role, as it was sent. */
export interface Wanted {
  readonly commonName: string;
  readonly altNames: readonly string[];
  readonly ipSans: readonly string[];
  readonly uriSans: readonly string[];
  readonly otherSans: readonly string[];
  readonly excludeCn: boolean;
  readonly serialNumber: string;
  readonly userIds: readonly string[];
  readonly ttlMs: number;
  readonly notAfter: string;
}

export interface Times {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly warnings: readonly string[];
}

/**
 * From when until when. @param limits of the mount, in milliseconds
 * @throws Failure pki.request where it would outlive its issuer
 */
export function timesOf(
  asked: { readonly ttlMs: number; readonly notAfter: string },
  role: Pick<Role, 'ttl' | 'max_ttl' | 'not_after' | 'not_before_duration'>,
  limits: { readonly defaultMs: number; readonly maxMs: number },
  now: number,
  issuer: { readonly certificate: Certificate; readonly behavior: Issuer['leafBehavior'] } | undefined,
): Times {
  const warnings: string[] = [];
  if (asked.ttlMs < 0) throw refused('ttl must not be negative');
  if (asked.ttlMs > 0 && asked.notAfter !== '')
    throw refused(
      'Either ttl or not_after should be provided. Both should not be provided in the same request.',
    );
  const notBefore = now - role.not_before_duration;
  const until = asked.notAfter || (asked.ttlMs > 0 ? '' : role.not_after);
  let notAfter: number;
  if (until !== '') notAfter = parseNotAfter(until);
  else {
    const most = role.max_ttl > 0 ? Math.min(role.max_ttl, limits.maxMs) : limits.maxMs;
    let ttl = asked.ttlMs || role.ttl || limits.defaultMs;
    if (ttl > most) {
      if (asked.ttlMs > 0)
        warnings.push(
          `TTL "${goDuration(ttl)}" is longer than permitted maxTTL "${goDuration(most)}", so maxTTL is being used`,
        );
      ttl = most;
    }
    notAfter = now + ttl;
  }
  if (issuer !== undefined && notAfter > issuer.certificate.notAfter) {
    if (issuer.behavior === 'truncate') notAfter = issuer.certificate.notAfter;
    else if (issuer.behavior === 'err')
      throw refused(
        `cannot satisfy request, as TTL would result in notAfter of ${iso(notAfter)} that is beyond the expiration of the CA certificate at ${iso(issuer.certificate.notAfter)}`,
      );
  }
  if (notAfter <= notBefore || notAfter <= now) throw refused('the certificate would end before it begins');
  return { notBefore, notAfter, warnings };
}

/** RFC 3339 in whole seconds, as the API tells every time. */
export const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** Alternative names as the API takes them: mail addresses and DNS names in one list. */
export function sortNames(wanted: Wanted): Names {
  const names = wanted.altNames.map((name) => name.trim()).filter((name) => name !== '');
  return {
    dns: unique(names.filter((name) => !name.includes('@')).map(asciiName)),
    emails: unique(names.filter((name) => name.includes('@'))),
    ips: unique(wanted.ipSans),
    uris: unique(wanted.uriSans),
    others: wanted.otherSans.map(parseOther),
  };
}
const unique = (list: readonly string[]): string[] => [...new Set(list)];

/** The names with the common name among them, where it is one. */
export function withCommonName(names: Names, commonName: string): Names {
  if (commonName === '' || !/^[\x21-\x7e\u00a1-\uffff]+$/.test(commonName)) return names;
  if (commonName.includes('@') && !/^[\x21-\x7e]+$/.test(commonName)) return names;
  if (commonName.includes('@')) return { ...names, emails: unique([commonName, ...names.emails]) };
  const name = asciiName(commonName);
  const isAddress = /^[\d.]+$/.test(name);
  return isDnsName(name) && !isAddress ? { ...names, dns: unique([name, ...names.dns]) } : names;
}

export interface Leaf {
  readonly subject: Subject;
  readonly names: Names;
}

/**
 * Subject and names of a certificate under a role. @param request where the caller brings its own key
 * @throws Failure pki.request where the role does not allow them
 */
export function leafOf(role: Role, wanted: Wanted, request?: CertificateRequest): Leaf {
  const fromRequest = request !== undefined && role.use_csr_common_name;
  const commonName = (fromRequest ? (request.subject.commonName[0] ?? '') : '') || wanted.commonName;
  if (commonName === '' && role.require_cn)
    throw refused(
      'the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false',
    );
  const asked = request !== undefined && role.use_csr_sans ? namesOf(request) : sortNames(wanted);
  const names = wanted.excludeCn ? asked : withCommonName(asked, commonName);
  const userIds = wanted.userIds.length > 0 ? wanted.userIds : fromRequest ? request.subject.userIds : [];
  const serials =
    wanted.serialNumber !== '' ? [wanted.serialNumber] : fromRequest ? request.subject.serialNumber : [];

  checkCommonName(role, commonName);
  // The common name was judged by its own rules, which may be none.
  checkNames(role, role.cn_validations.includes('disabled') ? asked : names);
  checkListed(serials, role.allowed_serial_numbers, 'serial_number');
  checkListed(userIds, role.allowed_user_ids, 'user_id');
  const subject: Subject = {
    ...NO_SUBJECT,
    country: role.country,
    organization: role.organization,
    ou: role.ou,
    locality: role.locality,
    province: role.province,
    streetAddress: role.street_address,
    postalCode: role.postal_code,
    commonName: commonName === '' ? [] : [commonName],
    serialNumber: serials,
    userIds,
  };
  return { subject, names };
}

/** The least bits of a key that somebody brings along, by the role. @throws Failure pki.request */
export function checkKey(role: Role, request: CertificateRequest): void {
  const kind = kindOf(request.key);
  if (kind === undefined) throw refused('unsupported key type value in CSR');
  if (kind.type === 'rsa' && kind.bits < 2048)
    throw refused(`RSA keys < 2048 bits are unsafe and not supported: got ${kind.bits}`);
  if (role.key_type === 'any') return;
  if (kind.type !== role.key_type) throw refused(`role requires keys of type ${role.key_type}`);
  const least = role.key_bits || (kind.type === 'rsa' ? 2048 : kind.type === 'ec' ? 256 : 0);
  if (kind.bits < least)
    throw refused(`role requires a minimum of a ${least}-bit key, but CSR's key is ${kind.bits} bits`);
}

/** Extended key usages that the role gives, by OID. @throws Failure pki.request */
export function extUsagesOf(role: Role): string[] {
  const named = role.ext_key_usage.map((name) => {
    const id = extKeyUsageOid(name);
    if (id === undefined) throw refused(`unknown extended key usage ${shown(name)}`);
    return id;
  });
  const flags = [
    [role.server_flag, 'serverauth'],
    [role.client_flag, 'clientauth'],
    [role.code_signing_flag, 'codesigning'],
    [role.email_protection_flag, 'emailprotection'],
  ] as const;
  const flagged = flags.flatMap(([on, name]) => (on ? [extKeyUsageOid(name) ?? ''] : []));
  return unique([...flagged, ...named, ...role.ext_key_usage_oids]);
}

/** The names of a subject that a request or a template for an authority asks for: what constraints look at. */
export const namesAndCommon = (names: Names, subject: Subject): Names =>
  (subject.commonName[0] ?? '') === '' ? names : withCommonName(names, subject.commonName[0] ?? '');

/** @throws Failure pki.request where the issuer's own certificate forbids the names: nobody would accept the certificate */
export function checkConstraints(issuer: Certificate, names: Names): void {
  const constraints = issuer.extensions.get(EXT.nameConstraints);
  const broken = constraints && brokenBy(constraints, names);
  if (broken !== undefined)
    throw refused(`${shown(broken)} is outside the name constraints of the issuer's certificate`);
}

/** What every certificate of an issuer carries: whose key it is, who signed it, and where to learn more. */
export function commonExtensions(spki: Buffer, issuer: Certificate, urls: Urls): Buffer[] {
  return [
    subjectKeyId(keyIdOf(spki)),
    authorityKeyId(keyIdIn(issuer) ?? keyIdOf(issuer.spki)),
    ...urlExtensions(urls),
  ];
}

export const urlExtensions = (urls: Urls): Buffer[] => [
  ...(urls.ocsp.length + urls.issuing.length > 0 ? [authorityInfo(urls.ocsp, urls.issuing)] : []),
  ...(urls.crl.length > 0 ? [crlPoints(EXT.crlPoints, urls.crl)] : []),
  ...(urls.delta.length > 0 ? [crlPoints(EXT.freshestCrl, urls.delta)] : []),
];

/** The extensions of a certificate under a role. */
export function leafExtensions(role: Role, { names, subject }: Leaf): Buffer[] {
  const usages = keyUsageBits(role.key_usage);
  const extended = extUsagesOf(role);
  return [
    ...(usages.length > 0 ? [keyUsage(usages)] : []),
    ...(extended.length > 0 ? [extKeyUsage(extended)] : []),
    ...(role.basic_constraints_valid_for_non_ca ? [basicConstraints(false)] : []),
    ...(isEmpty(names) ? [] : [alternativeNames(names, isBare(subject))]),
    ...(role.policy_identifiers.length > 0 ? [policies(role.policy_identifiers)] : []),
  ];
}

export const isBare = (subject: Subject): boolean =>
  Object.values(subject).every((list) => list.length === 0);

/**
 * The extensions of a request that is signed as it stands. Never the right to sign certificates, whatever was asked for.
 * @throws Failure pki.request where it asks for what is not understood and critical
 */
export function verbatimExtensions(
  role: Role,
  request: CertificateRequest,
): { list: Buffer[]; names: Names } {
  const list: Buffer[] = [];
  const bits =
    usageBits(request)?.filter((bit) => bit !== CERT_SIGN && bit !== CRL_SIGN) ??
    keyUsageBits(role.key_usage);
  if (bits.length > 0) list.push(keyUsage(bits));
  const asked = request.extensions.get(EXT.extKeyUsage);
  const extended = asked === undefined ? extUsagesOf(role) : children(readOne(asked.value)).map(readOid);
  if (extended.length > 0) list.push(extKeyUsage(extended));
  for (const [id, extension] of request.extensions) {
    if (id === EXT.names) list.push(extensionOf(id, extension));
    else if (id === EXT.keyUsage || id === EXT.extKeyUsage || OURS.has(id)) continue;
    else if (extension.critical)
      throw refused(`the critical extension ${readOid(readOne(oid(id)))} is not signed here`);
    else list.push(extensionOf(id, extension));
  }
  return { list, names: request.extensions.has(EXT.names) ? namesOf(request) : NO_NAMES };
}

const CERT_SIGN = 5;
const CRL_SIGN = 6;
/** What an issuer says of itself or grants: never taken from a request. */
const OURS = new Set<string>([
  EXT.basicConstraints,
  EXT.subjectKeyId,
  EXT.authorityKeyId,
  EXT.authorityInfo,
  EXT.crlPoints,
  EXT.freshestCrl,
  EXT.nameConstraints,
]);
