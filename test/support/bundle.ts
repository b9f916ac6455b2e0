/** A bundle of the program from the sources as they stand, so that a stale one is never what is tested. */

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Bundle {
  /** The program's file. It lies among the packages, where the native ones are found. */
  readonly file: string;
  remove(): Promise<void>;
}

/** Lets packages that are no modules be bundled into one. By a name that no function of ours has: all share one scope. */
export const REQUIRE = {
  js: `import { createRequire as holdfastCreateRequire } from 'node:module'; const require = holdfastCreateRequire(import.meta.url);`,
};

/** @param name tells whose it is, for whoever finds one left behind */
export async function freshBundle(name: string): Promise<Bundle> {
  const folder = await mkdtemp(join(root, 'node_modules', `.holdfast-${name}-`));
  const file = join(folder, 'holdfast.js');
  await build({
    absWorkingDir: root,
    entryPoints: [
      { in: 'src/bin/holdfast.ts', out: 'holdfast' },
      { in: 'src/bin/server/thread.ts', out: 'holdfast-thread' },
    ],
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['lmdb'],
    banner: REQUIRE,
    logLevel: 'error',
  });
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}
