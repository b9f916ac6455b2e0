/** Roles: what they are made of, and how they are told. A write replaces the whole role, as upstream's does. Pure. */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { anyNames, duration, flag, integer } from '../../base/schema.ts';
import { RSA_SIGNATURES, type RsaSignature } from '../../crypto/ssh/privatekey.ts';
import { checkedCidrs, checkedText, options, refused, shown, text } from './fields.ts';

/** Spans in milliseconds; 0 means: the mount's. Lists are kept as they were written, separated by commas. */
export interface CaRole {
  readonly kind: 'ca';
  readonly allowUser: boolean;
  readonly allowHost: boolean;
  readonly allowedUsers: string;
  readonly defaultUser: string;
  readonly allowedDomains: string;
  readonly allowBareDomains: boolean;
  readonly allowSubdomains: boolean;
  readonly allowEmptyPrincipals: boolean;
  readonly allowedCriticalOptions: string;
  readonly allowedExtensions: string;
  readonly defaultCriticalOptions: Readonly<Record<string, string>>;
  readonly defaultExtensions: Readonly<Record<string, string>>;
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly notBeforeMs: number;
  readonly allowUserKeyIds: boolean;
  readonly keyIdFormat: string;
  readonly keyLengths: Readonly<Record<string, readonly number[]>>;
  readonly signer: 'default' | RsaSignature;
  /** The fields that hold templates; absent: none. */
  readonly templated?: readonly Templated[];
  /** Whether what templates fill in may hold commas, which part one name from the next. */
  readonly allowCommas?: true;
}

export interface OtpRole {
  readonly kind: 'otp';
  readonly defaultUser: string;
  readonly allowedUsers: string;
  readonly cidrs: string;
  readonly excludedCidrs: string;
  readonly port: number;
}

export type Role = CaRole | OtpRole;

/** Fields that may hold templates of the caller's identity, where `<field>_template` says so. */
const TEMPLATED = ['allowed_users', 'allowed_domains', 'default_user', 'default_extensions'] as const;
export type Templated = (typeof TEMPLATED)[number];

/** One length or several for each kind of key. */
const lengths = anyNames(
  z.record(
    z.string(),
    z.preprocess((given) => (Array.isArray(given) ? given : [given]), z.array(integer()).max(64)),
  ),
);

export const roleInput = z.object({
  role: z.string(),
  key_type: text().nullish(),
  default_user: text().nullish(),
  allowed_users: text().nullish(),
  cidr_list: text().nullish(),
  exclude_cidr_list: text().nullish(),
  port: integer().nullish(),
  allowed_domains: text().nullish(),
  ttl: duration().nullish(),
  max_ttl: duration().nullish(),
  allowed_critical_options: text().nullish(),
  allowed_extensions: text().nullish(),
  default_critical_options: options().nullish(),
  default_extensions: options().nullish(),
  allow_user_certificates: flag().nullish(),
  allow_host_certificates: flag().nullish(),
  allow_bare_domains: flag().nullish(),
  allow_subdomains: flag().nullish(),
  allow_user_key_ids: flag().nullish(),
  allow_empty_principals: flag().nullish(),
  allow_commas_in_identity_templates: flag().nullish(),
  key_id_format: text().nullish(),
  allowed_user_key_lengths: lengths.nullish(),
  algorithm_signer: text().nullish(),
  not_before_duration: duration().nullish(),
  issuer_ref: text().nullish(),
  allowed_users_template: flag().nullish(),
  allowed_domains_template: flag().nullish(),
  default_user_template: flag().nullish(),
  default_extensions_template: flag().nullish(),
});
type Given = z.output<typeof roleInput>;

const DEFAULT_PORT = 22;
const MOST_PORT = 65_535;
const DEFAULT_NOT_BEFORE_MS = 30_000;

/** @throws Failure ssh.request */
export function roleOf(given: Given): Role {
  const kind = (given.key_type ?? '').toLowerCase();
  if (kind === '') throw refused('missing key type');
  if (kind === 'dynamic') throw refused('dynamic key type roles are no longer supported');
  if (kind === 'otp') return otpRole(given);
  if (kind === 'ca') return caRole(given);
  throw refused('invalid key type');
}

function otpRole(given: Given): OtpRole {
  const defaultUser = checkedText(given.default_user ?? '', 'default_user');
  if (defaultUser === '') throw refused('missing default user');
  const port = given.port || DEFAULT_PORT;
  if (port < 1 || port > MOST_PORT) throw refused('port must be from 1 to 65535');
  return {
    kind: 'otp',
    defaultUser,
    allowedUsers: checkedText(given.allowed_users ?? '', 'allowed_users'),
    cidrs: checkedCidrs(given.cidr_list ?? '', 'cidr_list'),
    excludedCidrs: checkedCidrs(given.exclude_cidr_list ?? '', 'exclude_cidr_list'),
    port,
  };
}

function caRole(given: Given): CaRole {
  const role: CaRole = {
    kind: 'ca',
    allowUser: given.allow_user_certificates === true,
    allowHost: given.allow_host_certificates === true,
    allowedUsers: checkedText(given.allowed_users ?? '', 'allowed_users'),
    defaultUser: checkedText(given.default_user ?? '', 'default_user'),
    allowedDomains: checkedText(given.allowed_domains ?? '', 'allowed_domains'),
    allowBareDomains: given.allow_bare_domains === true,
    allowSubdomains: given.allow_subdomains === true,
    allowEmptyPrincipals: given.allow_empty_principals === true,
    allowedCriticalOptions: given.allowed_critical_options ?? '',
    allowedExtensions: given.allowed_extensions ?? '',
    defaultCriticalOptions: checkedOptions(given.default_critical_options ?? {}, 'default_critical_options'),
    defaultExtensions: checkedOptions(given.default_extensions ?? {}, 'default_extensions'),
    ttlMs: span(given.ttl ?? 0, 'ttl'),
    maxTtlMs: span(given.max_ttl ?? 0, 'max_ttl'),
    notBeforeMs: span(given.not_before_duration ?? DEFAULT_NOT_BEFORE_MS, 'not_before_duration'),
    allowUserKeyIds: given.allow_user_key_ids === true,
    keyIdFormat: checkedText(given.key_id_format ?? '', 'key_id_format'),
    keyLengths: given.allowed_user_key_lengths ?? {},
    signer: signerOf(given.algorithm_signer || 'default'),
    templated: TEMPLATED.filter((field) => given[`${field}_template`] === true),
    ...(given.allow_commas_in_identity_templates === true ? { allowCommas: true } : {}),
  };
  if (!role.allowUser && !role.allowHost)
    throw refused("Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'");
  if (role.ttlMs > 0 && role.maxTtlMs > 0 && role.ttlMs > role.maxTtlMs)
    throw refused('"ttl" value must be less than "max_ttl" when both are specified');
  if ((given.issuer_ref || 'default') !== 'default')
    throw refused('issuer_ref: this engine has one issuer, "default"');
  return role;
}

function signerOf(name: string): CaRole['signer'] {
  if (name === 'default') return name;
  if (Object.hasOwn(RSA_SIGNATURES, name)) return name as RsaSignature;
  throw refused(`unknown algorithm signer ${JSON.stringify(shown(name))}`);
}

/** @throws Failure ssh.request */
export function span(ms: number, field: string): number {
  if (ms < 0)
    throw refused(
      `Field validation failed: error converting input for field "${field}": cannot provide negative value`,
    );
  return seconds(ms) * 1000;
}

/** Names and values of options that go into certificates. @throws Failure ssh.request */
export function checkedOptions(
  given: Readonly<Record<string, string>>,
  field: string,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(given)) {
    if (!/^[\x21-\x7e]{1,256}$/.test(name)) throw refused(`${field}: a name must be of ASCII without blanks`);
    checkedText(value, `${field}: the value of ${name}`);
  }
  return given;
}

const optionsOut = z.record(z.string(), z.string());

export const roleOutput = z.union([
  z.object({
    key_type: z.literal('otp'),
    default_user: z.string(),
    allowed_users: z.string(),
    cidr_list: z.string(),
    exclude_cidr_list: z.string(),
    port: z.number(),
  }),
  z.object({
    key_type: z.literal('ca'),
    allow_user_certificates: z.boolean(),
    allow_host_certificates: z.boolean(),
    allowed_users: z.string(),
    allowed_users_template: z.boolean(),
    default_user: z.string(),
    default_user_template: z.boolean(),
    allowed_domains: z.string(),
    allowed_domains_template: z.boolean(),
    allow_bare_domains: z.boolean(),
    allow_subdomains: z.boolean(),
    allow_empty_principals: z.boolean(),
    allow_commas_in_identity_templates: z.boolean(),
    allowed_critical_options: z.string(),
    allowed_extensions: z.string(),
    default_critical_options: optionsOut,
    default_extensions: optionsOut,
    default_extensions_template: z.boolean(),
    ttl: z.number(),
    max_ttl: z.number(),
    not_before_duration: z.number(),
    allow_user_key_ids: z.boolean(),
    key_id_format: z.string(),
    allowed_user_key_lengths: z.record(z.string(), z.array(z.number())),
    algorithm_signer: z.string(),
    issuer_ref: z.string(),
  }),
]);

/** A role as the API tells it; spans in seconds. */
export function told(role: Role): z.input<typeof roleOutput> {
  if (role.kind === 'otp')
    return {
      key_type: 'otp',
      default_user: role.defaultUser,
      allowed_users: role.allowedUsers,
      cidr_list: role.cidrs,
      exclude_cidr_list: role.excludedCidrs,
      port: role.port,
    };
  const isTemplate = (field: Templated): boolean => role.templated?.includes(field) === true;
  return {
    key_type: 'ca',
    allow_user_certificates: role.allowUser,
    allow_host_certificates: role.allowHost,
    allowed_users: role.allowedUsers,
    allowed_users_template: isTemplate('allowed_users'),
    default_user: role.defaultUser,
    default_user_template: isTemplate('default_user'),
    allowed_domains: role.allowedDomains,
    allowed_domains_template: isTemplate('allowed_domains'),
    allow_bare_domains: role.allowBareDomains,
    allow_subdomains: role.allowSubdomains,
    allow_empty_principals: role.allowEmptyPrincipals,
    allow_commas_in_identity_templates: role.allowCommas === true,
    allowed_critical_options: role.allowedCriticalOptions,
    allowed_extensions: role.allowedExtensions,
    default_critical_options: { ...role.defaultCriticalOptions },
    default_extensions: { ...role.defaultExtensions },
    default_extensions_template: isTemplate('default_extensions'),
    ttl: seconds(role.ttlMs),
    max_ttl: seconds(role.maxTtlMs),
    not_before_duration: seconds(role.notBeforeMs),
    allow_user_key_ids: role.allowUserKeyIds,
    key_id_format: role.keyIdFormat,
    allowed_user_key_lengths: Object.fromEntries(
      Object.entries(role.keyLengths).map(([type, bits]) => [type, [...bits]]),
    ),
    algorithm_signer: role.signer,
    issuer_ref: 'default',
  };
}
