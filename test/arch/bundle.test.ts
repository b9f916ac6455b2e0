/** What the built program is made of: what it loads to start, and that nothing of older builds piles up beside it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '../../src/bin/version.ts';

const root = new URL('../../', import.meta.url).pathname;

interface Output {
  readonly entryPoint?: string;
  readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[];
  readonly inputs: Readonly<Record<string, unknown>>;
}

let folder: string;
let outputs: ReadonlyMap<string, Output>;
const build = (): void => {
  execFileSync(process.execPath, ['tools/build.mjs', folder], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-bundle-'));
  build();
  const list = JSON.parse(readFileSync(join(folder, 'holdfast.meta.json'), 'utf8')) as {
    outputs: Record<string, Output>;
  };
  outputs = new Map(Object.entries(list.outputs).map(([path, output]) => [basename(path), output]));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The sources that are loaded with a file of the bundle, whether they are wanted or not. */
function loadedWith(file: string): string[] {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    const output = outputs.get(name);
    if (output === undefined || seen.has(name)) return;
    seen.add(name);
    for (const { path, kind, external } of output.imports)
      if (kind === 'import-statement' && external !== true) visit(basename(path));
  };
  visit(file);
  return [...seen].flatMap((name) => Object.keys(outputs.get(name)?.inputs ?? {}));
}

const chunkOf = (entry: string): string =>
  [...outputs].find(([, { entryPoint }]) => entryPoint === entry)?.[0] ?? `no chunk of ${entry}`;

const LAZY = /node_modules\/(@aws-sdk|@smithy|mysql2|pg|@redis)\//;

test('the command line starts without servers, drivers of databases and clients of clouds', () => {
  const loaded = loadedWith('holdfast.js');
  expect(loaded).toContain('src/cli/program.ts');
  expect(
    loaded.filter((path) => LAZY.test(path) || /^src\/(server|engines|methods|apiserver)\//.test(path)),
  ).toEqual([]);
});

test.each(['src/bin/server/run.ts', 'src/bin/dev/run.ts'])(
  'the servers of %s start without clients of clouds and drivers of databases that nobody configured',
  (entry) => {
    const loaded = loadedWith(chunkOf(entry));
    expect(loaded).toContain('src/engines/aws/index.ts');
    expect(loaded.filter((path) => LAZY.test(path))).toEqual([]);
  },
);

test('what is loaded later is in the bundle nevertheless', () => {
  const all = [...outputs.values()].flatMap(({ inputs }) => Object.keys(inputs));
  for (const name of ['@aws-sdk/client-iam', '@aws-sdk/client-sts', 'mysql2', 'pg', '@redis/client'])
    expect(
      all.some((path) => path.includes(`node_modules/${name}/`)),
      name,
    ).toBe(true);
});

test('the built program runs from where it is, and a build takes away what builds before the last one left', () => {
  const stale = ['holdfast-run-AAAAAAAA.js', 'holdfast-run-AAAAAAAA.js.map', 'holdfast.old.js'];
  for (const file of [...stale, 'other.js']) writeFileSync(join(folder, file), '');
  const before = readdirSync(folder).filter((file) => !stale.includes(file));
  build();
  expect(readdirSync(folder).sort()).toEqual(before.sort());
  const told = execFileSync(process.execPath, [join(folder, 'holdfast.js'), 'version'], { encoding: 'utf8' });
  expect(told).toContain(VERSION);
}, 60_000);
