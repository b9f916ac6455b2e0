/** `keys/`: making, reading, changing and deleting named keys. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { duration, flag, integer } from '../../../base/schema.ts';
import { publicText } from '../../../crypto/keys.ts';
import { wipe } from '../../../crypto/wipe.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { keyAnswer, keyData, nothing, usable } from '../answers.ts';
import { algorithm, checkedName, configure, type Key, trim } from '../key.ts';
import { create, rotate } from '../making.ts';
import { withKey } from '../opened.ts';
import { contextual } from '../sealing.ts';
import type { KeyStore } from '../store.ts';
import { decoded } from '../text.ts';

const name = z.string();
const SEED_BYTES = 32;

export function keyRoutes(mount: Mount, store: KeyStore): Route[] {
  /** Changes a key that must be there. @throws Failure transit.no_key, and what `rule` throws */
  const change = (
    named: string,
    rule: (before: Key) => { readonly key: Key; readonly trimmed?: readonly number[] },
  ): Promise<Key> =>
    store.change(checkedName(named), (before) => {
      if (before === undefined) throw failure('transit.no_key', { name: named });
      const { key, trimmed } = rule(before);
      return { key, drop: trimmed ?? [], result: key };
    });

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
          summary: 'Read what is known of a key, without its secrets.',
          input: z.object({ name, context: z.string().default('') }),
          output: keyAnswer,
          effect: 'none',
          async run(given) {
            const key = await store.get(checkedName(given.name));
            if (key === undefined) return {};
            const context = decoded(given.context, 'context');
            if (context.length === 0 || !key.derived || algorithm(key).kind !== 'ed25519')
              return { data: keyData(given.name, key) };
            return { data: keyData(given.name, key, await derivedPublic(store, key, context)) };
          },
        }),
        write: operation({
          summary: 'Create a key; one that exists stays as it is.',
          input: z.object({
            name,
            type: z.string().default('aes256-gcm96'),
            derived: flag().nullish(),
            convergent_encryption: flag().nullish(),
            exportable: flag().nullish(),
            allow_plaintext_backup: flag().nullish(),
            auto_rotate_period: duration().nullish(),
            key_size: integer().nullish(),
          }),
          output: keyAnswer,
          effect: 'write',
          async run(given) {
            const { key, existed } = await create(mount, store, given.name, {
              type: given.type,
              derived: given.derived ?? undefined,
              convergent: given.convergent_encryption ?? undefined,
              exportable: given.exportable ?? undefined,
              plaintextBackup: given.allow_plaintext_backup ?? undefined,
              autoRotateMs: given.auto_rotate_period ?? undefined,
              keyBytes: given.key_size ?? undefined,
            });
            const data = keyData(given.name, key);
            return existed ? { data, warnings: [`key ${given.name} already existed`] } : { data };
          },
        }),
        delete: operation({
          summary: 'Delete a key, and with it all that only it can open.',
          input: z.object({ name }),
          output: nothing,
          effect: 'write',
          async run(given) {
            await store.change(checkedName(given.name), (before) => {
              if (before === undefined)
                throw failure('transit.key', { reason: 'could not delete key; not found' });
              if (!before.deletionAllowed) throw failure('transit.not_deletable');
              return { key: null, result: undefined };
            });
            return {};
          },
        }),
      },
    },
    {
      path: 'keys/:name/config',
      operations: {
        write: operation({
          summary: 'Set the least versions that decrypt and encrypt, and what may be done with a key.',
          input: z.object({
            name,
            min_decryption_version: integer().nullish(),
            min_encryption_version: integer().nullish(),
            deletion_allowed: flag().nullish(),
            exportable: flag().nullish(),
            allow_plaintext_backup: flag().nullish(),
            auto_rotate_period: duration().nullish(),
          }),
          output: keyAnswer,
          effect: 'write',
          async run(given) {
            const key = await change(given.name, (before) => ({
              key: configure(before, {
                minDecryption: given.min_decryption_version ?? undefined,
                minEncryption: given.min_encryption_version ?? undefined,
                deletionAllowed: given.deletion_allowed ?? undefined,
                exportable: given.exportable ?? undefined,
                plaintextBackup: given.allow_plaintext_backup ?? undefined,
                autoRotateMs: given.auto_rotate_period ?? undefined,
              }),
            }));
            const data = keyData(given.name, key);
            if (given.min_decryption_version !== 0) return { data };
            return { data, warnings: ['transit key numbering starts at 1; forcing minimum to 1'] };
          },
        }),
      },
    },
    {
      path: 'keys/:name/rotate',
      operations: {
        write: operation({
          summary: 'Add a version to a key; from now on it encrypts and signs.',
          input: z.object({ name }),
          output: keyAnswer,
          effect: 'write',
          async run(given) {
            const key = await rotate(mount, store, given.name);
            return key === undefined ? {} : { data: keyData(given.name, key) };
          },
        }),
      },
    },
    {
      path: 'keys/:name/trim',
      operations: {
        write: operation({
          summary: 'Delete the oldest versions of a key for good.',
          input: z.object({ name, min_available_version: integer().nullish() }),
          output: keyAnswer,
          effect: 'write',
          async run(given) {
            const least = given.min_available_version ?? undefined;
            if (least === undefined)
              throw failure('transit.key', { reason: 'missing min_available_version' });
            return { data: keyData(given.name, await change(given.name, (before) => trim(before, least))) };
          },
        }),
      },
    },
  ];
}

async function derivedPublic(
  store: KeyStore,
  key: Key,
  context: Uint8Array,
): Promise<ReadonlyMap<number, string>> {
  return withKey(store, key, async (open) => {
    const found = new Map<number, string>();
    for (const [number] of usable(key)) {
      const { secret } = await open.material(number);
      const own = contextual(secret, context, SEED_BYTES);
      found.set(number, publicText(algorithm(key), own) ?? '');
      wipe(own);
    }
    return found;
  });
}
