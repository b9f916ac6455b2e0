/**
 * `issuer/:ref/resign-crls` and `issuer/:ref/sign-revocation-list`: lists that are put together elsewhere and signed here.
 * Nothing of them is stored. Whoever may ask can say of any certificate of the issuer that it is revoked, or leave it out.
 */

import { z } from 'zod';
import { base64, fromBase64 } from '../../../base/bytes.ts';
import { failure, isFailure } from '../../../base/errors.ts';
import { duration, flag, integer } from '../../../base/schema.ts';
import { crlPem, parseSerial, readPem } from '../../../crypto/x509/certificate.ts';
import { isOid } from '../../../crypto/x509/der.ts';
import { EXT, extensionOf } from '../../../crypto/x509/extensions.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { type ListEntry, readList, signList } from '../crl.ts';
import { findIssuer, signerFor } from '../issuers.ts';
import type { PkiStore } from '../store.ts';

const refused = (reason: string) => failure('pki.request', { reason });
const DEFAULT_LIFE = 72 * 3_600_000;
/** One list is one signature, but it is held in memory as a whole. */
const MOST_ENTRIES = 1_000_000;

const common = {
  ref: z.string(),
  crl_number: integer().default(0),
  delta_crl_base_number: integer().default(-1),
  next_update: duration().default(DEFAULT_LIFE),
  format: z.string().default('pem'),
};
type Common = z.output<z.ZodObject<typeof common>>;

const extension = z.object({
  id: z.string(),
  critical: z
    .union([flag(), z.null()])
    .optional()
    .transform((given) => given ?? false),
  value: z.string(),
});
type Extension = z.output<typeof extension>;
const entry = z.object({
  serial_number: z.string(),
  revocation_time: z.union([z.string(), z.number()]),
  extensions: z.array(extension).nullish(),
});
const answer = z.object({ crl: z.string() });

export function listSigningRoutes(store: PkiStore): Route[] {
  /** @param more extensions of the list in DER */
  const signWith = async (given: Common, revoked: readonly ListEntry[], more: readonly Buffer[]) => {
    const found = await findIssuer(store, given.ref);
    const signer = await signerFor(store, found, 'crl-signing');
    const now = store.now();
    const base = given.delta_crl_base_number;
    const der = signList(
      found.certificate,
      revoked,
      { now, expires: now + given.next_update },
      { number: given.crl_number, ...(base < 0 ? {} : { base }) },
      signer,
      more,
    );
    return { crl: given.format.toLowerCase() === 'der' ? base64(der) : `${crlPem(der)}\n` };
  };

  return [
    {
      path: 'issuer/:ref/resign-crls',
      operations: {
        write: operation({
          summary: 'Put lists that this issuer signed together into one, and sign that.',
          input: z.object({
            ...common,
            crls: z.union([z.array(z.string()), z.string().transform((one) => [one])]).default([]),
          }),
          output: answer,
          effect: 'write',
          async run(given) {
            checkCommon(given);
            const { certificate } = await findIssuer(store, given.ref);
            const lists = given.crls.map((pem, index) => {
              const list = readPemList(pem, index);
              if (!list.isSignedBy(certificate))
                throw refused(`CRL index: ${index} was not signed by requested issuer`);
              return list;
            });
            const { entries, warnings } = merged(lists.flatMap(({ revoked }) => revoked));
            return { data: await signWith(given, entries, []), warnings };
          },
        }),
      },
    },
    {
      path: 'issuer/:ref/sign-revocation-list',
      operations: {
        write: operation({
          summary: 'Sign a revocation list of the entries that are given.',
          input: z.object({
            ...common,
            revoked_certs: z.array(entry).max(MOST_ENTRIES).default([]),
            extensions: z.array(extension).default([]),
          }),
          output: answer,
          effect: 'write',
          async run(given) {
            checkCommon(given);
            const seen = new Map<string, number>();
            const entries = given.revoked_certs.map((one, index): ListEntry => {
              const serial = parseSerial(one.serial_number.replaceAll(/[. ]/g, ''));
              if (serial === undefined)
                throw refused(
                  `failed parsing serial_number from entry ${index}: 'serial_number' failed converting to bytes`,
                );
              const before = seen.get(serial);
              if (before !== undefined)
                throw refused(`duplicate serial number: ${serial}, original entry ${before} and ${index}`);
              seen.set(serial, index);
              const at = timeOf(one.revocation_time);
              if (at === undefined)
                throw refused(`failed parsing revocation_time from entry ${index}: it is no time`);
              return { serial, at, extensions: encoded(one.extensions ?? []) };
            });
            return { data: await signWith(given, entries, encoded(given.extensions)) };
          },
        }),
      },
    },
  ];
}

/** @throws Failure pki.request */
function checkCommon(given: Common): void {
  if (!['pem', 'der'].includes(given.format.toLowerCase()))
    throw refused(`unknown format value of ${given.format.replace(/[^\w-]/g, '?').slice(0, 40)}`);
  if (given.next_update <= 0) throw refused('next_update parameter must be greater than 0');
  if (given.crl_number < 0) throw refused('crl_number parameter must be 0 or greater');
  if (given.delta_crl_base_number < -1)
    throw refused('delta_crl_base_number parameter must be -1 or greater');
}

function readPemList(pem: string, index: number) {
  const [block, ...more] = readPem(pem) ?? [];
  if (block?.label !== 'X509 CRL' || more.length > 0)
    throw refused(`failed decoding crl ${index}: invalid crl; should be one PEM block only`);
  try {
    return readList(block.der);
  } catch (error) {
    if (!isFailure(error, 'pki.malformed')) throw error;
    throw refused(`failed decoding crl ${index}: it is malformed`);
  }
}

/** One entry for each serial number, the oldest where they differ: nobody's certificate is revoked later by being copied. */
function merged(all: readonly ListEntry[]): { entries: ListEntry[]; warnings: string[] } {
  const found = new Map<string, ListEntry>();
  const warnings: string[] = [];
  for (const one of all) {
    const before = found.get(one.serial);
    if (before !== undefined && before.at !== one.at)
      warnings.push(
        `Duplicate serial ${one.serial} with different revocation times detected, using oldest revocation time`,
      );
    if (before === undefined || one.at < before.at) found.set(one.serial, one);
  }
  return { entries: [...found.values()], warnings };
}

const RESERVED: Readonly<Record<string, string>> = {
  [EXT.authorityKeyId]: 'authority key',
  [EXT.crlNumber]: 'crl number',
  [EXT.deltaCrl]: 'delta crl',
};

/** @throws Failure pki.request where one is the signer's own to write, stands twice, or is no extension */
function encoded(given: readonly Extension[]): Buffer[] {
  const seen = new Set<string>();
  return given.map(({ id, critical, value }, index) => {
    const failed = (why: string) => refused(`failed parsing extension entry ${index}: ${why}`);
    if (!isOid(id)) throw failed("'id' is no object identifier");
    if (RESERVED[id] !== undefined) throw failed(`${RESERVED[id]} object identifier (${id}) is reserved`);
    if (seen.has(id)) throw refused(`duplicate extension id: ${id}`);
    seen.add(id);
    const bytes = fromBase64(value);
    if (bytes === undefined) throw failed("failed base64 decoding 'value' field");
    return extensionOf(id, { critical, value: Buffer.from(bytes) });
  });
}

/** RFC 3339, or seconds since 1970. */
function timeOf(given: string | number): number | undefined {
  const seconds = typeof given === 'number' || /^\d{1,12}$/.test(given) ? Number(given) : undefined;
  if (seconds !== undefined)
    return Number.isSafeInteger(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
  const ms = /^\d{4}-\d\d-\d\dT/.test(String(given)) ? Date.parse(String(given)) : Number.NaN;
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}
