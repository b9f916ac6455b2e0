/** `wrapping_key`, `keys/<name>/import` and `import_version`: the ways by which a key comes in. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { own } from '../../../base/own.ts';
import { duration, flag, integer } from '../../../base/schema.ts';
import type { HashName } from '../../../crypto/algorithms.ts';
import { publicText } from '../../../crypto/keys.ts';
import { openKey } from '../../../crypto/keywrap.ts';
import { wipe } from '../../../crypto/wipe.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { nothing } from '../answers.ts';
import { type Brought, importNew, importVersion } from '../making.ts';
import type { KeyStore } from '../store.ts';
import { decoded } from '../text.ts';

/** As the import endpoints spell them: hashes of RSA-OAEP. */
const OAEP_HASHES: Readonly<Record<string, HashName>> = {
  SHA1: 'sha1',
  SHA224: 'sha2-224',
  SHA256: 'sha2-256',
  SHA384: 'sha2-384',
  SHA512: 'sha2-512',
};

/** @throws Failure transit.import */
export function hashNameOf(given: string): HashName {
  const name = given.toUpperCase().replace(/^SHA-/, 'SHA');
  const hash = own(OAEP_HASHES, name);
  if (hash === undefined)
    throw refused(`unsupported hash function; known: ${Object.keys(OAEP_HASHES).join(', ')}`);
  return hash;
}

const refused = (reason: string) => failure('transit.import', { reason });

const parcel = {
  name: z.string(),
  ciphertext: z.string().nullish(),
  public_key: z.string().nullish(),
  hash_function: z.string().default('SHA256'),
};
type Parcel = z.output<z.ZodObject<typeof parcel>>;

export function importRoutes(mount: Mount, store: KeyStore): Route[] {
  /** Unwraps what came, hands it over, and wipes it. @throws Failure transit.import, transit.base64 */
  async function unwrapped<T>(given: Parcel, work: (brought: Brought) => Promise<T>): Promise<T> {
    const [sealed, publicPem] = [given.ciphertext ?? '', given.public_key ?? ''];
    if ((sealed === '') === (publicPem === ''))
      throw refused('only one of the following fields, ciphertext and public_key, can be set');
    if (publicPem !== '') return work({ publicPem });
    const bytes = decoded(sealed, 'ciphertext');
    const hash = hashNameOf(given.hash_function);
    const rsa = await store.wrappingKey();
    const secret = openKey(rsa, bytes, hash);
    wipe(rsa);
    if (secret === undefined)
      throw refused(
        'the ciphertext does not open: it must be an AES-256 key under RSA-OAEP with the wrapping key, and the key under that with AES-KWP',
      );
    try {
      return await work({ secret });
    } finally {
      wipe(secret);
    }
  }

  return [
    {
      path: 'wrapping_key',
      operations: {
        read: operation({
          summary: 'The public RSA key under which keys are brought in.',
          input: z.object({}),
          output: z.object({ public_key: z.string() }),
          // The first read makes it.
          effect: 'write',
          async run() {
            const rsa = await store.wrappingKey();
            const text = publicText({ kind: 'rsa', bits: 4096 }, rsa) ?? '';
            wipe(rsa);
            return { data: { public_key: text } };
          },
        }),
      },
    },
    {
      path: 'keys/:name/import',
      operations: {
        write: operation({
          summary: 'Bring in a key that was made elsewhere.',
          input: z.object({
            ...parcel,
            type: z.string().default('aes256-gcm96'),
            derived: flag().nullish(),
            exportable: flag().nullish(),
            allow_plaintext_backup: flag().nullish(),
            allow_rotation: flag().nullish(),
            auto_rotate_period: duration().nullish(),
          }),
          output: nothing,
          effect: 'write',
          async run(given) {
            const rotatable = given.allow_rotation ?? false;
            if (!rotatable && (given.auto_rotate_period ?? 0) !== 0)
              throw refused('allow_rotation must be set to true if auto-rotation is enabled');
            await unwrapped(given, (brought) =>
              importNew(
                mount,
                store,
                given.name,
                {
                  type: given.type,
                  derived: given.derived ?? undefined,
                  exportable: given.exportable ?? undefined,
                  plaintextBackup: given.allow_plaintext_backup ?? undefined,
                  autoRotateMs: given.auto_rotate_period ?? undefined,
                  imported: { rotatable },
                },
                brought,
              ),
            );
            return {};
          },
        }),
      },
    },
    {
      path: 'keys/:name/import_version',
      operations: {
        write: operation({
          summary: 'Bring in another version of an imported key, or the private half of one.',
          input: z.object({ ...parcel, version: integer().nullish() }),
          output: nothing,
          effect: 'write',
          async run(given) {
            await unwrapped(given, (brought) =>
              importVersion(mount, store, given.name, given.version ?? undefined, brought),
            );
            return {};
          },
        }),
      },
    },
  ];
}
