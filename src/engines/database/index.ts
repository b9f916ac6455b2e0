/**
 * The database engine, as the Vault HTTP API has it: accounts made on demand under a lease, and passwords of accounts that are
 * there already, rotated. It trusts the statements of the administrator who wrote a role; not the names that callers bring,
 * nor what a database answers. Which kinds of database there are is told in `plugins.ts`, how one is spoken to in `driver.ts`.
 */

import type { PluginType } from '../../plugin/plugin.ts';
import { Connections } from './connections.ts';
import type { Connect } from './driver.ts';
import { credentialLeases } from './dynamic.ts';
import { Rotation } from './rotation.ts';
import { configRoutes } from './routes/config.ts';
import { roleRoutes } from './routes/roles.ts';
import { staticRoutes } from './routes/static.ts';
import { type Role, Shelf, type StaticRole } from './store.ts';

/** @param connect the driver: only who wires the program decides what may be connected to */
export const database = (connect: Connect): PluginType => ({
  name: 'database',
  kind: 'secret',
  create(mount) {
    const connections = new Connections(mount, connect);
    const roles = new Shelf<Role>(mount, 'role/');
    const accounts = new Shelf<StaticRole>(mount, 'static/');
    const rotation = new Rotation(mount, connections, accounts);
    return {
      routes: [
        ...configRoutes(connections),
        ...roleRoutes(mount, connections, roles),
        ...staticRoutes(mount, accounts, rotation),
      ],
      leases: { creds: credentialLeases(mount, connections, roles) },
      tick: () => rotation.tick(),
      close: () => connections.close(),
    };
  },
});
