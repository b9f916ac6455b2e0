/** The table of refused requests: the auth methods. */

import { afterAll, beforeAll } from 'vitest';
import { approle, jwt, oidc, others, userpass } from './refused/logins.ts';
import { refuses } from './refused/refused.ts';
import { startWorld, type World } from './refused/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.close());

refuses('userpass', userpass, () => world);
refuses('approle', approle, () => world);
refuses('jwt', jwt, () => world);
refuses('oidc', oidc, () => world);
refuses('cert and kubernetes', others, () => world);
