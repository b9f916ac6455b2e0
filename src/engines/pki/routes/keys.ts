/** `keys` and `key/`: the keys of the mount, as far as they may be told. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { keyIdOf } from '../../../crypto/x509/extensions.ts';
import { keyKind, kindOf, makeKey, privateKeyOfPem, spkiOf } from '../../../crypto/x509/keytype.ts';
import { operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { formatFields, keyFields, keyText, nothing } from '../asking.ts';
import { checkedName, findKey, linkKey } from '../issuers.ts';
import { refreshLists } from '../lists.ts';
import type { PkiStore } from '../store.ts';

const ref = z.string();
const texts = z.array(z.string());
const refused = (reason: string) => failure('pki.request', { reason });

const keyAnswer = z.object({
  key_id: z.string(),
  key_name: z.string(),
  key_type: z.string(),
  subject_key_id: z.string().optional(),
  private_key: z.string().optional(),
  private_key_type: z.string().optional(),
});

export function keyRoutes(store: PkiStore): Route[] {
  const generate = operation({
    summary: 'Make a key without a certificate.',
    input: z.object({
      exported: z.enum(['internal', 'exported']),
      key_type: keyFields.key_type,
      key_bits: keyFields.key_bits,
      key_name: keyFields.key_name,
      ...formatFields,
    }),
    output: keyAnswer,
    effect: 'write',
    async run(given) {
      const kind = keyKind(given.key_type, given.key_bits);
      const name = checkedName(given.key_name, 'key');
      const made = await makeKey(kind);
      const { key } = await store.keepKey(made, kind, spkiOf(made), name);
      const secret = given.exported === 'exported' ? keyText(made, given) : {};
      return { data: { key_id: key.id, key_name: key.name, key_type: key.type, ...secret } };
    },
  });
  return [
    {
      path: 'keys',
      operations: {
        list: operation({
          summary: 'List the keys.',
          input: z.object({}),
          output: z.object({
            keys: texts,
            key_info: z.record(z.string(), z.object({ key_name: z.string(), is_default: z.boolean() })),
          }),
          effect: 'none',
          async run() {
            const keys = await store.all('key');
            const { default: main } = await store.setting('keys');
            if (keys.length === 0) return {};
            const info = keys.map(({ id, name }) => [id, { key_name: name, is_default: id === main }]);
            return { data: { keys: keys.map(({ id }) => id), key_info: Object.fromEntries(info) } };
          },
        }),
      },
    },
    { path: 'keys/generate/:exported', operations: { write: generate } },
    {
      path: 'keys/import',
      operations: {
        write: operation({
          summary: 'Bring in a private key.',
          input: z.object({ pem_bundle: z.string(), key_name: keyFields.key_name }),
          output: keyAnswer,
          effect: 'write',
          async run(given) {
            const brought = privateKeyOfPem(given.pem_bundle);
            const kind = brought && kindOf(brought);
            if (brought === undefined || kind === undefined) throw failure('pki.malformed');
            const name = checkedName(given.key_name, 'key');
            const { key } = await store.keepKey(brought, kind, spkiOf(brought), name);
            await linkKey(store, key);
            await refreshLists(store);
            return { data: { key_id: key.id, key_name: key.name, key_type: key.type } };
          },
        }),
      },
    },
    {
      path: 'key/:ref',
      operations: {
        read: operation({
          summary: 'Read what is known of a key, without its private half.',
          input: z.object({ ref }),
          output: keyAnswer,
          effect: 'none',
          async run(given) {
            const { id, name, type, spki } = await findKey(store, given.ref);
            const skid = keyIdOf(Buffer.from(spki, 'base64')).toString('hex').match(/../g)?.join(':') ?? '';
            return { data: { key_id: id, key_name: name, key_type: type, subject_key_id: skid } };
          },
        }),
        write: operation({
          summary: 'Rename a key.',
          input: z.object({ ref, key_name: z.string() }),
          output: keyAnswer,
          effect: 'write',
          async run(given) {
            const { id } = await findKey(store, given.ref);
            const name = checkedName(given.key_name, 'key');
            const others = (await store.all('key')).filter((key) => key.id !== id);
            if (name !== '' && others.some((key) => key.name === name))
              throw refused('key name already in use');
            const key = await store.change('key', id, (before) => ({ ...before, name }));
            return { data: { key_id: id, key_name: name, key_type: key?.type ?? '' } };
          },
        }),
        delete: operation({
          summary: 'Delete a key that no issuer needs.',
          input: z.object({ ref }),
          output: nothing,
          effect: 'write',
          async run(given): Promise<Reply<Record<string, never>>> {
            const { id } = await findKey(store, given.ref);
            if ((await store.all('issuer')).some(({ keyId }) => keyId === id))
              throw refused('failed to delete key: it is in use by an issuer');
            await store.dropKey(id);
            const { default: main } = await store.setting('keys');
            if (main === id) await store.changeSetting('keys', () => ({ default: '' }));
            return {};
          },
        }),
      },
    },
  ];
}
