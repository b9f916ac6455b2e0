// One bundle per program. Native packages stay outside; everything else is inlined, which halves the start-up time.

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The programs: name of the file in dist/, and its entry under src/bin. */
export const programs = [{ name: 'holdfast', entry: 'src/bin/holdfast.ts' }];

const banner = `#!/usr/bin/env node
import { createRequire as holdfastCreateRequire } from 'node:module';
const require = holdfastCreateRequire(import.meta.url);`;

await mkdir(`${root}/dist`, { recursive: true });
for (const program of programs) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [program.entry],
    outfile: `dist/${program.name}.js`,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['lmdb'],
    banner: { js: banner },
    sourcemap: 'linked',
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  await writeFile(`${root}/dist/${program.name}.meta.json`, JSON.stringify(result.metafile));
  await chmod(`${root}/dist/${program.name}.js`, 0o755);
}
