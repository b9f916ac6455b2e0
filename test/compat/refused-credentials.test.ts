/** The table of refused requests: one-time codes, certificates of SSH, accounts of a cluster and of other systems. */

import { afterAll, beforeAll } from 'vitest';
import { custom, kube, ssh, totp } from './refused/credentials.ts';
import { refuses } from './refused/refused.ts';
import { startWorld, type World } from './refused/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.close());

refuses('totp', totp, () => world);
refuses('ssh', ssh, () => world);
refuses('kubernetes', kube, () => world);
refuses('custom', custom, () => world);
