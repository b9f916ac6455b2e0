/** The table of refused requests: the server itself, and who its callers are. */

import { afterAll, beforeAll } from 'vitest';
import { refuses } from './refused/refused.ts';
import { identity, quotas, sys, tokens, wrapping } from './refused/system.ts';
import { startWorld, type World } from './refused/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.close());

refuses('tokens', tokens, () => world);
refuses('wrapping', wrapping, () => world);
refuses('sys', sys, () => world);
refuses('identity', identity, () => world);
refuses('quotas', quotas, () => world);
