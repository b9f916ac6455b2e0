/** `config/keys` and `cache-config`: what holds for the mount. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { flag, integer } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { KeyStore } from '../store.ts';

const keysAnswer = z.object({ disable_upsert: z.boolean() });
const cacheAnswer = z.object({ size: z.number() });

/** Upstream takes no smaller one than this, but for 0: no bound. */
const LEAST_CACHE = 10;
const NO_CACHE = 'this server keeps no keys in a cache: the size is stored, and changes nothing';

export const settingsRoutes = (store: KeyStore): Route[] => [
  {
    path: 'config/keys',
    operations: {
      read: operation({
        summary: 'Read whether encrypting makes the keys that are missing.',
        input: z.object({}),
        output: keysAnswer,
        effect: 'none',
        run: async () => ({ data: { disable_upsert: (await store.settings()).disableUpsert } }),
      }),
      write: operation({
        summary: 'Set whether encrypting makes the keys that are missing.',
        input: z.object({ disable_upsert: flag().default(false) }),
        output: keysAnswer,
        effect: 'write',
        async run({ disable_upsert }) {
          const after = await store.changeSettings((before) => ({
            ...before,
            disableUpsert: disable_upsert,
          }));
          return { data: { disable_upsert: after.disableUpsert } };
        },
      }),
    },
  },
  {
    path: 'cache-config',
    operations: {
      read: operation({
        summary: 'Read the size of the cache that clients asked for.',
        input: z.object({}),
        output: cacheAnswer,
        effect: 'none',
        run: async () => ({ data: { size: (await store.settings()).cacheSize } }),
      }),
      write: operation({
        summary: 'Set the size of a cache that other servers keep; there is none here.',
        input: z.object({ size: integer().default(0) }),
        output: cacheAnswer,
        effect: 'write',
        async run({ size }) {
          if (size < 0 || (size > 0 && size < LEAST_CACHE))
            throw failure('transit.field', {
              reason: `size must be 0 or a value greater or equal to ${LEAST_CACHE}`,
            });
          const after = await store.changeSettings((before) => ({ ...before, cacheSize: size }));
          return { data: { size: after.cacheSize }, warnings: [NO_CACHE] };
        },
      }),
    },
  },
];
