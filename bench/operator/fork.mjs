// A module of the sources, bundled and run as a process of its own that is asked by messages.

import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { usageOf } from '../parts/program.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Bundles `entry` (from the root) and forks it. `first`: what it says when it is up; `ask(name, given)`: one call. */
export async function forkModule(entry) {
  // Beside the packages, which stay outside of it.
  const outfile = join(ROOT, 'node_modules', `.holdfast-bench-${process.pid}.mjs`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  });
  const child = fork(outfile, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const asked = new Map();
  const killer = () => child.kill('SIGKILL');
  process.once('exit', killer);
  let asks = 0;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const first = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    ended.then(() => reject(new Error(`${entry} ended before it was up`)));
  });
  child.on('message', ({ id, result, error }) => {
    const { resolve, reject } = asked.get(id);
    asked.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  });
  ended.then(() => {
    for (const { reject } of asked.values()) reject(new Error(`${entry} ended`));
  });
  return {
    first,
    ask: (name, given = {}) =>
      new Promise((resolve, reject) => {
        const id = ++asks;
        asked.set(id, { resolve, reject });
        child.send({ id, name, given });
      }),
    usage: () => usageOf(child.pid),
    async stop() {
      killer();
      await ended;
      process.off('exit', killer);
      rmSync(outfile, { force: true });
    },
  };
}
