/** `config`: where the source is, and what it is shown to be let in. */

import { z } from 'zod';
import { seconds } from '../../../base/duration.ts';
import { duration } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { NO_CONFIG, type Source } from '../source.ts';
import { nothing, texts } from './shapes.ts';

export const configRoute = (source: Source): Route => ({
  path: 'config',
  operations: {
    read: operation({
      summary: 'Read where the source is; the values of headers and secrets are never told.',
      input: nothing,
      output: z.object({
        address: z.string(),
        ca_cert: z.string(),
        timeout: z.number(),
        header_names: z.array(z.string()),
        secret_names: z.array(z.string()),
      }),
      effect: 'none',
      async run() {
        const stored = await source.stored();
        if (stored === undefined) return {};
        const { address, ca, timeoutMs, headers, secrets } = stored.config;
        return {
          data: {
            address,
            ca_cert: ca,
            timeout: seconds(timeoutMs),
            header_names: Object.keys(headers).sort(),
            secret_names: Object.keys(secrets).sort(),
          },
        };
      },
    }),
    write: operation({
      summary:
        'Set where the source is and what it is shown; what is left out stays, and an empty header or secret goes.',
      input: z.object({
        address: z.string().max(2048).nullish(),
        ca_cert: z.string().nullish(),
        timeout: duration().nullish(),
        headers: texts().nullish(),
        secrets: texts().nullish(),
      }),
      output: nothing,
      effect: 'write',
      async run(given) {
        await source.change((before) => ({
          address: given.address?.trim() ?? before.address,
          ca: given.ca_cert?.trim() ?? before.ca,
          timeoutMs: given.timeout || (given.timeout === 0 ? NO_CONFIG.timeoutMs : before.timeoutMs),
          headers: laidOver(before.headers, given.headers),
          secrets: laidOver(before.secrets, given.secrets),
        }));
        return {};
      },
    }),
    delete: operation({
      summary: 'Forget the source; leases that are still open cannot be ended until there is one again.',
      input: nothing,
      output: nothing,
      effect: 'write',
      async run() {
        await source.delete();
        return {};
      },
    }),
  },
});

const laidOver = (
  before: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>> | null | undefined,
): Record<string, string> =>
  Object.fromEntries(Object.entries({ ...before, ...given }).filter(([, value]) => value !== ''));
