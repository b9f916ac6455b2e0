/** The walls of the house, as tests: who may import whom, what is in the bundle, and that generated files are true. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { codes } from '../../src/base/codes.ts';
import { VERSION } from '../../src/bin/version.ts';
import { errorsPage } from '../../tools/errors-page.ts';

const root = new URL('../../', import.meta.url).pathname;

test('rooms import only their neighbours, and nothing imports in a circle', () => {
  const output = execFileSync(
    process.execPath,
    [
      'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
      '--config',
      'test/arch/rules.cjs',
      '--output-type',
      'err',
      'src',
    ],
    { cwd: root, encoding: 'utf8' },
  );
  expect(output).toContain('no dependency violations found');
  expect(Number(/\((\d+) modules/.exec(output)?.[1])).toBeGreaterThan(100);
});

test('every failure has a row in docs/errors.md, and every row is a failure', () => {
  expect(readFileSync(`${root}docs/errors.md`, 'utf8')).toBe(errorsPage(codes));
});

test('the program tells the version of the package', () => {
  expect(VERSION).toBe(
    (JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string }).version,
  );
});

test('nothing installed needs an install script', () => {
  const lock = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as {
    packages: Record<string, { hasInstallScript?: boolean; dev?: boolean }>;
  };
  const scripted = Object.entries(lock.packages)
    .filter(([, entry]) => entry.hasInstallScript && !entry.dev)
    .map(([name]) => name);
  // lmdb and msgpackr-extract carry prebuilt binaries and load without their scripts, which never run here.
  expect(scripted.filter((name) => !/(lmdb|msgpackr-extract)$/.test(name))).toEqual([]);
});
