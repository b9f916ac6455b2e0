/** `revoke`, `revoke-with-key` and `ocsp`: taking a certificate back, and telling whoever asks that it was. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { type Certificate, parseSerial, readCertificate } from '../../../crypto/x509/certificate.ts';
import { privateKeyOfPem, spkiOf } from '../../../crypto/x509/keytype.ts';
import { operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { nothing, onePem, raw } from '../asking.ts';
import { groupOf, opened, signerFor } from '../issuers.ts';
import { iso } from '../issuing.ts';
import { isAbout, ocspError, readOcspRequest, type Status, signOcsp } from '../ocsp.ts';
import { revoke } from '../revoking.ts';
import { fileOf, type PkiStore, type Revoked } from '../store.ts';

const fields = { serial_number: z.string().default(''), certificate: z.string().default('') };
const answer = z.object({
  revocation_time: z.number(),
  revocation_time_rfc3339: z.string(),
  state: z.string(),
});
const told = ({ at }: Revoked): z.input<typeof answer> => ({
  revocation_time: seconds(at),
  revocation_time_rfc3339: iso(at),
  state: 'revoked',
});
const refused = (reason: string) => failure('pki.request', { reason });
const MOST_REQUEST_BYTES = 65_536;

export function revokeRoutes(store: PkiStore): Route[] {
  const find = async (given: z.output<z.ZodObject<typeof fields>>): Promise<Certificate> => {
    if (given.serial_number === '' && given.certificate === '')
      throw refused('The serial number or certificate to revoke must be provided.');
    if (given.serial_number !== '' && given.certificate !== '')
      throw refused('Must provide either the certificate or the serial to revoke; not both.');
    if (given.certificate !== '')
      return readCertificate(onePem(given.certificate, /^CERTIFICATE$/, 'the certificate'));
    const serial = parseSerial(given.serial_number);
    const der = serial === undefined ? undefined : await store.certificate(serial);
    if (der === undefined)
      throw refused(`certificate with serial ${serial ?? 'that is no number'} not found.`);
    return readCertificate(der);
  };

  return [
    {
      path: 'revoke',
      operations: {
        write: operation({
          summary: 'Revoke a certificate.',
          input: z.object(fields),
          output: answer,
          effect: 'write',
          run: async (given) => ({ data: told(await revoke(store, await find(given))) }),
        }),
      },
    },
    {
      path: 'revoke-with-key',
      operations: {
        write: operation({
          summary: 'Revoke a certificate by proving that one has its private key.',
          input: z.object({ ...fields, private_key: z.string() }),
          output: answer,
          effect: 'write',
          async run(given) {
            const certificate = await find(given);
            const key = privateKeyOfPem(given.private_key);
            if (key === undefined) throw refused('private_key is none in PEM');
            if (!spkiOf(key).equals(certificate.spki))
              throw refused('the given private key does not match the certificate');
            return { data: told(await revoke(store, certificate)) };
          },
        }),
      },
    },
    // One node, one cluster: what is revoked here is all there is, so both names tell the same.
    ...['ocsp', 'unified-ocsp'].flatMap((path): Route[] => [
      {
        path,
        access: 'public',
        operations: {
          write: operation({
            summary: 'Ask whether certificates are revoked (RFC 6960), in DER.',
            input: z.object({ body: z.instanceof(Uint8Array).optional() }),
            output: nothing,
            effect: 'none',
            body: 'bytes',
            run: (given) => respond(store, given.body ?? new Uint8Array()),
          }),
        },
      },
      {
        path: `${path}/*request`,
        access: 'public',
        opaque: true,
        operations: {
          read: operation({
            summary: 'Ask whether certificates are revoked (RFC 6960), in base64 in the path.',
            input: z.object({ request: z.string() }),
            output: nothing,
            effect: 'none',
            run: (given) => respond(store, derOf(given.request)),
          }),
        },
      },
    ]),
  ];
}

/** Base64 of either alphabet, padded or not; nothing at all where it is none, which is no request either. */
function derOf(text: string): Uint8Array {
  const plain = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/={0,2}$/, '');
  const bytes = Buffer.from(plain, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === plain ? bytes : new Uint8Array();
}

async function respond(store: PkiStore, der: Uint8Array): Promise<Reply<Record<string, never>>> {
  const answered = (body: Uint8Array, status = 200) => raw('application/ocsp-response', body, status);
  const settings = await store.setting('crl');
  if (settings.ocspDisable) return answered(ocspError('unauthorized'), 401);
  const request = der.length > MOST_REQUEST_BYTES ? undefined : readOcspRequest(der);
  const [first] = request?.asked ?? [];
  if (request === undefined || first === undefined) return answered(ocspError('malformed'), 400);
  const found = (await store.all('issuer'))
    .map(opened)
    .find(
      (one) =>
        one.issuer.keyId !== '' &&
        one.issuer.usage.includes('ocsp-signing') &&
        isAbout(first, one.certificate),
    );
  // One answer has one signer: what another issuer signed is nothing that this one may speak of.
  if (found === undefined || !request.asked.every((asked) => isAbout(asked, found.certificate)))
    return answered(ocspError('unauthorized'), 401);
  const group = groupOf(found.certificate);
  const statuses: Status[] = [];
  for (const asked of request.asked) {
    const revoked = await store.get('revoked', fileOf(asked.serial));
    statuses.push({ asked, revoked: revoked?.group === group ? revoked.at : undefined });
  }
  const signer = await signerFor(store, found, 'ocsp-signing');
  const times = { now: store.now(), lifeMs: settings.ocspExpiry, nonce: request.nonce };
  return answered(signOcsp(found.certificate, statuses, times, signer));
}
