/**
 * Which names a role allows. Pure: a role and a name in, yes or no out. A name that is let through here stands in a
 * certificate that others trust, so whatever is not understood is refused.
 */

import { domainToASCII, domainToUnicode } from 'node:url';
import { failure } from '../../base/errors.ts';
import { globMatches } from '../../base/glob.ts';
import { isOid } from '../../crypto/x509/der.ts';
import { ipBytes, type Names, type OtherName } from '../../crypto/x509/name.ts';
import type { Role } from './role.ts';

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const HOSTNAME = new RegExp(`^(?:${LABEL}\\.)*${LABEL}\\.?$`);
/** The leftmost label of a wildcard: "*", "a*", "*a", "a*b". */
const WILD = /^[a-zA-Z0-9-]*\*[a-zA-Z0-9-]*$/;
const LONGEST_NAME = 253;

const refused = (reason: string) => failure('pki.request', { reason });

/** What can be shown of a name that a stranger chose. */
export const shown = (name: string): string => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);

/** The ASCII form (RFC 5891), or the name itself where it has none. */
export function asciiName(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name;
  // The converter reads URLs: it drops line ends and what it takes for a path, and would judge less than was asked for.
  return /^[\w.*\u00a1-\uffff-]+$/.test(name) ? domainToASCII(name) || name : name;
}

export const isHostname = (name: string): boolean => name.length <= LONGEST_NAME && HOSTNAME.test(name);

/** Without the leftmost label where that is a wildcard. */
function reduced(name: string): { readonly wild: boolean; readonly rest: string } {
  const [first = '', ...rest] = name.split('.');
  return first.includes('*') ? { wild: true, rest: rest.join('.') } : { wild: false, rest: name };
}

/** A host name, with a wildcard in its first label or without: what can stand as a DNS name in a certificate. */
export function isDnsName(name: string): boolean {
  const { wild, rest } = reduced(name);
  return isHostname(rest) && (!wild || WILD.test(name.split('.')[0] ?? ''));
}

/** Whether a DNS name or mail address may stand in a certificate of this role. */
export function isAllowedName(role: Role, given: string): boolean {
  const name = asciiName(given);
  // Nothing that prints as another name, or ends one early, is ever allowed.
  if (name === '' || !/^[\x21-\x7e]+$/.test(name)) return false;
  // What the conversion changes or drops (soft hyphens and the like) would still stand in the common name.
  if (name !== given && domainToUnicode(name) !== given.normalize('NFC').toLowerCase()) return false;
  const [local = '', host, ...more] = name.split('@');
  const isEmail = host !== undefined;
  if (more.length > 0 || (isEmail && local === '')) return false;
  const domain = host ?? name;
  const { wild, rest } = reduced(domain);
  if (rest.includes('*')) return false;
  if (wild && (isEmail || !role.allow_wildcard_certificates || !WILD.test(domain.split('.')[0] ?? '')))
    return false;
  if (wild && rest === '') return false;
  if (role.enforce_hostnames && !isHostname(rest)) return false;
  if (role.allow_any_name) return true;
  if (role.allow_localhost && ['localhost', 'localdomain'].includes(rest.toLowerCase()) && !isEmail)
    return true;
  return role.allowed_domains.some((allowed) => isUnder(role, allowed.trim(), { name, domain, isEmail }));
}

function isUnder(
  role: Role,
  allowed: string,
  { name, domain, isEmail }: { readonly name: string; readonly domain: string; readonly isEmail: boolean },
): boolean {
  if (allowed === '') return false;
  const base = asciiName(allowed).toLowerCase();
  const lower = domain.toLowerCase();
  if (role.allow_bare_domains && (name.toLowerCase() === base || (isEmail && lower === base))) return true;
  if (role.allow_subdomains && lower.endsWith(`.${base}`)) return true;
  return role.allow_glob_domains && base.includes('*') && globMatches(base, name.toLowerCase());
}

/** @throws Failure pki.request where the role does not allow the common name */
export function checkCommonName(role: Role, name: string): void {
  if (name === '' || role.cn_validations.includes('disabled')) return;
  const kind = name.includes('@') ? 'email' : 'hostname';
  if (!role.cn_validations.includes(kind) || !isAllowedName(role, name))
    throw refused(`common name ${shown(name)} not allowed by this role`);
}

/** @throws Failure pki.request where the role does not allow one of the names */
export function checkNames(role: Role, names: Names): void {
  for (const name of [...names.dns, ...names.emails])
    if (!isAllowedName(role, name))
      throw refused(`subject alternate name ${shown(name)} not allowed by this role`);
  if (names.dns.some((name) => !isDnsName(name) && role.enforce_hostnames))
    throw refused('a subject alternate name is no host name');
  if (names.ips.length > 0 && !role.allow_ip_sans)
    throw refused('IP Subject Alternative Names are not allowed in this role');
  for (const ip of names.ips) ipBytes(ip);
  for (const uri of names.uris) checkUri(role, uri);
  for (const other of names.others) checkOther(role, other);
}

function checkUri(role: Role, uri: string): void {
  if (role.allowed_uri_sans.length === 0)
    throw refused(
      'URI Subject Alternative Names are not allowed in this role, but were provided via the API',
    );
  if (!/^[\x21-\x7e]+$/.test(uri) || !URL.canParse(uri))
    throw refused('the provided URI Subject Alternative Name is not a valid URI');
  if (!role.allowed_uri_sans.some((glob) => globMatches(glob, uri)))
    throw refused(
      'URI Subject Alternative Names were provided via the API which are not valid for this role',
    );
}

function checkOther(role: Role, { oid, value }: OtherName): void {
  const allowed = role.allowed_other_sans.some((rule) => {
    if (rule === '*') return true;
    const [id, glob] = rule.split(/;(?:UTF-?8):/i);
    return id === oid && glob !== undefined && (glob === '*' || globMatches(glob, value));
  });
  if (!allowed) throw refused(`other SAN OID ${oid} not allowed by this role`);
}

/** "oid;UTF8:value". @throws Failure pki.request */
export function parseOther(text: string): OtherName {
  const found = /^([0-9.]+);UTF-?8:(.*)$/is.exec(text.trim());
  const oid = found?.[1] ?? '';
  if (!isOid(oid)) throw refused('an other SAN must be written as <oid>;UTF8:<value>');
  return { oid, value: found?.[2] ?? '' };
}

/** @throws Failure pki.request where a serial number of the subject or a user id is not allowed */
export function checkListed(given: readonly string[], globs: readonly string[], what: string): void {
  const bad = given.find((one) => !globs.some((glob) => globMatches(glob, one)));
  if (bad !== undefined) throw refused(`${what} ${shown(bad)} not allowed by this role`);
}
