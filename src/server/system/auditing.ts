/** config/auditing/request-headers: which headers the audit trail keeps. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { flag } from '../../base/schema.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';

/** They are credentials, and the trail must never hold one, hashed or not, twice. */
const NEVER: ReadonlySet<string> = new Set(['x-vault-token', 'authorization', 'cookie']);
const one = z.object({
  header: z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'expected the name of a header'),
});
const hmacText = z.object({ hmac: z.boolean() });

export function auditingRoutes(core: Core): Route[] {
  const shown = (): Record<string, { hmac: boolean }> =>
    Object.fromEntries(
      Object.entries(services(core).auditedHeaders.all).map(([header, hmac]) => [header, { hmac }]),
    );
  return [
    {
      path: 'config/auditing/request-headers',
      access: 'sudo',
      operations: {
        read: operation({
          summary: 'The request headers that the audit trail keeps.',
          input: z.object({}),
          output: z.object({ headers: z.record(z.string(), hmacText) }),
          effect: 'none',
          flat: true,
          run: async () => ({ data: { headers: shown() } }),
        }),
      },
    },
    {
      path: 'config/auditing/request-headers/:header',
      access: 'sudo',
      lowercase: ['header'],
      operations: {
        read: operation({
          summary: 'Whether the audit trail keeps this header, and how.',
          input: one,
          output: z.record(z.string(), hmacText),
          effect: 'none',
          flat: true,
          async run({ header }) {
            const kept = shown()[header];
            if (kept === undefined)
              throw failure('request.invalid', { reason: 'Could not find header in config' });
            return { data: { [header]: kept } };
          },
        }),
        write: operation({
          summary: 'Lets the audit trail keep this header, hashed or as it is.',
          input: one.extend({ hmac: flag().default(false) }),
          output: z.undefined(),
          effect: 'write',
          async run({ header, hmac }) {
            if (NEVER.has(header) && !hmac)
              throw failure('request.invalid', {
                reason: 'this header is a credential: it can only be kept hashed',
              });
            await services(core).auditedHeaders.set(header, hmac);
            return {};
          },
        }),
        delete: operation({
          summary: 'Keeps this header out of the audit trail.',
          input: one,
          output: z.undefined(),
          effect: 'write',
          async run({ header }) {
            await services(core).auditedHeaders.delete(header);
            return {};
          },
        }),
      },
    },
  ];
}
