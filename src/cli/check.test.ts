import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { locateKeys } from '../bin/dev/locate.ts';
import { providers } from '../bin/operator/providers.ts';
import { declareCheck } from './check.ts';
import { runCli } from './program.ts';
import type { Terminal } from './terminal.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-check-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = async (name: string, text: string): Promise<string> => {
  const file = join(folder, name);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, text);
  return file;
};

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const terminal: Terminal = {
    env: {},
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stdin: async () => '',
    secret: async () => '',
    readFile: async () => '',
    tokenFile: { read: async () => undefined, write: async () => undefined },
  };
  const code = await runCli(['check', ...argv], terminal, '0.0.0', [
    (program: Command, on: Terminal) =>
      declareCheck(program, on, '0.0.0', async () => ({
        providers: providers({ env: {} }),
        locate: locateKeys,
      })),
  ]);
  return { code, out, err };
}

const STORE =
  'apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: { name: s }\nspec: { provider: { fake: {} } }\n';
const ES =
  'apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: { name: e }\nspec:\n  secretStoreRef: { name: s }\n  data: [{ secretKey: a, remoteRef: { key: b } }]\n';

test('0 where nothing is wrong, below folders of any depth', async () => {
  await write('x/y/store.yaml', STORE);
  await write('es.yml', ES);
  expect(await run(folder)).toMatchObject({
    code: 0,
    out: expect.stringContaining('in 2 objects of 2 files'),
  });
});

test('1 where there is an error; a warning fails only where that is asked for', async () => {
  const file = await write('es.yaml', ES);
  expect(await run(file)).toMatchObject({ code: 0, out: expect.stringContaining('1 warning') });
  expect(await run('-strict', file)).toMatchObject({ code: 1 });
  await write('es.yaml', ES.replace('data:', 'date:'));
  expect(await run(file)).toMatchObject({ code: 1 });
});

test('2 where it cannot be checked: the message names what', async () => {
  expect(await run(join(folder, 'gone'))).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringContaining('there is no such file or folder'),
  });
  expect(await run('-format=html', folder)).toMatchObject({
    code: 2,
    err: expect.stringContaining('text, json'),
  });
  const roles = await write('roles.yaml', 'auth:\n  kubernetes:\n    r:\n      polices: []\nmount: {}\n');
  expect(await run(`-server=${roles}`, folder)).toMatchObject({
    code: 2,
    err: expect.stringContaining('roles.yaml:5'),
  });
  const paths = await write('paths.txt', 'secret/app a\nnonsense\n');
  expect(await run(`-paths=${paths}`, folder)).toMatchObject({
    code: 2,
    err: expect.stringContaining('paths.txt:2'),
  });
});

test('hidden folders, packages and patches of a kustomization are not looked at', async () => {
  await write('.git/a.yaml', ES);
  await write('node_modules/a.yaml', ES);
  await write('over/kustomization.yaml', 'patches: [{ path: patch.yaml }]\n');
  await write('over/patch.yaml', ES.replace('data:', 'date:'));
  expect(await run(folder)).toMatchObject({
    code: 0,
    out: expect.stringContaining('in 0 objects of 1 file'),
  });
});

test('a report for another program is all that is printed', async () => {
  const file = await write('es.yaml', ES);
  for (const format of ['json', 'sarif']) {
    const { out } = await run(`-format=${format}`, file);
    expect(() => JSON.parse(out) as unknown).not.toThrow();
  }
  expect((await run('-format', 'junit', file)).out).toMatch(/^<\?xml .*<\/testsuites>\n$/s);
});
