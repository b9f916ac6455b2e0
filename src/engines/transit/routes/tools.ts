/** `random` and `hash`, which need no key. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { base64, hex } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import { integer } from '../../../base/schema.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { hashOf } from '../signing.ts';
import { decoded } from '../text.ts';

const format = z.enum(['base64', 'hex']);
/** As upstream bounds it: 128 KiB. */
const MOST_BYTES = 128 * 1024;
const SOURCES = ['platform', 'seal', 'all'] as const;

const written = (bytes: Uint8Array, as: z.output<typeof format>): string =>
  as === 'hex' ? hex(bytes) : base64(bytes);

export function toolRoutes(mount: Mount): Route[] {
  const random = operation({
    summary: 'Random bytes.',
    input: z.object({
      urlbytes: integer().optional(),
      bytes: integer().default(32),
      format: format.default('base64'),
      source: z.enum(SOURCES).default('platform'),
    }),
    output: z.object({ random_bytes: z.string() }),
    effect: 'none',
    async run(given) {
      const bytes = given.urlbytes ?? given.bytes;
      if (bytes < 1) throw failure('transit.field', { reason: '"bytes" cannot be less than 1' });
      if (bytes > MOST_BYTES)
        throw failure('transit.field', { reason: `"bytes" should be less than ${MOST_BYTES}` });
      return { data: { random_bytes: written(mount.random(bytes), given.format) } };
    },
  });
  const hash = operation({
    summary: 'The hash of bytes.',
    input: z.object({
      urlalgorithm: z.string().optional(),
      algorithm: z.string().default('sha2-256'),
      input: z.string(),
      format: format.default('hex'),
    }),
    output: z.object({ sum: z.string() }),
    effect: 'none',
    async run(given) {
      const { digest } = hashOf(given.urlalgorithm ?? given.algorithm);
      const sum = createHash(digest).update(decoded(given.input, 'input')).digest();
      return { data: { sum: written(sum, given.format) } };
    },
  });
  return [
    { path: 'random', operations: { write: random } },
    { path: 'random/:urlbytes', operations: { write: random } },
    ...SOURCES.flatMap((source): Route[] => [
      { path: `random/${source}`, operations: { write: random } },
      { path: `random/${source}/:urlbytes`, operations: { write: random } },
    ]),
    { path: 'hash', operations: { write: hash } },
    { path: 'hash/:urlalgorithm', operations: { write: hash } },
  ];
}
