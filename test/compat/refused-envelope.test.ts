/** The table of refused requests: who asks, under which name, and in what form. */

import { afterAll, beforeAll } from 'vitest';
import { bodies, callers, policies, spellings } from './refused/envelope.ts';
import { refuses } from './refused/refused.ts';
import { startWorld, type World } from './refused/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.close());

refuses('a caller', callers, () => world);
refuses('a policy', policies, () => world);
refuses('a spelling', spellings, () => world);
refuses('a body', bodies, () => world);
