/** What callers send and are sent, shared by the routes: the fields, and how certificates and keys are written in an answer. */

import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { base64 } from '../../base/bytes.ts';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { commaList, duration, flag, integer } from '../../base/schema.ts';
import { certificatePem, readPem, serialText } from '../../crypto/x509/certificate.ts';
import { privateDer, privatePem } from '../../crypto/x509/keytype.ts';
import type { Subject } from '../../crypto/x509/name.ts';
import type { Constraints } from './constraints.ts';
import type { Wanted } from './issuing.ts';

export const list = () => commaList().default([]);
export const text = () => z.string().default('');

/** The names of a certificate. */
export const nameFields = {
  common_name: text(),
  alt_names: list(),
  ip_sans: list(),
  uri_sans: list(),
  other_sans: list(),
  exclude_cn_from_sans: flag().default(false),
  serial_number: text(),
  user_ids: list(),
  ttl: duration().default(0),
  not_after: text(),
};
export const formatFields = {
  format: z.enum(['pem', 'der', 'pem_bundle']).default('pem'),
  private_key_format: z.enum(['der', 'pem', 'pkcs8', '']).default('der'),
};
export const subjectFields = {
  ou: list(),
  organization: list(),
  country: list(),
  locality: list(),
  province: list(),
  street_address: list(),
  postal_code: list(),
};
export const keyFields = {
  key_type: z.enum(['rsa', 'ec', 'ed25519']).default('rsa'),
  key_bits: integer().default(0),
  key_name: text(),
  key_ref: z.string().default('default'),
};
export const signingFields = { signature_bits: integer().default(0), use_pss: flag().default(false) };
export const constraintFields = {
  max_path_length: integer().default(-1),
  permitted_dns_domains: list(),
  excluded_dns_domains: list(),
  permitted_ip_ranges: list(),
  excluded_ip_ranges: list(),
  permitted_email_addresses: list(),
  excluded_email_addresses: list(),
  permitted_uri_domains: list(),
  excluded_uri_domains: list(),
};

const names = z.object(nameFields);
const subjects = z.object(subjectFields);
const constraints = z.object(constraintFields);

export const wantedOf = (given: z.output<typeof names>): Wanted => ({
  commonName: given.common_name,
  altNames: given.alt_names,
  ipSans: given.ip_sans,
  uriSans: given.uri_sans,
  otherSans: given.other_sans,
  excludeCn: given.exclude_cn_from_sans,
  serialNumber: given.serial_number,
  userIds: given.user_ids,
  ttlMs: given.ttl,
  notAfter: given.not_after,
});

export const subjectOf = (given: z.output<typeof subjects> & z.output<typeof names>): Subject => ({
  country: given.country,
  organization: given.organization,
  ou: given.ou,
  locality: given.locality,
  province: given.province,
  streetAddress: given.street_address,
  postalCode: given.postal_code,
  commonName: given.common_name === '' ? [] : [given.common_name],
  serialNumber: given.serial_number === '' ? [] : [given.serial_number],
  userIds: given.user_ids,
});

export const constraintsOf = (given: z.output<typeof constraints>): Constraints => ({
  permitted: {
    dns: given.permitted_dns_domains,
    emails: given.permitted_email_addresses,
    uris: given.permitted_uri_domains,
    ips: given.permitted_ip_ranges,
  },
  excluded: {
    dns: given.excluded_dns_domains,
    emails: given.excluded_email_addresses,
    uris: given.excluded_uri_domains,
    ips: given.excluded_ip_ranges,
  },
});

/** DER of the one block of such a label that the text holds. @throws Failure pki.request */
export function onePem(given: string, label: RegExp, what: string): Buffer {
  const found = readPem(given)?.filter((block) => label.test(block.label));
  const [block] = found ?? [];
  if (block === undefined || found?.length !== 1)
    throw failure('pki.request', { reason: `${what} contains no data, or is no single one in PEM` });
  return block.der;
}
export const csrOf = (given: string): Buffer => onePem(given, /^(NEW )?CERTIFICATE REQUEST$/, 'the csr');

/** What a certificate is answered with. */
export const certificateAnswer = z.object({
  certificate: z.string(),
  issuing_ca: z.string(),
  ca_chain: z.array(z.string()).optional(),
  serial_number: z.string(),
  expiration: z.number(),
  not_before: z.number().optional(),
  private_key: z.string().optional(),
  private_key_type: z.string().optional(),
});

export interface Written {
  readonly der: Buffer;
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly issuing: Buffer;
  /** PEM. */
  readonly chain: readonly string[];
  readonly key?: KeyObject | undefined;
}

type Format = z.output<z.ZodObject<typeof formatFields>>;

/** A certificate in the form that was asked for; with its private key where there is one to give. */
export function written(made: Written, asked: Format): z.input<typeof certificateAnswer> {
  const isDer = asked.format === 'der';
  const one = (der: Buffer): string => (isDer ? base64(der) : certificatePem(der));
  const key = made.key && keyText(made.key, asked);
  const bundle = [
    ...(key === undefined ? [] : [key.private_key]),
    certificatePem(made.der),
    ...made.chain,
  ].join('\n');
  return {
    certificate: asked.format === 'pem_bundle' ? bundle : one(made.der),
    issuing_ca: one(made.issuing),
    ca_chain: made.chain.map((pem) => (isDer ? pem.replace(/-----[A-Z ]+-----|\s/g, '') : pem)),
    serial_number: serialText(made.serial),
    expiration: seconds(made.notAfter),
    not_before: seconds(made.notBefore),
    ...key,
  };
}

export function keyText(key: KeyObject, asked: Format): { private_key: string; private_key_type: string } {
  const form = asked.private_key_format;
  return {
    private_key: asked.format === 'der' ? base64(privateDer(key, form)) : privatePem(key, form),
    private_key_type: key.asymmetricKeyType ?? '',
  };
}

export const nothing = z.object({});
export const keysAnswer = z.object({ keys: z.array(z.string()) });
export const paged = { after: z.string().optional(), limit: integer().optional() };
export const pageOf = ({ after, limit }: { after?: string | undefined; limit?: number | undefined }) => ({
  ...(after === undefined ? {} : { after }),
  ...(limit === undefined || limit <= 0 ? {} : { limit }),
});

/** Bytes as they are, outside the envelope. */
export const raw = (type: string, body: Uint8Array, status = 200) => ({
  raw: { status, headers: { 'Content-Type': type }, body },
});
