/** wrapping/wrap, lookup, unwrap and rewrap: putting an answer away, and taking it out once. */

import { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { seconds } from '../../base/duration.ts';
import { failure } from '../../base/errors.ts';
import { type Call, operation, type Route } from '../../plugin/plugin.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import { type Core, services } from '../core/core.ts';
import { timestamp } from '../core/envelope.ts';
import { type Exchange, exchangeOf } from '../core/exchange.ts';
import { isWrapping, unwrap, wrap, wrapped, wrappingToken } from '../core/wrapping.ts';

const lookedUp = z.object({ creation_path: z.string(), creation_time: z.string(), creation_ttl: z.number() });
const input = z.object({ token: z.string().optional() });

export function wrappingRoutes(core: Core): Route[] {
  return [
    {
      path: 'wrapping/wrap',
      operations: {
        write: operation({
          summary: 'Wraps what it is sent, for the time that X-Vault-Wrap-TTL says.',
          input: z.looseObject({}),
          output: z.looseObject({}),
          effect: 'write',
          async run(given, call) {
            if ((exchangeOf(call).request.wrapTtlMs ?? 0) > 0) return { data: given };
            throw failure('request.invalid', { reason: 'endpoint requires response wrapping to be used' });
          },
        }),
      },
    },
    {
      path: 'wrapping/lookup',
      access: 'public',
      operations: {
        write: operation({
          summary: 'When, for how long and by which request something was wrapped.',
          input,
          output: lookedUp,
          effect: 'none',
          run: async ({ token }, call) => about(core, token ?? exchangeOf(call).request.token),
        }),
        read: operation({
          summary: 'When, for how long and by which request something was wrapped.',
          input,
          output: lookedUp,
          effect: 'none',
          run: async ({ token }, call) => about(core, token ?? exchangeOf(call).request.token),
        }),
      },
    },
    {
      path: 'wrapping/unwrap',
      access: 'public',
      operations: {
        write: operation({
          summary: 'Takes out what was wrapped, once.',
          input,
          output: z.undefined(),
          effect: 'write',
          async run({ token }, call) {
            const entry = await claimed(core, token, call);
            const text = await unwrap(services(core), entry);
            return {
              raw: { status: 200, headers: { 'content-type': 'application/json' }, body: utf8(text) },
            };
          },
        }),
      },
    },
    {
      path: 'wrapping/rewrap',
      access: 'public',
      operations: {
        write: operation({
          summary: 'Moves what was wrapped to a new token; the old one ends.',
          input,
          output: z.undefined(),
          effect: 'write',
          async run({ token }, call) {
            // A wrapping token opens what it wraps and no more: who found one could keep it alive for ever.
            if (token === undefined || token === exchangeOf(call).request.token)
              throw failure('request.denied');
            const entry = await claimed(core, token, call);
            const open = services(core);
            const { path, ttlMs } = await wrapped(open, entry);
            const text = await unwrap(open, entry);
            exchangeOf(call).wrap = await wrap(open, text, { path, ttlMs });
            return {};
          },
        }),
      },
    },
  ];
}

async function about(core: Core, token: string | undefined): Promise<{ data: z.input<typeof lookedUp> }> {
  const open = services(core);
  const { path, createdAt, ttlMs } = await wrapped(open, await wrappingToken(open, token));
  return {
    data: { creation_path: path, creation_time: timestamp(createdAt), creation_ttl: seconds(ttlMs) },
  };
}

/** The wrapping token: named in the body by somebody who may unwrap, or shown as the caller's own. */
async function claimed(core: Core, named: string | undefined, call: Call): Promise<TokenEntry> {
  const exchange: Exchange = exchangeOf(call);
  const open = services(core);
  if (named === undefined || named === '' || named === exchange.request.token)
    return wrappingToken(open, exchange.request.token);
  const { acl, token, path } = exchange;
  if (acl === undefined || token === undefined || isWrapping(token)) throw failure('request.denied');
  if (!acl.decide({ path, capability: 'update', sudo: false }).allowed) throw failure('request.denied');
  return wrappingToken(open, named);
}
