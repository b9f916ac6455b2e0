/** config, reset and rotate-root: which databases there are, and how the engine logs in. Passwords and keys never come back. */

import { listing } from '../../../plugin/listing.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { checked, EMPTY, input, merged, output, shown } from '../configuration.ts';
import type { Connections } from '../connections.ts';
import { nothing } from '../fields.ts';
import { checkedName } from '../store.ts';
import { doing, reading } from './common.ts';

const IN_URL =
  'Password found in connection_url, use a templated url to enable root rotation and prevent read access to password information.';

export function configRoutes(connections: Connections): Route[] {
  const { shelf } = connections;
  return [
    listing('config', 'List the databases.', shelf),
    {
      path: 'config/:name',
      exists: async ({ name = '' }) => (await shelf.get(name)) !== undefined,
      operations: {
        read: reading('Read how a database is reached; never the password.', shelf, output, shown),
        write: operation({
          summary: 'Make or change the connection to a database; what is left out stays as it is.',
          input,
          output: nothing,
          effect: 'write',
          async run(given) {
            const name = checkedName(given.name);
            const found = await shelf.find(name);
            const config = merged(found?.value ?? EMPTY, given);
            const { inline } = checked(config);
            if (config.verify) await connections.verify(config);
            await shelf.put(name, config, found?.revision ?? 0);
            await connections.reset(name);
            return inline === undefined || inline.password === '' ? {} : { warnings: [IN_URL] };
          },
        }),
        delete: doing(
          'Forget a database. Accounts whose leases run can no longer be taken away.',
          async (name) => {
            await shelf.delete(name);
            await connections.reset(name);
          },
        ),
      },
    },
    {
      path: 'reset/:name',
      operations: {
        write: doing('Close the connections to a database and open new ones.', async (name) => {
          await connections.get(name);
          await connections.reset(name);
        }),
      },
    },
    {
      path: 'rotate-root/:name',
      operations: {
        write: doing(
          'Give the account that the engine logs in with a password that nobody else knows.',
          (name) => connections.rotateRoot(name),
        ),
      },
    },
  ];
}
