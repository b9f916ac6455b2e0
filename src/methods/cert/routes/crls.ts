/** `crls/<name>`: lists of what authorities have revoked. They come from whoever may write here, and are not asked for. */

import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { z } from 'zod';
import { hex } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import { listing } from '../../../plugin/listing.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import type { Crl } from '../entry.ts';
import { plainSerial } from '../x509.ts';

const one = z.object({ name: z.string().max(512) });
const nothing = z.object({});
const CRL_LIMIT = 8 * 1024 * 1024;

export function crlRoutes(crls: Shelf<Crl>): Route[] {
  return [
    listing('crls', 'List the revocation lists by name.', crls),
    {
      path: 'crls/:name',
      lowercase: ['name'],
      operations: {
        read: operation({
          summary: 'Read which serial numbers are revoked.',
          input: one,
          output: z.object({ serials: z.record(z.string(), z.object({})) }),
          effect: 'none',
          async run({ name }) {
            const crl = await crls.get(name);
            return crl === undefined
              ? {}
              : { data: { serials: Object.fromEntries(crl.serials.map((serial) => [decimal(serial), {}])) } };
          },
        }),
        write: operation({
          summary: 'Put a revocation list, in PEM or base64, in the place of the one of that name.',
          input: one.extend({ crl: z.string().max(CRL_LIMIT).nullish(), url: z.string().nullish() }),
          output: nothing,
          effect: 'write',
          async run({ name, crl, url }) {
            if (url)
              throw failure('cert.invalid', { reason: 'url is not supported: send the list in "crl"' });
            const read = readCrl(crl ?? '');
            if (read === undefined) throw failure('cert.invalid', { reason: 'failed to parse CRL' });
            await crls.change(name, () => read);
            return {};
          },
        }),
        delete: operation({
          summary: 'Forget a revocation list.',
          input: one,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await crls.delete(name);
            return {};
          },
        }),
      },
    },
  ];
}

function readCrl(text: string): Crl | undefined {
  try {
    x509.cryptoProvider.set(webcrypto as never);
    const body = text.replace(/-----(BEGIN|END) X509 CRL-----|\s/g, '');
    if (body === '') return undefined;
    const crl = new x509.X509Crl(Buffer.from(body, 'base64'));
    return {
      issuer: hex(new Uint8Array(crl.issuerName.toArrayBuffer())),
      serials: crl.entries.map(({ serialNumber }) => plainSerial(serialNumber)),
    };
  } catch {
    return undefined;
  }
}

const decimal = (serial: string): string => BigInt(`0x${serial}`).toString();
