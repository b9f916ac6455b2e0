// Bundles and runs generate.ts: the oldest Node we support does not read TypeScript.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const outfile = `${root}/node_modules/.holdfast-generate.mjs`;
await build({
  absWorkingDir: root,
  entryPoints: ['tools/generate.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  packages: 'external',
  logLevel: 'warning',
});
try {
  execFileSync(process.execPath, [outfile], { cwd: root, stdio: 'inherit' });
} finally {
  rmSync(outfile, { force: true });
}
