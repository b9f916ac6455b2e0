/** `config` and `check`: the cluster, and what the pod that the server runs in was told of it. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { flag } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Settings } from '../config.ts';

const JWT_LIMIT = 64 * 1024;
const nothing = z.object({});

export const configRoutes = (settings: Settings): Route[] => [
  {
    path: 'config',
    operations: {
      read: operation({
        summary: 'Read which cluster tokens are made in; the token that does it is never told.',
        input: nothing,
        output: z.object({
          disable_local_ca_jwt: z.boolean(),
          kubernetes_ca_cert: z.string(),
          kubernetes_host: z.string(),
        }),
        effect: 'none',
        async run() {
          const stored = await settings.stored();
          if (stored === undefined) return {};
          const { host, ca, useLocal } = stored.value;
          return {
            data: { disable_local_ca_jwt: !useLocal, kubernetes_ca_cert: ca, kubernetes_host: host },
          };
        },
      }),
      write: operation({
        summary:
          'Set which cluster tokens are made in, under which CA and with which token; what is left out stays.',
        input: z.object({
          kubernetes_host: z.string().max(2048).nullish(),
          kubernetes_ca_cert: z.string().nullish(),
          service_account_jwt: z.string().max(JWT_LIMIT).nullish(),
          disable_local_ca_jwt: flag().nullish(),
        }),
        output: nothing,
        effect: 'write',
        async run(given) {
          const jwt = given.service_account_jwt?.trim();
          // It becomes a header.
          if (jwt !== undefined && !/^[\x21-\x7e]*$/.test(jwt)) throw failure('serviceaccounts.jwt');
          await settings.change((before) => ({
            host: given.kubernetes_host?.trim() ?? before.host,
            ca: given.kubernetes_ca_cert?.trim() ?? before.ca,
            jwt: jwt ?? before.jwt,
            useLocal: given.disable_local_ca_jwt == null ? before.useLocal : !given.disable_local_ca_jwt,
          }));
          return {};
        },
      }),
      delete: operation({
        summary: 'Forget the cluster; leases that are still open cannot be ended until there is one again.',
        input: nothing,
        output: nothing,
        effect: 'write',
        async run() {
          await settings.delete();
          return {};
        },
      }),
    },
  },
  {
    path: 'check',
    operations: {
      read: operation({
        summary: 'Check that the server runs in a pod, which tells it where the cluster is.',
        input: nothing,
        output: nothing,
        effect: 'none',
        async run() {
          const missing = settings.missing();
          if (missing.length > 0) throw failure('serviceaccounts.check', { names: missing.join(', ') });
          return { status: 204 };
        },
      }),
    },
  },
];
