/** What the built program is made of: what it loads to start, and that nothing of older builds piles up beside it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '../../src/bin/version.ts';
import { Hashers } from '../../src/methods/userpass/hashers.ts';

const root = new URL('../../', import.meta.url).pathname;

interface Output {
  readonly entryPoint?: string;
  readonly exports: readonly string[];
  readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[];
  readonly inputs: Readonly<Record<string, unknown>>;
}

let folder: string;
let outputs: ReadonlyMap<string, Output>;
/** What each source imports. */
let sources: ReadonlyMap<string, Pick<Output, 'imports'>>;
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
    inputs: Record<string, Output>;
  };
  sources = new Map(Object.entries(list.inputs));
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

const LAZY = /node_modules\/(@aws-sdk|@smithy|@azure|google-auth-library|mysql2|pg|@redis)\//;

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

test('the operator starts without anything of a server or of a Kubernetes API, and without clients of clouds', () => {
  const loaded = loadedWith(chunkOf('src/bin/operator/run.ts'));
  expect(loaded).toContain('src/operator/operator.ts');
  expect(
    loaded.filter(
      (path) =>
        LAZY.test(path) ||
        /^src\/(engines|methods|apiserver|storage|server\/(?!config\/egress|http\/dial))/.test(path),
    ),
  ).toEqual([]);
});

test('what is loaded later is in the bundle nevertheless', () => {
  const all = [...outputs.values()].flatMap(({ inputs }) => Object.keys(inputs));
  for (const name of ['@aws-sdk/client-iam', '@aws-sdk/client-sts', 'mysql2', 'pg', '@redis/client'])
    expect(
      all.some((path) => path.includes(`node_modules/${name}/`)),
      name,
    ).toBe(true);
});

// A package of CommonJS that is loaded by import() has its names under Node and in tests, and none but "default" in a chunk.
test('what is loaded later has the names in the built program that it has without', () => {
  const later = [...sources]
    .filter(([path]) => path.startsWith('src/'))
    .flatMap(([, { imports }]) => imports.filter(({ kind }) => kind === 'dynamic-import'))
    .map(({ path }) => outputs.get(chunkOf(path)) ?? { entryPoint: path, exports: [] });
  expect(later.map(({ entryPoint }) => entryPoint)).toContain('src/engines/aws/sdk.ts');
  for (const { entryPoint, exports } of later) expect(exports, entryPoint).not.toEqual(['default']);
});

test.each([
  ['src/engines/aws/sdk.ts', ['IAM', 'STS']],
  [
    'src/generators/aws/sdk.ts',
    ['ECRClient', 'GetAuthorizationTokenCommand', 'GetSessionTokenCommand', 'STSClient'],
  ],
  ['src/providers/aws/sdk.ts', ['SecretsManagerClient', 'SSMClient', 'STSClient', 'GetParameterCommand']],
  ['src/gcp/sdk.ts', ['JWT', 'AwsClient', 'GoogleAuth', 'gcpMetadata']],
  [
    'src/azure/sdk.ts',
    ['ClientSecretCredential', 'ClientCertificateCredential', 'ManagedIdentityCredential'],
  ],
  ['src/providers/azure/sdk.ts', ['SecretClient', 'KeyClient', 'CertificateClient']],
  ['src/server/seal/awskms-sdk.ts', ['KMS', 'STS']],
  [
    'src/server/seal/azure-sdk.ts',
    ['ClientAssertionCredential', 'ClientSecretCredential', 'CryptographyClient'],
  ],
  ['src/server/seal/google-sdk.ts', ['JWT']],
  ['src/server/backup/sdk.ts', ['S3Client', 'PutObjectCommand']],
  ['src/engines/database/drivers/mysql-client.ts', ['createPool']],
  ['src/engines/database/drivers/redis-client.ts', ['createClient']],
  ['node_modules/pg/esm/index.mjs', ['default']],
])(
  'the chunk of %s can be loaded, and gives %j',
  (entry, names) => {
    const chunk = pathToFileURL(join(folder, chunkOf(entry))).href;
    // By Node itself: what runs the tests would load it in a way of its own.
    const told = execFileSync(
      process.execPath,
      ['--input-type=module', '-e', `console.log(Object.keys(await import('${chunk}')).join())`],
      { encoding: 'utf8' },
    );
    expect(told.trim().split(',')).toEqual(expect.arrayContaining(names));
  },
  60_000,
);

test('the built program runs from where it is, and a build takes away what builds before the last one left', () => {
  const stale = ['holdfast-run-AAAAAAAA.js', 'holdfast-run-AAAAAAAA.js.map', 'holdfast.old.js'];
  for (const file of [...stale, 'other.js']) writeFileSync(join(folder, file), '');
  const before = readdirSync(folder).filter((file) => !stale.includes(file));
  build();
  expect(readdirSync(folder).sort()).toEqual(before.sort());
  const told = execFileSync(process.execPath, [join(folder, 'holdfast.js'), 'version'], { encoding: 'utf8' });
  expect(told).toContain(VERSION);
}, 60_000);

test('the thread that passwords are hashed on lies beside the program, and holds bcrypt and nothing of the server', async () => {
  const file = 'holdfast-hasher.js';
  const hashers = new Hashers({ file: pathToFileURL(join(folder, file)), threads: 1, idleMs: 1 });
  expect(await hashers.compare('right', await hashers.hash('right', 4))).toBe(true);
  expect(loadedWith(file).filter((path) => !path.startsWith('node_modules/bcryptjs/'))).toEqual([
    'src/methods/userpass/hasher.mjs',
  ]);
});
