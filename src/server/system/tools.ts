/** tools/random and tools/hash. */

import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { base64, fromBase64, hex } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { integer } from '../../base/schema.ts';
import { HASH_NAMES, hashNamed } from '../../crypto/algorithms.ts';
import { operation, type Route } from '../../plugin/plugin.ts';

const format = z.enum(['base64', 'hex']);
/** As upstream bounds it: 128 KiB. */
const MOST_BYTES = 128 * 1024;

const written = (bytes: Uint8Array, as: 'base64' | 'hex'): string =>
  as === 'hex' ? hex(bytes) : base64(bytes);

export function toolRoutes(): Route[] {
  const random = operation({
    summary: 'Random bytes.',
    input: z.object({
      urlbytes: integer().optional(),
      bytes: integer().default(32),
      format: format.default('base64'),
      source: z.enum(['platform', 'seal', 'all']).default('platform'),
    }),
    output: z.object({ random_bytes: z.string() }),
    effect: 'none',
    async run(given) {
      const bytes = given.urlbytes ?? given.bytes;
      if (bytes < 1) throw failure('request.invalid', { reason: '"bytes" cannot be less than 1' });
      if (bytes > MOST_BYTES)
        throw failure('request.invalid', { reason: `"bytes" should be less than ${MOST_BYTES}` });
      return { data: { random_bytes: written(randomBytes(bytes), given.format) } };
    },
  });
  const hash = operation({
    summary: 'The hash of bytes given in base64.',
    input: z.object({
      urlalgorithm: z.string().optional(),
      algorithm: z.string().default('sha2-256'),
      input: z.string().default(''),
      format: format.default('hex'),
    }),
    output: z.object({ sum: z.string() }),
    effect: 'none',
    async run(given) {
      const name = given.urlalgorithm ?? given.algorithm;
      const algorithm = hashNamed(name);
      if (algorithm === undefined)
        throw failure('request.invalid', {
          reason: `unsupported algorithm; known: ${HASH_NAMES.join(', ')}`,
        });
      const bytes = fromBase64(given.input);
      if (bytes === undefined)
        throw failure('request.invalid', { reason: 'unable to decode input as base64' });
      return { data: { sum: written(createHash(algorithm.digest).update(bytes).digest(), given.format) } };
    },
  });
  const sources = ['platform', 'seal', 'all'];
  return [
    { path: 'tools/random', operations: { write: random } },
    { path: 'tools/random/:urlbytes', operations: { write: random } },
    ...sources.flatMap((source): Route[] => [
      { path: `tools/random/${source}`, operations: { write: random } },
      { path: `tools/random/${source}/:urlbytes`, operations: { write: random } },
    ]),
    { path: 'tools/hash', operations: { write: hash } },
    { path: 'tools/hash/:urlalgorithm', operations: { write: hash } },
  ];
}
