/** `encrypt/`, `decrypt/`, `rewrap/` and `datakey/`. */

import { z } from 'zod';
import { base64 } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import { flag, integer } from '../../../base/schema.ts';
import { after } from '../../../base/soon.ts';
import { ABILITIES, algorithmOf, isKeyType } from '../../../crypto/algorithms.ts';
import { wipe } from '../../../crypto/wipe.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { batchAnswer, batchOf, each } from '../batch.ts';
import { checkedName, type Key } from '../key.ts';
import { create } from '../making.ts';
import { withKey } from '../opened.ts';
import { seal, unseal } from '../sealing.ts';
import type { KeyStore } from '../store.ts';
import { decoded } from '../text.ts';

const name = z.string();
const bound = {
  context: z.string().nullish(),
  nonce: z.string().nullish(),
  associated_data: z.string().nullish(),
};
const plainItem = z.object({ plaintext: z.string().nullish(), key_version: integer().nullish(), ...bound });
const cipherItem = z.object({ ciphertext: z.string().nullish(), ...bound });
const rewrapItem = cipherItem.extend({ key_version: integer().nullish() });

const sealedAnswer = z.object({ ciphertext: z.string(), key_version: z.number() });
const plainAnswer = z.object({ plaintext: z.string() });

/** @throws Failure transit.base64, transit.field */
function boundOf(given: {
  readonly context?: string | null | undefined;
  readonly nonce?: string | null | undefined;
  readonly associated_data?: string | null | undefined;
}) {
  // Only the first version of convergent encryption took nonces, and no key here is of that version.
  if ((given.nonce ?? '') !== '')
    throw failure('transit.field', { reason: 'provided nonce not allowed for this key' });
  return {
    context: decoded(given.context ?? '', 'context'),
    bound: decoded(given.associated_data ?? '', 'associated_data'),
  };
}

function required(text: string | null | undefined, reason: string): string {
  if (text === undefined || text === null) throw failure('transit.field', { reason });
  return text;
}

export function encryptRoutes(mount: Mount, store: KeyStore): Route[] {
  const existing = async (named: string): Promise<Key> => {
    const key = await store.get(checkedName(named));
    if (key === undefined) throw failure('transit.no_encryption_key');
    return key;
  };

  return [
    {
      path: 'encrypt/:name',
      exists: ({ name: named = '' }) => after(store.get(named), (key) => key !== undefined),
      operations: {
        write: operation({
          summary: 'Encrypt under a key, which is made where there is none and policy allows to create it.',
          input: z.object({
            name,
            ...plainItem.shape,
            ...batchOf(plainItem),
            type: z.string().default('aes256-gcm96'),
            convergent_encryption: flag().nullish(),
          }),
          output: batchAnswer(sealedAnswer),
          effect: 'write',
          async run(given, call) {
            const key =
              (await store.get(checkedName(given.name))) ??
              (await upserted(mount, store, given.name, {
                type: given.type,
                convergent: given.convergent_encryption ?? false,
                contexts: (given.batch_input ?? [given]).map(({ context }) => (context ?? '') !== ''),
              }));
            return withKey(store, key, (open) =>
              each<z.output<typeof plainItem>, z.input<typeof sealedAnswer>>(
                mount,
                call,
                given,
                async (item) => {
                  const plain = decoded(
                    required(item.plaintext, 'missing plaintext to encrypt'),
                    'plaintext',
                  );
                  const version = item.key_version ?? 0;
                  const made = await seal(open, { plain, version, ...boundOf(item) }, mount.random);
                  return { ciphertext: made.ciphertext, key_version: made.version };
                },
              ),
            );
          },
        }),
      },
    },
    {
      path: 'decrypt/:name',
      operations: {
        write: operation({
          summary: 'Decrypt what was encrypted under a key.',
          input: z.object({ name, ...cipherItem.shape, ...batchOf(cipherItem) }),
          output: batchAnswer(plainAnswer),
          effect: 'none',
          async run(given, call) {
            return withKey(store, await existing(given.name), (open) =>
              each<z.output<typeof cipherItem>, z.input<typeof plainAnswer>>(
                mount,
                call,
                given,
                async (item) => {
                  const ciphertext = required(item.ciphertext || null, 'missing ciphertext to decrypt');
                  const plain = await unseal(open, { ciphertext, ...boundOf(item) });
                  try {
                    return { plaintext: base64(plain) };
                  } finally {
                    wipe(plain);
                  }
                },
                { plaintext: '' },
              ),
            );
          },
        }),
      },
    },
    {
      path: 'rewrap/:name',
      operations: {
        write: operation({
          summary:
            'Encrypt anew, under the latest version, what an older version encrypted; nobody sees the plaintext.',
          input: z.object({ name, ...rewrapItem.shape, ...batchOf(rewrapItem) }),
          output: batchAnswer(sealedAnswer),
          effect: 'none',
          async run(given, call) {
            return withKey(store, await existing(given.name), (open) =>
              each<z.output<typeof rewrapItem>, z.input<typeof sealedAnswer>>(
                mount,
                call,
                given,
                async (item) => {
                  const ciphertext = required(item.ciphertext || null, 'missing ciphertext to decrypt');
                  const about = boundOf(item);
                  const plain = await unseal(open, { ciphertext, ...about });
                  try {
                    const made = await seal(
                      open,
                      { plain, version: item.key_version ?? 0, ...about },
                      mount.random,
                    );
                    return { ciphertext: made.ciphertext, key_version: made.version };
                  } finally {
                    wipe(plain);
                  }
                },
              ),
            );
          },
        }),
      },
    },
    {
      path: 'datakey/:plaintext/:name',
      operations: {
        write: operation({
          summary:
            'A new random key, encrypted under a named one: with its plaintext ("plaintext") or without ("wrapped").',
          input: z.object({
            name,
            plaintext: z.string(),
            bits: integer().default(256),
            key_version: integer().nullish(),
            ...bound,
          }),
          output: sealedAnswer.extend({ plaintext: z.string().optional() }),
          effect: 'none',
          async run(given) {
            if (given.plaintext !== 'plaintext' && given.plaintext !== 'wrapped')
              throw failure('transit.field', { reason: 'invalid path, must be "plaintext" or "wrapped"' });
            if (![128, 256, 512].includes(given.bits))
              throw failure('transit.field', { reason: 'invalid bit length' });
            const plain = mount.random(given.bits / 8);
            try {
              const version = given.key_version ?? 0;
              const made = await withKey(store, await existing(given.name), (open) =>
                seal(open, { plain, version, ...boundOf(given) }, mount.random),
              );
              const data = { ciphertext: made.ciphertext, key_version: made.version };
              return { data: given.plaintext === 'wrapped' ? data : { ...data, plaintext: base64(plain) } };
            } finally {
              wipe(plain);
            }
          },
        }),
      },
    },
  ];
}

interface Upsert {
  readonly type: string;
  readonly convergent: boolean;
  /** Whether each item has a context: a derived key is made where they have. */
  readonly contexts: readonly boolean[];
}

/** @throws Failure transit.no_encryption_key, transit.key, transit.no_batch */
async function upserted(
  mount: Mount,
  store: KeyStore,
  named: string,
  { type, convergent, contexts }: Upsert,
): Promise<Key> {
  if ((await store.settings()).disableUpsert) throw failure('transit.no_encryption_key');
  if (contexts.length === 0) throw failure('transit.no_batch');
  const derived = contexts.includes(true);
  if (derived && contexts.includes(false))
    throw failure('transit.key', {
      reason: 'context should be set either in all the request blocks or in none',
    });
  if (convergent && !derived)
    throw failure('transit.key', {
      reason: 'convergent encryption requires derivation to be enabled, so context is required',
    });
  if (isKeyType(type) && !ABILITIES[algorithmOf(type).kind].encryption)
    throw failure('transit.unsupported', { operation: 'message encryption', type });
  const { key } = await create(mount, store, named, { type, derived, convergent });
  return key;
}
