/** `keys/`: bringing along or generating keys, and what is told of them; their secrets are told only as they are generated. */

import { z } from 'zod';
import { toBase32 } from '../../../base/base32.ts';
import { base64 } from '../../../base/bytes.ts';
import { duration, flag, integer } from '../../../base/schema.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { checkedName, name, nothing } from '../fields.ts';
import {
  type Asked,
  checkedNames,
  checkedScheme,
  checkedSecret,
  type Key,
  MOST_KEY_BYTES,
  ofUrl,
  refused,
  urlOf,
} from '../key.ts';
import { drawing } from '../png.ts';
import { qrCode } from '../qr.ts';
import type { KeyStore } from '../store.ts';

const text = () => z.string().max(4096);
const input = z.object({
  name,
  generate: flag().nullish(),
  exported: flag().nullish(),
  key_size: integer().nullish(),
  url: text().nullish(),
  key: text().nullish(),
  issuer: text().nullish(),
  account_name: text().nullish(),
  period: duration().nullish(),
  algorithm: text().nullish(),
  digits: integer().nullish(),
  skew: integer().nullish(),
  qr_size: integer().nullish(),
});
type Given = z.output<typeof input>;

const output = z.object({
  issuer: z.string(),
  account_name: z.string(),
  period: z.number(),
  algorithm: z.string(),
  digits: z.number(),
});

const DEFAULTS = { period: 30, algorithm: 'SHA1', digits: 6, skew: 1, keyBytes: 20, pixels: 200 };
const MOST_PIXELS = 4096;

export function keyRoutes(mount: Mount, store: KeyStore): Route[] {
  return [
    {
      path: 'keys',
      operations: {
        list: operation({
          summary: 'List the names of the keys.',
          input: z.object({ after: z.string().optional(), limit: integer().optional() }),
          output: z.object({ keys: z.array(z.string()) }),
          effect: 'none',
          async run({ after, limit }) {
            const keys = await store.list({
              ...(after === undefined ? {} : { after }),
              ...(limit === undefined || limit <= 0 ? {} : { limit }),
            });
            return keys.length === 0 ? {} : { data: { keys } };
          },
        }),
      },
    },
    {
      path: 'keys/:name',
      operations: {
        read: operation({
          summary: 'Read what is known of a key, without its secret.',
          input: z.object({ name }),
          output,
          effect: 'none',
          async run(given) {
            const key = await store.get(checkedName(given.name));
            if (key === undefined) return {};
            const { issuer, account, period, algorithm, digits } = key;
            return { data: { issuer, account_name: account, period, algorithm, digits } };
          },
        }),
        write: operation({
          summary: 'Bring along a key, or generate one; what was there under the name is replaced.',
          input,
          output: z.object({ url: z.string(), barcode: z.string().optional() }),
          effect: 'write',
          async run(given) {
            const keyName = checkedName(given.name);
            const made = keyOf(mount, given);
            const url = given.generate === true && given.exported !== false ? urlOf(made) : undefined;
            // Drawn before the key is kept: a picture that cannot be drawn must not leave a key that nobody was told.
            const barcode = url === undefined ? undefined : barcodeOf(url, given.qr_size ?? DEFAULTS.pixels);
            await store.change(keyName, (before) => ({ ...made, used: before?.used ?? [] }));
            if (url === undefined) return {};
            return { data: barcode === undefined ? { url } : { url, barcode } };
          },
        }),
        delete: operation({
          summary: 'Delete a key.',
          input: z.object({ name }),
          output: nothing,
          effect: 'write',
          async run(given) {
            await store.delete(checkedName(given.name));
            return {};
          },
        }),
      },
    },
  ];
}

/** @throws Failure totp.request */
function keyOf(mount: Mount, given: Given): Key {
  const generate = given.generate === true;
  if (generate && given.key) throw refused('a key should not be passed if generate is true');
  if (generate && given.url) throw refused('a url should not be passed if generate is true');
  const plain: Asked = {
    key: given.key ?? '',
    issuer: given.issuer ?? '',
    account: given.account_name ?? '',
    period: given.period == null ? DEFAULTS.period : given.period / 1000,
    algorithm: given.algorithm ?? DEFAULTS.algorithm,
    digits: given.digits ?? DEFAULTS.digits,
    skew: given.skew ?? DEFAULTS.skew,
  };
  const asked = given.url ? ofUrl(given.url, plain) : plain;
  const scheme = checkedScheme(asked);
  checkedPixels(given.qr_size ?? DEFAULTS.pixels);
  const bytes = checkedSize(given.key_size ?? DEFAULTS.keyBytes);
  checkedNames(asked, generate);
  const secret = generate ? toBase32(mount.random(bytes)) : checkedSecret(asked.key);
  return { ...scheme, secret, issuer: asked.issuer, account: asked.account, used: [] };
}

function checkedPixels(pixels: number): void {
  if (pixels < 0) throw refused('the qr_size value must be greater than or equal to zero');
  if (pixels > MOST_PIXELS) throw refused(`the qr_size value must not be greater than ${MOST_PIXELS}`);
}

function checkedSize(bytes: number): number {
  if (bytes <= 0) throw refused('the key_size value must be greater than zero');
  if (bytes > MOST_KEY_BYTES) throw refused(`the key_size value must not be greater than ${MOST_KEY_BYTES}`);
  return bytes;
}

/** A PNG in base64, or nothing where no size is asked for. @throws Failure totp.request */
function barcodeOf(url: string, pixels: number): string | undefined {
  if (pixels === 0) return undefined;
  const code = qrCode(Buffer.from(url));
  if (code === undefined)
    throw refused('the url is too long for a QR code: shorten the names, or set qr_size to 0');
  const image = drawing(code, pixels);
  if (image === undefined)
    throw refused(
      `failed to generate QR code image: can not scale barcode to an image smaller than ${code.length}x${code.length}`,
    );
  return base64(image);
}
