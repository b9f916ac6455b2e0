/** internal/counters: how many tokens and entities there are. Upstream has taken the count of requests away. */

import { z } from 'zod';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';

const total = z.object({ total: z.number() });

export const counterRoutes = (core: Core): readonly Route[] => [
  {
    path: 'internal/counters/tokens',
    operations: {
      read: operation({
        summary: 'How many service tokens live.',
        input: z.object({}),
        output: z.object({ counters: z.object({ service_tokens: total }) }),
        effect: 'none',
        async run() {
          const living = await services(core).tokens.accessors();
          return { data: { counters: { service_tokens: { total: living.length } } } };
        },
      }),
    },
  },
  {
    path: 'internal/counters/entities',
    operations: {
      read: operation({
        summary: 'How many entities there are.',
        input: z.object({}),
        output: z.object({ counters: z.object({ entities: total }) }),
        effect: 'none',
        async run() {
          let count = 0;
          for await (const _entity of services(core).identity.entities.all()) count++;
          return { data: { counters: { entities: { total: count } } } };
        },
      }),
    },
  },
];
