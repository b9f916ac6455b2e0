/** The table of refused requests: the secret engines. */

import { afterAll, beforeAll } from 'vitest';
import { acme } from './refused/acme.ts';
import { database, kv, pki, transit } from './refused/engines.ts';
import { refuses } from './refused/refused.ts';
import { startWorld, type World } from './refused/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.close());

refuses('kv', kv, () => world);
refuses('transit', transit, () => world);
refuses('pki', pki, () => world);
refuses('database', database, () => world);
refuses('acme', acme, () => world);
