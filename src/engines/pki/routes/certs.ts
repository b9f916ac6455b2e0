/** `cert/`, `certs`, `ca`, `ca_chain` and `crl`: what anybody may read, as whoever checks a certificate asks for it. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure, isFailure } from '../../../base/errors.ts';
import {
  certificatePem,
  crlPem,
  namesOf,
  parseSerial,
  readCertificate,
} from '../../../crypto/x509/certificate.ts';
import { kindOf, publicKey } from '../../../crypto/x509/keytype.ts';
import { nameText, readName } from '../../../crypto/x509/name.ts';
import { operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { keysAnswer, paged, pageOf, raw } from '../asking.ts';
import { chainOf, findIssuer } from '../issuers.ts';
import { iso } from '../issuing.ts';
import { refreshLists } from '../lists.ts';
import { fileOf, type PkiStore } from '../store.ts';
import { CRL_TYPE, DER_TYPE, listOf, PEM_FILE, PEM_TYPE } from './issuers.ts';

const certAnswer = z.object({
  certificate: z.string(),
  ca_chain: z.union([z.array(z.string()), z.string()]).optional(),
  revocation_time: z.number(),
  revocation_time_rfc3339: z.string(),
  issuer_id: z.string().optional(),
});
const detailAnswer = z.object({
  common_name: z.string(),
  dns_names: z.array(z.string()),
  issuer: z.string(),
  key_type: z.string(),
  key_bits: z.number(),
  not_before: z.string(),
  not_after: z.string(),
});
type Reading = Reply<z.input<typeof certAnswer>>;

export function certRoutes(store: PkiStore): Route[] {
  const unrevoked = { revocation_time: 0, revocation_time_rfc3339: '' };

  const chainPem = async (): Promise<string> =>
    (await chainOf(store, await findIssuer(store, 'default'))).join('\n');

  /** What a name below `cert/` stands for. @throws Failure pki.request where it is no serial number */
  const find = async (name: string): Promise<{ der: Buffer; crl: boolean } | undefined> => {
    if (name === 'ca') return { der: (await findIssuer(store, 'default')).certificate.der, crl: false };
    if (name === 'crl' || name === 'delta-crl') {
      const der = await listOf(store, await findIssuer(store, 'default'), name === 'delta-crl');
      return der && { der, crl: true };
    }
    const serial = parseSerial(name);
    if (serial === undefined)
      throw failure('pki.request', { reason: 'the serial number is none in hexadecimal' });
    const der = await store.certificate(serial);
    return der && { der, crl: false };
  };

  const read = (
    path: string,
    summary: string,
    give: (serial: string) => Promise<Reading>,
    fixed?: string,
  ): Route => ({
    path,
    access: 'public',
    operations: {
      read: operation({
        summary,
        input: z.object({ serial: z.string().default(fixed ?? '') }),
        output: certAnswer,
        effect: 'none',
        run: (given) => give(fixed ?? given.serial),
      }),
    },
  });

  const told = async (name: string): Promise<Reading> => {
    if (name === 'ca_chain') {
      const pem = await chainPem();
      return { data: { certificate: pem, ca_chain: pem, ...unrevoked } };
    }
    const found = await find(name);
    if (found === undefined) return {};
    if (found.crl) return { data: { certificate: crlPem(found.der), ...unrevoked } };
    const serial = parseSerial(name);
    const revoked = serial === undefined ? undefined : await store.get('revoked', fileOf(serial));
    const certificate = certificatePem(found.der);
    if (revoked === undefined) return { data: { certificate, ...unrevoked } };
    return {
      data: {
        certificate,
        revocation_time: seconds(revoked.at),
        revocation_time_rfc3339: iso(revoked.at),
        issuer_id: revoked.issuerId,
      },
    };
  };
  const bytes = async (name: string): Promise<Reading> => {
    const found = await find(name);
    return found === undefined ? {} : raw(found.crl ? CRL_TYPE : DER_TYPE, found.der);
  };
  const pem = async (name: string): Promise<Reading> => {
    if (name === 'ca_chain') return raw(PEM_TYPE, Buffer.from(await chainPem()));
    const found = await find(name);
    if (found === undefined) return {};
    return found.crl
      ? raw(PEM_FILE, Buffer.from(crlPem(found.der)))
      : raw(PEM_TYPE, Buffer.from(certificatePem(found.der)));
  };

  const names = (path: string, summary: string, folder: 'cert' | 'revoked'): Route => ({
    path,
    operations: {
      list: operation({
        summary,
        input: z.object(paged),
        output: keysAnswer,
        effect: 'none',
        async run(given) {
          const after = given.after === undefined ? undefined : given.after.replaceAll(':', '-');
          const keys = await store.list(folder, pageOf({ ...given, after }));
          return keys.length === 0 ? {} : { data: { keys: keys.map((key) => key.replaceAll('-', ':')) } };
        },
      }),
    },
  });

  const detailed: Route = {
    path: 'certs/detailed',
    operations: {
      list: operation({
        summary: 'List what was issued, with what stands in it.',
        input: z.object(paged),
        output: z.object({ keys: z.array(z.string()), key_info: z.record(z.string(), detailAnswer) }),
        effect: 'none',
        async run(given) {
          const after = given.after === undefined ? undefined : given.after.replaceAll(':', '-');
          const names = await store.list('cert', pageOf({ ...given, after }));
          const info: Record<string, z.input<typeof detailAnswer>> = {};
          for (const name of names) {
            const der = await store.certificate(name);
            const told = der && detailOf(der);
            if (told !== undefined) info[name.replaceAll('-', ':')] = told;
          }
          const keys = names.map((name) => name.replaceAll('-', ':'));
          return keys.length === 0 ? {} : { data: { keys, key_info: info } };
        },
      }),
    },
  };

  const rotate = (path: string, kind: 'full' | 'delta'): Route => {
    const made = operation({
      summary: `Make the ${kind === 'delta' ? 'delta ' : ''}revocation lists anew.`,
      input: z.object({}),
      output: z.object({ success: z.boolean() }),
      effect: 'write',
      async run() {
        if (kind === 'delta' && !(await store.setting('crl')).enableDelta)
          throw failure('pki.request', {
            reason: 'requested rebuild of delta CRL when delta CRL is not enabled',
          });
        await refreshLists(store, kind);
        return { data: { success: true } };
      },
    });
    // Vault has them as reads; as they change something, policy may well want to tell them apart.
    return { path, operations: { read: made, write: made } };
  };

  return [
    read('cert/:serial', 'Read a certificate by its serial number, or ca, ca_chain, crl, delta-crl.', told),
    read('cert/:serial/raw', 'Read a certificate or list in DER.', bytes),
    read('cert/:serial/raw/pem', 'Read a certificate or list in PEM.', pem),
    read('ca', 'Read the certificate of the default issuer in DER.', bytes, 'ca'),
    read('ca/pem', 'Read the certificate of the default issuer in PEM.', pem, 'ca'),
    read('ca_chain', 'Read the chain of the default issuer in PEM.', pem, 'ca_chain'),
    read('crl', 'Read the revocation list of the default issuer in DER.', bytes, 'crl'),
    read('crl/pem', 'Read the revocation list of the default issuer in PEM.', pem, 'crl'),
    read('crl/delta', 'Read the delta list of the default issuer in DER.', bytes, 'delta-crl'),
    read('crl/delta/pem', 'Read the delta list of the default issuer in PEM.', pem, 'delta-crl'),
    detailed,
    names('certs', 'List the serial numbers of what was issued.', 'cert'),
    names('certs/revoked', 'List the serial numbers of what was revoked.', 'revoked'),
    rotate('crl/rotate', 'full'),
    rotate('crl/rotate-delta', 'delta'),
  ];
}

/** What a list tells of a certificate; undefined of one that is none. */
function detailOf(der: Uint8Array): z.input<typeof detailAnswer> | undefined {
  try {
    const certificate = readCertificate(der);
    const kind = kindOf(publicKey(certificate.spki));
    return {
      common_name: readName(certificate.subject).commonName[0] ?? '',
      dns_names: [...namesOf(certificate).dns],
      issuer: nameText(readName(certificate.issuer)),
      key_type: kind?.type ?? '',
      key_bits: kind?.bits ?? 0,
      not_before: iso(certificate.notBefore),
      not_after: iso(certificate.notAfter),
    };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return undefined;
  }
}
