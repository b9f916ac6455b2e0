/** `sign/`, `verify/` and `hmac/`, each with or without the hash's name in the path. */

import { z } from 'zod';
import type { Code } from '../../../base/codes.ts';
import { failure } from '../../../base/errors.ts';
import { flag, integer } from '../../../base/schema.ts';
import type { Scheme } from '../../../crypto/signature.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { batchAnswer, batchOf, each } from '../batch.ts';
import { checkedName, type Key } from '../key.ts';
import { withKey } from '../opened.ts';
import { hashOf, macMatches, macOf, signed, verified } from '../signing.ts';
import type { KeyStore } from '../store.ts';
import { decoded } from '../text.ts';

const named = { name: z.string(), urlalgorithm: z.string().optional() };
const how = {
  hash_algorithm: z.string().nullish(),
  algorithm: z.string().nullish(),
  prehashed: flag().nullish(),
  signature_algorithm: z.string().nullish(),
  marshaling_algorithm: z.string().nullish(),
  salt_length: z.union([z.string(), z.number()]).nullish(),
};
const signItem = z.object({ input: z.string().nullish(), context: z.string().nullish() });
const macItem = z.object({ input: z.string().nullish() });
const verifyItem = signItem.extend({ signature: z.string().nullish(), hmac: z.string().nullish() });

const signAnswer = z.object({
  signature: z.string(),
  key_version: z.number(),
  public_key: z.string().optional(),
});
const macAnswer = z.object({ hmac: z.string() });
const verifyAnswer = z.object({ valid: z.boolean() });

type How = { readonly [K in keyof typeof how]?: z.output<(typeof how)[K]> | undefined } & {
  readonly urlalgorithm?: string | undefined;
};

/** @throws Failure transit.field */
function schemeOf(given: How): Scheme {
  const prehashed = given.prehashed ?? false;
  const name = given.urlalgorithm || given.hash_algorithm || given.algorithm || 'sha2-256';
  const padding = given.signature_algorithm || 'pss';
  if (padding !== 'pss' && padding !== 'pkcs1v15')
    throw failure('transit.field', { reason: 'invalid signature algorithm; known: pss, pkcs1v15' });
  const encoding = given.marshaling_algorithm || 'asn1';
  if (encoding !== 'asn1' && encoding !== 'jws')
    throw failure('transit.field', { reason: 'invalid marshaling type; known: asn1, jws' });
  const hash = name === 'none' ? undefined : hashOf(name);
  return { hash, prehashed, padding, encoding, salt: saltOf(given.salt_length ?? 'auto') };
}

/** As Go counts: 0 is "auto" and -1 is "hash". */
function saltOf(given: string | number): Scheme['salt'] {
  const text = String(given).toLowerCase();
  if (text === 'auto' || text === '' || text === '0') return 'auto';
  if (text === 'hash' || text === '-1') return 'hash';
  if (!/^\d{1,4}$/.test(text))
    throw failure('transit.field', { reason: 'salt_length must be "auto", "hash" or a number of bytes' });
  return Number(text);
}

/** @throws Failure transit.field, transit.base64 */
function inputOf(input: string | null | undefined, missing: string): Uint8Array {
  if (input === undefined || input === null) throw failure('transit.field', { reason: missing });
  return decoded(input, 'input');
}

export function signRoutes(mount: Mount, store: KeyStore): Route[] {
  const existing = async (
    name: string,
    code: Extract<
      Code,
      'transit.no_signing_key' | 'transit.no_verification_key' | 'transit.no_encryption_key'
    >,
  ): Promise<Key> => {
    const key = await store.get(checkedName(name));
    if (key === undefined) throw failure(code);
    return key;
  };

  const sign = operation({
    summary: 'Sign with a key.',
    input: z.object({
      ...named,
      ...how,
      ...signItem.shape,
      ...batchOf(signItem),
      key_version: integer().nullish(),
    }),
    output: batchAnswer(signAnswer),
    effect: 'none',
    async run(given, call) {
      const scheme = schemeOf(given);
      return withKey(store, await existing(given.name, 'transit.no_signing_key'), (open) =>
        each<z.output<typeof signItem>, z.input<typeof signAnswer>>(
          mount,
          call,
          given,
          async (item) => {
            const message = inputOf(item.input, 'missing input');
            const context = decoded(item.context ?? '', 'context');
            const made = await signed(open, message, context, given.key_version ?? 0, scheme);
            const data = { signature: made.signature, key_version: made.version };
            return made.publicKey === undefined ? data : { ...data, public_key: made.publicKey };
          },
          { key_version: 0 },
        ),
      );
    },
  });

  const verify = operation({
    summary: 'Whether a signature, or an HMAC, was made with a key.',
    input: z.object({ ...named, ...how, ...verifyItem.shape, ...batchOf(verifyItem) }),
    output: batchAnswer(verifyAnswer),
    effect: 'none',
    async run(given, call) {
      return withKey(store, await existing(given.name, 'transit.no_verification_key'), (open) =>
        each<z.output<typeof verifyItem>, z.input<typeof verifyAnswer>>(
          mount,
          call,
          given,
          async (item) => {
            const { signature, hmac } = { signature: item.signature ?? '', hmac: item.hmac ?? '' };
            if (signature !== '' && hmac !== '')
              throw failure('transit.field', { reason: "provide one of 'signature' or 'hmac'" });
            if (signature === '' && hmac === '')
              throw failure('transit.field', {
                reason: "neither a 'signature' nor an 'hmac' was given to verify",
              });
            const message = inputOf(item.input, 'missing input');
            const scheme = schemeOf(given);
            if (hmac !== '') {
              if (scheme.hash === undefined)
                throw failure('transit.field', { reason: 'HMAC needs a hash algorithm' });
              return { valid: await macMatches(open, message, hmac, scheme.hash) };
            }
            const context = decoded(item.context ?? '', 'context');
            return { valid: await verified(open, message, context, signature, scheme) };
          },
          { valid: false },
        ),
      );
    },
  });

  const hmac = operation({
    summary: 'The HMAC of bytes under a key.',
    input: z.object({
      ...named,
      ...macItem.shape,
      ...batchOf(macItem),
      algorithm: z.string().nullish(),
      key_version: integer().nullish(),
    }),
    output: batchAnswer(macAnswer),
    effect: 'none',
    async run(given, call) {
      const hash = hashOf(given.urlalgorithm || given.algorithm || 'sha2-256');
      return withKey(store, await existing(given.name, 'transit.no_encryption_key'), (open) =>
        each<z.output<typeof macItem>, z.input<typeof macAnswer>>(mount, call, given, async (item) => {
          const message = inputOf(item.input, 'missing input for HMAC');
          return { hmac: await macOf(open, message, given.key_version ?? 0, hash) };
        }),
      );
    },
  });

  return Object.entries({ sign, verify, hmac }).flatMap(([path, write]): Route[] => [
    { path: `${path}/:name`, operations: { write } },
    { path: `${path}/:name/:urlalgorithm`, operations: { write } },
  ]);
}
