/** `issuers` and `issuer/`: the authorities of the mount, as far as they may be told. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure, isFailure } from '../../../base/errors.ts';
import { commaList, flag } from '../../../base/schema.ts';
import { certificatePem, crlPem } from '../../../crypto/x509/certificate.ts';
import { type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { nothing, raw } from '../asking.ts';
import { chainOf, checkedName, findIssuer, groupOf, type Opened } from '../issuers.ts';
import { iso } from '../issuing.ts';
import { refreshLists } from '../lists.ts';
import { revoke } from '../revoking.ts';
import { type Issuer, LEAF_BEHAVIORS, type List, type PkiStore, USAGES } from '../store.ts';

const ref = z.string();
const texts = z.array(z.string());
const refused = (reason: string) => failure('pki.request', { reason });

const issuerAnswer = z.object({
  issuer_id: z.string(),
  issuer_name: z.string(),
  key_id: z.string(),
  certificate: z.string(),
  manual_chain: texts.nullable(),
  ca_chain: texts,
  leaf_not_after_behavior: z.string(),
  usage: z.string(),
  revoked: z.boolean(),
  revocation_time: z.number().optional(),
  revocation_time_rfc3339: z.string().optional(),
  issuing_certificates: texts,
  crl_distribution_points: texts,
  delta_crl_distribution_points: texts,
  ocsp_servers: texts,
  enable_aia_url_templating: z.boolean(),
});
const crlAnswer = z.object({ crl: z.string() });
/** Of the forms that are no JSON, nothing goes into the envelope. */
const chainAnswer = z.object({
  certificate: z.string(),
  ca_chain: texts,
  issuer_id: z.string(),
  issuer_name: z.string(),
});
type Reading = Reply<z.input<typeof chainAnswer>>;

async function issuerData(store: PkiStore, found: Opened): Promise<z.input<typeof issuerAnswer>> {
  const { issuer, certificate } = found;
  return {
    issuer_id: issuer.id,
    issuer_name: issuer.name,
    key_id: issuer.keyId,
    certificate: certificatePem(certificate.der),
    manual_chain: issuer.manualChain.length === 0 ? null : [...issuer.manualChain],
    ca_chain: await chainOf(store, found),
    leaf_not_after_behavior: issuer.leafBehavior,
    usage: [...issuer.usage].sort().join(','),
    revoked: issuer.revoked > 0,
    ...(issuer.revoked > 0
      ? { revocation_time: seconds(issuer.revoked), revocation_time_rfc3339: iso(issuer.revoked) }
      : {}),
    issuing_certificates: [...issuer.urls.issuing],
    crl_distribution_points: [...issuer.urls.crl],
    delta_crl_distribution_points: [...issuer.urls.delta],
    ocsp_servers: [...issuer.urls.ocsp],
    enable_aia_url_templating: issuer.urls.templating,
  };
}

const issuerFields = {
  issuer_name: z.string().optional(),
  leaf_not_after_behavior: z.enum(LEAF_BEHAVIORS).optional(),
  manual_chain: commaList().optional(),
  usage: commaList().optional(),
  issuing_certificates: commaList().optional(),
  crl_distribution_points: commaList().optional(),
  delta_crl_distribution_points: commaList().optional(),
  ocsp_servers: commaList().optional(),
  enable_aia_url_templating: flag().optional(),
};
type IssuerFields = z.output<z.ZodObject<typeof issuerFields>>;

/** Clients of certificates fetch by these (RFC 5280 section 4.2.2.1); anything else would be for a browser to run. */
const isFetched = (url: string): boolean =>
  URL.canParse(url) && ['http:', 'https:', 'ldap:', 'ldaps:'].includes(new URL(url).protocol);

/** @throws Failure pki.request where an address has no place in a certificate */
export function checkedUrls(urls: readonly string[]): readonly string[] {
  if (
    urls.some((url) => !/^[\x21-\x7e]+$/.test(url) || !isFetched(url.replaceAll(/\{\{\w+\}\}/g, 'http://x')))
  )
    throw refused('invalid URL found');
  return urls;
}

async function updateIssuer(store: PkiStore, { issuer }: Opened, given: IssuerFields): Promise<Opened> {
  const others = (await store.all('issuer')).filter(({ id }) => id !== issuer.id);
  const name = given.issuer_name === undefined ? issuer.name : checkedName(given.issuer_name, 'issuer');
  if (name !== '' && others.some((other) => other.name === name)) throw refused('issuer name already in use');
  const usage = given.usage === undefined ? undefined : USAGES.filter((one) => given.usage?.includes(one));
  if (usage !== undefined && usage.length !== new Set(given.usage).size)
    throw refused(`usage must be among ${USAGES.join(', ')}`);
  const chain: string[] = [];
  for (const reference of given.manual_chain ?? [])
    chain.push(reference === 'self' ? issuer.id : (await findIssuer(store, reference)).issuer.id);
  if (chain.length > 0 && chain[0] !== issuer.id)
    throw refused('manual_chain must begin with the issuer itself');
  await store.change(
    'issuer',
    issuer.id,
    (before): Issuer => ({
      ...before,
      name,
      usage: usage ?? before.usage,
      leafBehavior: given.leaf_not_after_behavior ?? before.leafBehavior,
      manualChain: given.manual_chain === undefined ? before.manualChain : chain,
      urls: {
        issuing: checkedUrls(given.issuing_certificates ?? before.urls.issuing),
        crl: checkedUrls(given.crl_distribution_points ?? before.urls.crl),
        delta: checkedUrls(given.delta_crl_distribution_points ?? before.urls.delta),
        ocsp: checkedUrls(given.ocsp_servers ?? before.urls.ocsp),
        templating: given.enable_aia_url_templating ?? before.urls.templating,
      },
    }),
  );
  await refreshLists(store);
  return findIssuer(store, issuer.id);
}

/** The list of an issuer, whole or delta, in DER; undefined where there is none. */
export async function listOf(store: PkiStore, found: Opened, isDelta: boolean): Promise<Buffer | undefined> {
  const list: List | undefined = await store.get('crl', groupOf(found.certificate));
  const text = isDelta ? list?.delta : list?.full;
  return text === undefined ? undefined : Buffer.from(text, 'base64');
}

export const PEM_TYPE = 'application/pem-certificate-chain';
export const DER_TYPE = 'application/pkix-cert';
export const CRL_TYPE = 'application/pkix-crl';
export const PEM_FILE = 'application/x-pem-file';

export function issuerRoutes(_mount: Mount, store: PkiStore): Route[] {
  const rawRead = (
    path: string,
    summary: string,
    give: (found: Opened) => Promise<Reading> | Reading,
  ): Route => ({
    path,
    access: 'public',
    operations: {
      read: operation({
        summary,
        input: z.object({ ref: z.string() }),
        output: chainAnswer,
        effect: 'none',
        run: async (given) => give(await findIssuer(store, given.ref)),
      }),
    },
  });
  const crlRead = (path: string, isDelta: boolean, form: 'json' | 'pem' | 'der'): Route => ({
    path,
    access: 'public',
    operations: {
      read: operation({
        summary: `Read the ${isDelta ? 'delta ' : ''}revocation list of an issuer.`,
        input: z.object({ ref }),
        output: crlAnswer,
        effect: 'none',
        async run(given): Promise<Reply<z.input<typeof crlAnswer>>> {
          const der = await listOf(store, await findIssuer(store, given.ref), isDelta);
          if (der === undefined) return {};
          if (form === 'json') return { data: { crl: crlPem(der) } };
          return form === 'der' ? raw(CRL_TYPE, der) : raw(PEM_FILE, Buffer.from(crlPem(der)));
        },
      }),
    },
  });
  const update = (summary: string, effect: 'write') =>
    operation({
      summary,
      input: z.object({ ref, ...issuerFields }),
      output: issuerAnswer,
      effect,
      async run({ ref: reference, ...given }) {
        const changed = await updateIssuer(store, await findIssuer(store, reference), given);
        return { data: await issuerData(store, changed) };
      },
    });

  return [
    {
      path: 'issuers',
      access: 'public',
      operations: {
        list: operation({
          summary: 'List the issuers.',
          input: z.object({}),
          output: z.object({
            keys: texts,
            key_info: z.record(
              z.string(),
              z.object({
                issuer_name: z.string(),
                is_default: z.boolean(),
                serial_number: z.string(),
                key_id: z.string(),
              }),
            ),
          }),
          effect: 'none',
          async run() {
            const issuers = await store.all('issuer');
            const { default: main } = await store.setting('issuers');
            if (issuers.length === 0) return {};
            const told = async ({ id, name, keyId }: Issuer) => ({
              issuer_name: name,
              is_default: id === main,
              serial_number: (await findIssuer(store, id)).certificate.serial,
              key_id: keyId,
            });
            const info = await Promise.all(issuers.map(async (one) => [one.id, await told(one)] as const));
            return { data: { keys: issuers.map(({ id }) => id), key_info: Object.fromEntries(info) } };
          },
        }),
      },
    },
    {
      path: 'issuer/:ref',
      operations: {
        read: operation({
          summary: 'Read an issuer.',
          input: z.object({ ref }),
          output: issuerAnswer,
          effect: 'none',
          run: async (given) => ({ data: await issuerData(store, await findIssuer(store, given.ref)) }),
        }),
        write: update('Change an issuer: its name, usage, chain and addresses.', 'write'),
        patch: update('Change some fields of an issuer.', 'write'),
        delete: operation({
          summary: 'Delete an issuer; its key stays.',
          input: z.object({ ref }),
          output: nothing,
          effect: 'write',
          async run(given): Promise<Reply<Record<string, never>>> {
            const { issuer } = await findIssuer(store, given.ref);
            await store.delete('issuer', issuer.id);
            const { default: main } = await store.setting('issuers');
            if (main !== issuer.id) return {};
            await store.changeSetting('issuers', (before) => ({ ...before, default: '' }));
            return { warnings: [`Deleted issuer ${issuer.id}, which was the default: there is none now.`] };
          },
        }),
      },
    },
    rawRead('issuer/:ref/json', 'Read the certificate and the chain of an issuer.', async (found) => ({
      data: {
        certificate: certificatePem(found.certificate.der),
        ca_chain: await chainOf(store, found),
        issuer_id: found.issuer.id,
        issuer_name: found.issuer.name,
      },
    })),
    rawRead('issuer/:ref/pem', 'Read the certificate of an issuer in PEM.', ({ certificate }) =>
      raw(PEM_TYPE, Buffer.from(certificatePem(certificate.der))),
    ),
    rawRead('issuer/:ref/der', 'Read the certificate of an issuer in DER.', ({ certificate }) =>
      raw(DER_TYPE, certificate.der),
    ),
    crlRead('issuer/:ref/crl', false, 'json'),
    crlRead('issuer/:ref/crl/pem', false, 'pem'),
    crlRead('issuer/:ref/crl/der', false, 'der'),
    crlRead('issuer/:ref/crl/delta', true, 'json'),
    crlRead('issuer/:ref/crl/delta/pem', true, 'pem'),
    crlRead('issuer/:ref/crl/delta/der', true, 'der'),
    {
      path: 'issuer/:ref/revoke',
      operations: {
        write: operation({
          summary: 'Revoke an issuer: it signs nothing more, and who issued it lists it.',
          input: z.object({ ref }),
          output: issuerAnswer,
          effect: 'write',
          async run(given) {
            const found = await findIssuer(store, given.ref);
            const { issuer, certificate } = found;
            if (issuer.revoked === 0) {
              await store.change('issuer', issuer.id, (before) => ({
                ...before,
                revoked: store.now(),
                usage: before.usage.filter((one) => one !== 'issuing-certificates'),
              }));
              // A root has nobody above it that could list it.
              if (!certificate.issuer.equals(certificate.subject))
                await revoke(store, certificate).catch(ignoreForeign);
            }
            return { data: await issuerData(store, await findIssuer(store, issuer.id)) };
          },
        }),
      },
    },
  ];
}

/** Whoever signed an intermediate may be elsewhere; then its revocation is theirs to list. */
function ignoreForeign(error: unknown): void {
  if (!isFailure(error, 'pki.request')) throw error;
}
