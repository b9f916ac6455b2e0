/**
 * Roles: what may be asked of an issuer, and how it comes out. One schema says what a role holds and what it is without being
 * told; it is kept as it was read, with times in milliseconds. Names and defaults are those of the Vault HTTP API.
 */

import { z } from 'zod';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { commaList, duration, flag, integer } from '../../base/schema.ts';
import { isOid } from '../../crypto/x509/der.ts';
import { keyKind } from '../../crypto/x509/keytype.ts';

const yes = () => flag().default(true);
const no = () => flag().default(false);
const list = () => commaList().default([]);
const span = () => duration().default(0);

export const roleFields = {
  issuer_ref: z.string().default('default'),
  ttl: span(),
  max_ttl: span(),
  not_before_duration: duration().default(30_000),
  not_after: z.string().default(''),
  allow_localhost: yes(),
  allowed_domains: list(),
  allowed_domains_template: no(),
  allow_bare_domains: no(),
  allow_subdomains: no(),
  allow_glob_domains: no(),
  allow_wildcard_certificates: yes(),
  allow_any_name: no(),
  allow_token_displayname: no(),
  enforce_hostnames: yes(),
  allow_ip_sans: yes(),
  allowed_uri_sans: list(),
  allowed_uri_sans_template: no(),
  allowed_other_sans: list(),
  allowed_serial_numbers: list(),
  allowed_user_ids: list(),
  server_flag: yes(),
  client_flag: yes(),
  code_signing_flag: no(),
  email_protection_flag: no(),
  key_type: z.enum(['rsa', 'ec', 'ed25519', 'any']).default('rsa'),
  key_bits: integer().default(0),
  signature_bits: integer().default(0),
  use_pss: no(),
  key_usage: commaList().default(['DigitalSignature', 'KeyAgreement', 'KeyEncipherment']),
  ext_key_usage: list(),
  ext_key_usage_oids: list(),
  use_csr_common_name: yes(),
  use_csr_sans: yes(),
  require_cn: yes(),
  cn_validations: commaList().default(['email', 'hostname']),
  country: list(),
  organization: list(),
  ou: list(),
  locality: list(),
  province: list(),
  street_address: list(),
  postal_code: list(),
  policy_identifiers: list(),
  basic_constraints_valid_for_non_ca: no(),
  generate_lease: no(),
  no_store: no(),
};

const schema = z.object(roleFields);
export type Role = z.output<typeof schema>;

/** A role that allows everything and adds nothing: what `sign-verbatim` goes by without one. */
export const ANYTHING: Role = {
  ...schema.parse({}),
  allow_any_name: true,
  enforce_hostnames: false,
  key_type: 'any',
  allowed_uri_sans: ['*'],
  allowed_other_sans: ['*'],
  allowed_serial_numbers: ['*'],
  allowed_user_ids: ['*'],
  server_flag: false,
  client_flag: false,
  require_cn: false,
  cn_validations: ['disabled'],
};

const refused = (reason: string) => failure('pki.request', { reason });

/** @throws Failure pki.request where the fields contradict one another */
export function checkedRole(role: Role, mountMaxMs: number): Role {
  if (role.ttl < 0 || role.max_ttl < 0 || role.not_before_duration < 0)
    throw refused('a time to live is negative');
  if (role.max_ttl > 0 && role.ttl > role.max_ttl)
    throw refused('"ttl" value must be less than "max_ttl" value');
  if (role.max_ttl > mountMaxMs)
    throw refused('"max_ttl" value must be less than the longest life of this mount');
  if (role.allow_token_displayname)
    throw refused(
      'allow_token_displayname is not supported: display names are chosen by whoever logs in; set allowed_domains_template and name the caller with {{identity.entity.name}}',
    );
  if (role.key_type !== 'any') keyKind(role.key_type, role.key_bits);
  if (![0, 256, 384, 512].includes(role.signature_bits)) throw refused('invalid signature_bits');
  if (role.generate_lease && role.no_store)
    throw refused(
      'cannot create a role with both generate_lease and no_store: a lease revokes by what is stored',
    );
  const bad = [...role.ext_key_usage_oids, ...role.policy_identifiers].find((id) => !isOid(id));
  if (bad !== undefined)
    throw refused('ext_key_usage_oids or policy_identifiers holds what is no object identifier');
  const validations = role.cn_validations;
  if (!validations.every((one) => ['email', 'hostname', 'disabled'].includes(one)))
    throw refused('cn_validations must be email, hostname or disabled');
  if (validations.includes('disabled') && validations.length > 1)
    throw refused('cn_validations: "disabled" must stand alone');
  if (role.not_after !== '') parseNotAfter(role.not_after);
  return role;
}

/** Milliseconds since 1970. @throws Failure pki.request */
export function parseNotAfter(text: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  // 9999-12-31 is the last day that a certificate can name (RFC 5280 section 4.1.2.5).
  if (Number.isNaN(ms) || ms < 0 || ms > Date.UTC(9999, 11, 31, 23, 59, 59))
    throw refused('not_after is no time as 2006-01-02T15:04:05Z');
  return ms;
}

const text = z.string();
const texts = z.array(z.string());

export const roleAnswer = z.object(
  Object.fromEntries(Object.keys(roleFields).map((name) => [name, answerOf(name)])) as {
    [K in keyof Role]: z.ZodType<Role[K]>;
  },
);

function answerOf(name: string): z.ZodType {
  const value = (schema.parse({}) as Record<string, unknown>)[name];
  if (Array.isArray(value)) return texts;
  if (typeof value === 'boolean') return z.boolean();
  return typeof value === 'number' ? z.number() : text;
}

/** As the API tells it: times in seconds. */
export const roleData = (role: Role): Role => ({
  ...role,
  ttl: seconds(role.ttl),
  max_ttl: seconds(role.max_ttl),
  not_before_duration: seconds(role.not_before_duration),
});
