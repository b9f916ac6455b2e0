/** `config/zeroaddress`: roles whose passwords are for every address, whatever their networks say. */

import { z } from 'zod';
import { commaList } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { checkedName, nothing, refused } from '../fields.ts';
import type { SshStore } from '../store.ts';

const output = z.object({ roles: z.array(z.string()) });

export function zeroAddressRoutes(store: SshStore): Route[] {
  return [
    {
      path: 'config/zeroaddress',
      operations: {
        read: operation({
          summary: 'List the roles that hold for every address.',
          input: nothing,
          output,
          effect: 'none',
          async run() {
            const roles = await store.zeroAddressRoles();
            return roles === undefined ? {} : { data: { roles: [...roles] } };
          },
        }),
        write: operation({
          summary: 'Set which roles hold for every address.',
          input: z.object({ roles: commaList().nullish() }),
          output: nothing,
          effect: 'write',
          async run(given) {
            const roles = [...new Set(given.roles ?? [])];
            if (roles.length === 0) throw refused('Missing roles');
            for (const name of roles)
              if ((await store.role(checkedName(name))) === undefined)
                throw refused(`Role "${name}" does not exist`);
            await store.putZeroAddressRoles(roles);
            return {};
          },
        }),
        delete: operation({
          summary: 'Let every role hold for its own networks alone.',
          input: nothing,
          output: nothing,
          effect: 'write',
          async run() {
            await store.deleteZeroAddressRoles();
            return {};
          },
        }),
      },
    },
  ];
}
