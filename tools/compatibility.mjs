// Runs public clients against our server, as their tests do, and writes docs/compatibility.md from what they recorded.
// With --check it writes nothing and says whether the page is what these runs give.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = `${root}docs/compatibility.md`;
const out = mkdtempSync(join(tmpdir(), 'holdfast-compatibility-'));
const vitest = `${root}node_modules/vitest/vitest.mjs`;
const suites = [
  ['vitest.config.ts', 'test/compat/node-vault.test.ts', 'test/compat/hashi-vault-js.test.ts'],
  [
    'vitest.real.config.ts',
    ...['hvac', 'openssl', 'ssh', 'oidc', 'acme', 'vault-cli'].map((name) => `test/real/${name}.test.ts`),
  ],
];

let code = 0;
try {
  for (const [config, ...files] of suites) {
    const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', config, ...files], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, HOLDFAST_COMPAT_OUT: out },
    });
    if (status !== 0) throw new Error('a client failed: the page is left as it was');
  }
  const bundle = join(out, 'page.mjs');
  await build({
    entryPoints: [`${root}tools/compatibility-page.ts`],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'warning',
  });
  const { compatibilityPage, missingFrom, withoutAbsent } = await import(bundle);
  const runs = readdirSync(out)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(out, name), 'utf8')));
  const missing = missingFrom(runs);
  const text = compatibilityPage(runs);
  const kept = readFileSync(page, { encoding: 'utf8', flag: 'a+' });
  const before = process.argv.includes('--check') ? withoutAbsent(kept, runs) : kept;
  if (missing.length > 0) {
    console.log(`SKIPPED docs/compatibility.md: not run on this machine: ${missing.join(', ')}`);
  } else if (text === before) {
    console.log('docs/compatibility.md is what these runs give');
  } else if (process.argv.includes('--check')) {
    // Versions of clients move without us: that alone is no reason to refuse a change.
    console.log(
      'WARNING: docs/compatibility.md is not what these runs give; npm run compatibility writes it:',
    );
    writeFileSync(join(out, 'compatibility.md'), text);
    try {
      execFileSync('diff', ['-u', page, join(out, 'compatibility.md')], { stdio: 'inherit' });
    } catch {
      // diff ends with 1 where the two differ, which they do.
    }
  } else {
    writeFileSync(page, text);
    console.log('wrote docs/compatibility.md');
  }
} catch (error) {
  console.error(error.message);
  code = 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exit(code);
