/** For tests: operators over clusters of their own, each ended with the test that started it. */

import { afterEach } from 'vitest';
import { startWorld, type World } from './cluster.ts';

/** To be called once in a file of tests. Gives `startWorld`, whose worlds end by themselves. */
export function startingWorlds(): typeof startWorld {
  const worlds: World[] = [];
  afterEach(async () => {
    await Promise.all(worlds.splice(0).map((world) => world.stop()));
  });
  return (...given) => {
    const world = startWorld(...given);
    worlds.push(world);
    return world;
  };
}
