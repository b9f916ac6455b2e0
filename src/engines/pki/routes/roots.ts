/** Making authorities: roots here, intermediates with the help of whoever signs their request, and signing those of others. */

import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { base64 } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import { flag } from '../../../base/schema.ts';
import {
  certificatePem,
  isSelfIssued,
  namesOf,
  readCertificate,
  readRequest,
  requestPem,
  serialText,
  signCertificate,
  signRequest,
} from '../../../crypto/x509/certificate.ts';
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  EXT,
  extensionOf,
  keyIdOf,
  keyUsage,
  keyUsageBits,
  subjectKeyId,
} from '../../../crypto/x509/extensions.ts';
import { type KeyKind, keyKind, kindOf, makeKey, signerOf, spkiOf } from '../../../crypto/x509/keytype.ts';
import { encodeName, isEmpty } from '../../../crypto/x509/name.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import {
  certificateAnswer,
  constraintFields,
  constraintsOf,
  csrOf,
  formatFields,
  keyFields,
  keyText,
  nameFields,
  nothing,
  onePem,
  signingFields,
  subjectFields,
  subjectOf,
  text,
  wantedOf,
  written,
} from '../asking.ts';
import { constraintsExtension } from '../constraints.ts';
import {
  chainOf,
  checkedName,
  findIssuer,
  findKey,
  importBundle,
  keepIssuer,
  signerFor,
  urlsOf,
} from '../issuers.ts';
import {
  checkConstraints,
  commonExtensions,
  isBare,
  namesAndCommon,
  sortNames,
  timesOf,
  urlExtensions,
  withCommonName,
} from '../issuing.ts';
import { refreshLists } from '../lists.ts';
import { ANYTHING } from '../role.ts';
import { NO_URLS, type PkiStore } from '../store.ts';

const AUTHORITY = keyUsageBits(['CertSign', 'CRLSign']);
const exported = z.enum(['internal', 'exported', 'existing']);
const refused = (reason: string) => failure('pki.request', { reason });

const rootInput = z.object({
  exported,
  issuer_name: text(),
  ...nameFields,
  ...formatFields,
  ...subjectFields,
  ...keyFields,
  ...signingFields,
  ...constraintFields,
});
const rootAnswer = certificateAnswer.extend({
  issuer_id: z.string(),
  issuer_name: z.string(),
  key_id: z.string(),
  key_name: z.string(),
});
const requestInput = z.object({
  exported: exported.default('existing'),
  add_basic_constraints: flag().default(false),
  ...nameFields,
  ...formatFields,
  ...subjectFields,
  ...keyFields,
  ...signingFields,
});
const requestAnswer = z.object({
  csr: z.string(),
  key_id: z.string(),
  private_key: z.string().optional(),
  private_key_type: z.string().optional(),
});
export const importAnswer = z.object({
  imported_issuers: z.array(z.string()).nullable(),
  imported_keys: z.array(z.string()).nullable(),
  existing_issuers: z.array(z.string()).nullable(),
  existing_keys: z.array(z.string()).nullable(),
  mapping: z.record(z.string(), z.string()),
});
const authorityInput = z.object({
  issuer: z.string().default('default'),
  csr: z.string(),
  use_csr_values: flag().default(false),
  issuer_ref: z.string().optional(),
  ...nameFields,
  ...formatFields,
  ...subjectFields,
  ...signingFields,
  ...constraintFields,
});

export function rootRoutes(mount: Mount, store: PkiStore): Route[] {
  /** The key that an authority is to have. Kept before it signs anything, so that no certificate stands without one. */
  const keyFor = async (given: {
    exported: z.output<typeof exported>;
    key_type: string;
    key_bits: number;
    key_name: string;
    key_ref: string;
  }): Promise<{ key: KeyObject; keep(): Promise<{ id: string; name: string }> }> => {
    if (given.exported === 'existing') {
      const { id, name } = await findKey(store, given.key_ref);
      return { key: await store.privateKey(id), keep: async () => ({ id, name }) };
    }
    const kind: KeyKind = keyKind(given.key_type, given.key_bits);
    const name = checkedName(given.key_name, 'key');
    const key = await makeKey(kind);
    return { key, keep: async () => (await store.keepKey(key, kind, spkiOf(key), name)).key };
  };

  const generateRoot = operation({
    summary: 'Make a root: a key, and a certificate that it signs for itself.',
    input: rootInput,
    output: rootAnswer,
    effect: 'write',
    async run(given) {
      if (given.common_name === '') throw refused('The common_name field is required');
      const issuerName = checkedName(given.issuer_name, 'issuer');
      if (issuerName !== '' && (await store.all('issuer')).some(({ name }) => name === issuerName))
        throw refused('issuer name already in use');
      const wanted = wantedOf(given);
      const { warnings, ...times } = timesOf(wanted, ANYTHING, mount.ttl(), mount.clock.now(), undefined);
      const { key, keep } = await keyFor(given);
      const spki = spkiOf(key);
      const subject = subjectOf(given);
      const name = encodeName(subject);
      const asked = sortNames(wanted);
      const names = given.exclude_cn_from_sans ? asked : withCommonName(asked, given.common_name);
      const constraints = constraintsExtension(constraintsOf(given));
      const serial = store.newSerial();
      const der = signCertificate(
        {
          serial,
          issuer: name,
          subject: name,
          spki,
          ...times,
          extensions: [
            keyUsage(AUTHORITY),
            basicConstraints(true, given.max_path_length),
            subjectKeyId(keyIdOf(spki)),
            authorityKeyId(keyIdOf(spki)),
            ...urlExtensions(await store.setting('urls').then((urls) => (urls.templating ? NO_URLS : urls))),
            ...(isEmpty(names) ? [] : [alternativeNames(names, false)]),
            ...(constraints === undefined ? [] : [constraints]),
          ],
        },
        signerOf(key, given.signature_bits, given.use_pss),
      );
      const kept = await keep();
      const { issuer } = await keepIssuer(store, readCertificate(der), issuerName);
      await store.keepCertificate(serialText(serial), der);
      await refreshLists(store);
      const { ca_chain: _, ...data } = written(
        {
          der,
          serial,
          ...times,
          issuing: der,
          chain: [],
          key: given.exported === 'exported' ? key : undefined,
        },
        given,
      );
      return {
        data: {
          ...data,
          issuer_id: issuer.id,
          issuer_name: issuer.name,
          key_id: kept.id,
          key_name: kept.name,
        },
        warnings,
      };
    },
  });

  const generateRequest = operation({
    summary: 'Make a key and a request, for somebody else to sign as an intermediate authority.',
    input: requestInput,
    output: requestAnswer,
    effect: 'write',
    async run(given) {
      if (given.common_name === '') throw refused('The common_name field is required');
      const asked = sortNames(wantedOf(given));
      const names = given.exclude_cn_from_sans ? asked : withCommonName(asked, given.common_name);
      const { key, keep } = await keyFor(given);
      const extensions = [
        ...(given.add_basic_constraints ? [basicConstraints(true)] : []),
        ...(isEmpty(names) ? [] : [alternativeNames(names, false)]),
      ];
      const signer = signerOf(key, given.signature_bits, given.use_pss);
      const der = signRequest(encodeName(subjectOf(given)), key, extensions, signer);
      const kept = await keep();
      const secret = given.exported === 'exported' ? keyText(key, given) : undefined;
      const pem = requestPem(der);
      const whole =
        given.format === 'pem_bundle' && secret !== undefined ? `${secret.private_key}\n${pem}` : pem;
      return { data: { csr: given.format === 'der' ? base64(der) : whole, key_id: kept.id, ...secret } };
    },
  });

  const takeIn = (summary: string, field: 'certificate' | 'pem_bundle', withKeys: boolean) =>
    operation({
      summary,
      input: z.object({ [field]: z.string() }) as z.ZodType<Record<string, string>>,
      output: importAnswer,
      effect: 'write',
      async run(given): Promise<Reply<z.input<typeof importAnswer>>> {
        const found = await importBundle(store, given[field] ?? '', withKeys);
        await refreshLists(store);
        const some = (ids: readonly string[]): string[] | null => (ids.length === 0 ? null : [...ids]);
        return {
          data: {
            imported_issuers: some(found.issuers),
            imported_keys: some(found.keys),
            existing_issuers: some(found.existingIssuers),
            existing_keys: some(found.existingKeys),
            mapping: { ...found.mapping },
          },
        };
      },
    });

  const signIntermediate = operation({
    summary: 'Sign the request of an intermediate authority.',
    input: authorityInput,
    output: certificateAnswer,
    effect: 'write',
    async run(given) {
      const found = await findIssuer(store, given.issuer_ref ?? given.issuer);
      const parent = found.certificate;
      const signer = await signerFor(
        store,
        found,
        'issuing-certificates',
        given.signature_bits,
        given.use_pss,
      );
      const request = readRequest(csrOf(given.csr));
      const kind = kindOf(request.key);
      if (kind === undefined || (kind.type === 'rsa' && kind.bits < 2048))
        throw refused('the key of the csr is too weak or of an unknown type');
      const wanted = wantedOf(given);
      const subject = given.use_csr_values ? request.subject : subjectOf(given);
      const commonName = subject.commonName[0] ?? '';
      if (commonName === '')
        throw refused(
          'The common_name field is required, or must be provided in a CSR with "use_csr_values" set to true',
        );
      const asked = given.use_csr_values ? namesOf(request) : sortNames(wanted);
      const names =
        given.exclude_cn_from_sans || given.use_csr_values ? asked : withCommonName(asked, commonName);
      checkConstraints(parent, namesAndCommon(names, { ...subject, commonName: [] }));
      const behavior = found.issuer.leafBehavior === 'truncate' ? 'truncate' : 'permit';
      const { warnings, ...times } = timesOf(wanted, ANYTHING, mount.ttl(), mount.clock.now(), {
        certificate: parent,
        behavior,
      });
      const constraints = constraintsExtension(constraintsOf(given));
      const serial = store.newSerial();
      const der = signCertificate(
        {
          serial,
          issuer: parent.subject,
          subject: given.use_csr_values ? request.rawSubject : encodeName(subject),
          spki: request.spki,
          ...times,
          extensions: [
            keyUsage(AUTHORITY),
            basicConstraints(true, pathLengthBelow(parent.pathLength, given.max_path_length)),
            ...commonExtensions(request.spki, parent, await urlsOf(store, found)),
            ...(isEmpty(names) ? [] : [alternativeNames(names, isBare(subject))]),
            ...(constraints === undefined ? [] : [constraints]),
          ],
        },
        signer,
      );
      await store.keepCertificate(serialText(serial), der);
      const chain = await chainOf(store, found);
      return { data: written({ der, serial, ...times, issuing: parent.der, chain }, given), warnings };
    },
  });

  const signSelfIssued = operation({
    summary: 'Sign a root of somebody else, so that those who trust this issuer trust it too.',
    input: z.object({
      issuer: z.string().default('default'),
      certificate: z.string(),
      require_matching_certificate_algorithms: flag().default(false),
    }),
    output: z.object({ certificate: z.string(), issuing_ca: z.string() }),
    effect: 'write',
    async run(given) {
      const found = await findIssuer(store, given.issuer);
      const old = readCertificate(onePem(given.certificate, /^CERTIFICATE$/, 'the certificate'));
      if (!old.isCa) throw refused('given certificate is not a CA certificate');
      if (!isSelfIssued(old)) throw refused('given certificate is not self-issued');
      checkConstraints(found.certificate, namesOf(old));
      const signer = await signerFor(store, found, 'issuing-certificates');
      pathLengthBelow(found.certificate.pathLength, old.pathLength);
      const kept = [...old.extensions].filter(([id]) => !REPLACED.has(id));
      const serial = store.newSerial();
      const der = signCertificate(
        {
          serial,
          issuer: found.certificate.subject,
          subject: old.subject,
          spki: old.spki,
          notBefore: old.notBefore,
          notAfter: old.notAfter,
          extensions: [
            ...kept.map(([id, extension]) => extensionOf(id, extension)),
            ...commonExtensions(old.spki, found.certificate, await urlsOf(store, found)),
          ],
        },
        signer,
      );
      await store.keepCertificate(serialText(serial), der);
      return {
        data: { certificate: certificatePem(der), issuing_ca: certificatePem(found.certificate.der) },
      };
    },
  });

  const write = (path: string, made: ReturnType<typeof operation>, more: Partial<Route> = {}): Route => ({
    path,
    operations: { write: made },
    ...more,
  });
  return [
    write('root/generate/:exported', generateRoot),
    write('root/rotate/:exported', generateRoot),
    write('issuers/generate/root/:exported', generateRoot),
    write('intermediate/generate/:exported', generateRequest),
    write('issuers/generate/intermediate/:exported', generateRequest),
    write('intermediate/cross-sign', generateRequest),
    write(
      'intermediate/set-signed',
      takeIn(
        'Bring in the certificate that somebody signed for a request of this mount.',
        'certificate',
        false,
      ),
    ),
    write('config/ca', takeIn('Bring in certificates and keys of authorities.', 'pem_bundle', true)),
    write('issuers/import/cert', takeIn('Bring in certificates of authorities.', 'pem_bundle', false)),
    write(
      'issuers/import/bundle',
      takeIn('Bring in certificates and keys of authorities.', 'pem_bundle', true),
    ),
    write('root/sign-intermediate', signIntermediate),
    write('issuer/:issuer/sign-intermediate', signIntermediate),
    write('root/sign-self-issued', signSelfIssued, { access: 'sudo' }),
    write('issuer/:issuer/sign-self-issued', signSelfIssued, { access: 'sudo' }),
    {
      path: 'root',
      access: 'sudo',
      operations: {
        delete: operation({
          summary: 'Delete every issuer and every key of the mount.',
          input: z.object({}),
          output: nothing,
          effect: 'write',
          async run(): Promise<Reply<Record<string, never>>> {
            for (const { id } of await store.all('issuer')) await store.delete('issuer', id);
            for (const { id } of await store.all('key')) await store.dropKey(id);
            await store.changeSetting('issuers', (before) => ({ ...before, default: '' }));
            await store.changeSetting('keys', () => ({ default: '' }));
            return {};
          },
        }),
      },
    },
  ];
}

/** How many authorities may follow one that stands below `parent`. @throws Failure pki.request where none may */
function pathLengthBelow(parent: number, asked: number): number {
  if (parent < 0) return asked;
  if (parent === 0) throw refused('the path length of the issuer does not allow it to sign authorities');
  if (asked >= parent) throw refused('max_path_length must be less than that of the issuer');
  return asked < 0 ? parent - 1 : asked;
}

const REPLACED = new Set<string>([
  EXT.subjectKeyId,
  EXT.authorityKeyId,
  EXT.authorityInfo,
  EXT.crlPoints,
  EXT.freshestCrl,
]);
