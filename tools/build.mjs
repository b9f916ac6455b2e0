// Each program is a file, dist/NAME.js, with chunks beside it for what is loaded only when it is wanted: servers, drivers of
// databases, the clients of clouds. Native packages stay outside; everything else is inlined, which halves the start-up time.
// `node tools/build.mjs [FOLDER]`: into dist/, or into another folder.

import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = resolve(process.argv[2] ?? join(root, 'dist'));

/** The programs: name of the file in dist/, and its entry under src/bin. */
export const programs = [
  {
    name: 'holdfast',
    entry: 'src/bin/holdfast.ts',
    // What runs in threads of the program: files of their own beside it, loaded by their names.
    threads: [
      { in: 'src/methods/userpass/hasher.mjs', out: 'holdfast-hasher' },
      { in: 'src/bin/server/thread.ts', out: 'holdfast-thread' },
    ],
  },
];

const banner = `#!/usr/bin/env node
import { createRequire as holdfastCreateRequire } from 'node:module';
const require = holdfastCreateRequire(import.meta.url);`;

/** The files of a build, by the list that it left; none where there is no such list. */
async function filesOf(list) {
  try {
    return Object.keys(JSON.parse(await readFile(list, 'utf8')).outputs).map((path) => basename(path));
  } catch {
    return [];
  }
}

await mkdir(out, { recursive: true });
for (const program of programs) {
  const list = join(out, `${program.name}.meta.json`);
  // A server of the build before may be running and want a chunk yet: those stay for one build more.
  const before = await filesOf(list);
  const result = await build({
    absWorkingDir: root,
    entryPoints: [{ in: program.entry, out: program.name }, ...program.threads],
    outdir: out,
    // Beside the program, so that what it finds by its own place is found from a chunk as well.
    chunkNames: `${program.name}-[name]-[hash]`,
    bundle: true,
    splitting: true,
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
  await writeFile(list, JSON.stringify(result.metafile));
  await chmod(join(out, `${program.name}.js`), 0o755);
  const kept = new Set([basename(list), ...(await filesOf(list)), ...before]);
  for (const file of await readdir(out))
    if (file.startsWith(`${program.name}.`) || file.startsWith(`${program.name}-`))
      if (!kept.has(file)) await rm(join(out, file));
}
