/** `certs/<name>`: which clients may log in, and what for. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { commaList, flag } from '../../../base/schema.ts';
import { listing } from '../../../plugin/listing.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import { mergeTokenFields, tokenData, tokenInput, tokenOutput } from '../../token-fields.ts';
import { EXTENSION } from '../constraints.ts';
import { type Entry, NO_ENTRY } from '../entry.ts';
import { readPem } from '../x509.ts';

const one = z.object({ name: z.string().max(512) });
const nothing = z.object({});
const names = z.array(z.string());
const PEM_LIMIT = 256 * 1024;

const lists = {
  allowed_names: commaList().nullish(),
  allowed_common_names: commaList().nullish(),
  allowed_dns_sans: commaList().nullish(),
  allowed_email_sans: commaList().nullish(),
  allowed_uri_sans: commaList().nullish(),
  allowed_organizational_units: commaList().nullish(),
  required_extensions: commaList().nullish(),
  allowed_metadata_extensions: commaList().nullish(),
};
const certInput = one.extend({
  certificate: z.string().max(PEM_LIMIT).nullish(),
  display_name: z.string().max(512).nullish(),
  ...lists,
  ocsp_enabled: flag().nullish(),
  ocsp_ca_certificates: z.string().nullish(),
  ocsp_servers_override: commaList().nullish(),
  ocsp_fail_open: flag().nullish(),
  ocsp_query_all_servers: flag().nullish(),
  ...tokenInput,
});
const certOutput = z.object({
  certificate: z.string(),
  display_name: z.string(),
  allowed_names: names,
  allowed_common_names: names,
  allowed_dns_sans: names,
  allowed_email_sans: names,
  allowed_uri_sans: names,
  allowed_organizational_units: names,
  required_extensions: names,
  allowed_metadata_extensions: names,
  ocsp_enabled: z.boolean(),
  ...tokenOutput,
});

export function certRoutes(certs: Shelf<Entry>): Route[] {
  return [
    listing('certs', 'List the trusted certificates by name.', certs),
    {
      path: 'certs/:name',
      lowercase: ['name'],
      exists: async ({ name = '' }) => (await certs.get(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read a trusted certificate and what it asks of its clients.',
          input: one,
          output: certOutput,
          effect: 'none',
          async run({ name }) {
            const entry = await certs.get(name);
            return entry === undefined ? {} : { data: certText(entry) };
          },
        }),
        write: operation({
          summary: 'Trust a certificate, or change what it asks; fields left out stay as they are.',
          input: certInput,
          output: nothing,
          effect: 'write',
          async run({ name, ...given }) {
            await certs.change(name, (before) =>
              changed(before ?? { ...NO_ENTRY, displayName: name }, given),
            );
            return {};
          },
        }),
        delete: operation({
          summary: 'Trust a certificate no longer.',
          input: one,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await certs.delete(name);
            return {};
          },
        }),
      },
    },
  ];
}

/** @throws Failure cert.invalid, method.token_fields */
function changed(before: Entry, given: Omit<z.output<typeof certInput>, 'name'>): Entry {
  // Taken and not done, it would let in whom the authority has revoked.
  if (given.ocsp_enabled) throw refuse("OCSP is not supported: write the authority's list to crls/<name>");
  const entry: Entry = {
    certificate: given.certificate?.trim() || before.certificate,
    displayName: given.display_name ?? before.displayName,
    names: given.allowed_names ?? before.names,
    commonNames: given.allowed_common_names ?? before.commonNames,
    dnsSans: given.allowed_dns_sans ?? before.dnsSans,
    emailSans: given.allowed_email_sans ?? before.emailSans,
    uriSans: given.allowed_uri_sans ?? before.uriSans,
    units: given.allowed_organizational_units ?? before.units,
    requiredExtensions: given.required_extensions ?? before.requiredExtensions,
    metadataExtensions: given.allowed_metadata_extensions ?? before.metadataExtensions,
    token: mergeTokenFields(before.token, given),
  };
  const certificates = readPem(entry.certificate);
  if (certificates === undefined) throw refuse('failed to parse certificate');
  if (certificates.length > 1 && !certificates.every(({ isCa }) => isCa))
    throw refuse('several certificates at once must all be authorities');
  if (!entry.requiredExtensions.every((asked) => EXTENSION.test(asked)))
    throw refuse('required_extensions takes "oid:value" or "hex:oid:value"');
  if (!entry.metadataExtensions.every((oid) => /^\d+(\.\d+)+$/.test(oid)))
    throw refuse('allowed_metadata_extensions takes OIDs');
  return entry;
}

const certText = (entry: Entry): z.input<typeof certOutput> => ({
  certificate: entry.certificate,
  display_name: entry.displayName,
  allowed_names: [...entry.names],
  allowed_common_names: [...entry.commonNames],
  allowed_dns_sans: [...entry.dnsSans],
  allowed_email_sans: [...entry.emailSans],
  allowed_uri_sans: [...entry.uriSans],
  allowed_organizational_units: [...entry.units],
  required_extensions: [...entry.requiredExtensions],
  allowed_metadata_extensions: [...entry.metadataExtensions],
  ocsp_enabled: false,
  ...tokenData(entry.token),
});

const refuse = (reason: string) => failure('cert.invalid', { reason });
