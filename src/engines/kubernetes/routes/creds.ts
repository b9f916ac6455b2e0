/** `creds/<role>`: a token, with the account that it stands for. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { commaList, duration, flag } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Shelf } from '../../../plugin/shelf.ts';
import type { Credentials } from '../credentials.ts';
import type { Role } from '../role.ts';

const NAME_LIMIT = 128;

export const credsRoute = (roles: Shelf<Role>, credentials: Credentials): Route => ({
  path: 'creds/:name',
  lowercase: ['name'],
  operations: {
    write: operation({
      summary:
        'Make a token of a service account; it, and all that was made for it, goes when its lease ends.',
      input: z.object({
        name: z.string(),
        kubernetes_namespace: z.string().max(253).nullish(),
        cluster_role_binding: flag().nullish(),
        ttl: duration().nullish(),
        audiences: commaList().nullish(),
      }),
      output: z.object({
        service_account_name: z.string(),
        service_account_namespace: z.string(),
        service_account_token: z.string(),
      }),
      effect: 'write',
      async run({ name, ...given }, call) {
        const role = await roles.get(name);
        if (role === undefined)
          throw failure('serviceaccounts.unknown_role', { name: name.slice(0, NAME_LIMIT) });
        const issued = await credentials.issue(
          name,
          role,
          {
            namespace: given.kubernetes_namespace ?? '',
            clusterWide: given.cluster_role_binding ?? false,
            ttlMs: given.ttl ?? 0,
            audiences: given.audiences ?? [],
          },
          call,
        );
        return {
          data: {
            service_account_name: issued.account,
            service_account_namespace: issued.namespace,
            service_account_token: issued.token,
          },
          lease: issued.lease,
          ...(issued.warnings.length === 0 ? {} : { warnings: issued.warnings }),
        };
      },
    }),
  },
});
