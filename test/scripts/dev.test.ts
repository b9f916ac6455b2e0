/** `holdfast dev` as a program: a child process over folders of its own, judged by what it prints, leaves and ends with. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Bundle, freshBundle } from '../support/bundle.ts';
import { noKubectl } from '../support/kubectl.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
// Programs are started, up to three in one test, on machines that do other work too.
vi.setConfig({ testTimeout: 120_000 });

const FREE = ['--address', '127.0.0.1:0', '--kube-address', '127.0.0.1:0'];

let bundle: string;
let made: Bundle;
beforeAll(async () => {
  made = await freshBundle('program');
  bundle = made.file;
});
afterAll(() => made?.remove());

let folder: string;
let home: string;
const running = new Set<ChildProcess>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-dev-'));
  home = join(folder, 'home');
  await mkdir(home);
  await cp(join(root, 'examples/platform'), join(folder, 'platform'), {
    recursive: true,
    filter: (path) => !path.endsWith('.holdfast'),
  });
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: number | string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** Resolves when standard output has this; rejects when the program ends without. */
  says(text: string | RegExp): Promise<void>;
}

const platform = (): string => join(folder, 'platform');
const state = (...path: string[]): string => join(folder, 'platform', '.holdfast', ...path);

function start(args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [bundle, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const out: string[] = [];
  const err: string[] = [];
  const waiting = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    out.push(chunk.toString());
    for (const look of waiting) look();
  });
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk.toString()));
  const ended = new Promise<Ran>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ out: out.join(''), err: err.join(''), code: code ?? signal ?? 'nothing' });
    });
  });
  return {
    child,
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (out.join('').match(text) !== null) resolve();
        };
        waiting.add(look);
        look();
        void ended.then((ran) => reject(new Error(`ended with ${ran.code}: ${ran.out}${ran.err}`)));
      }),
  };
}

const run = (args: readonly string[], env?: Record<string, string>): Promise<Ran> => start(args, env).ended;
const dev = (...args: string[]): Promise<Ran> => run(['dev', platform(), ...args]);

/** A command under the environment that a shell has after `. .holdfast/env`. */
async function inShell(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', `. "${state('env')}"; ${command}`], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home, HOLDFAST: `${process.execPath} ${bundle}` },
  });
  return stdout;
}

const READY = 'Ctrl-C stops it';

describe('the work, once', () => {
  test('every ExternalSecret of the example is synced: exit 0, the table, nothing on standard error, no secret shown', async () => {
    const { out, err, code } = await dev('--once', ...FREE);
    expect({ err, code }).toEqual({ err: '', code: 0 });
    const rows = out.split('\n').filter((line) => /\bSecretSynced\s+True\b/.test(line));
    expect(rows.length).toBeGreaterThanOrEqual(12);
    expect(new Set(rows.map((row) => row.split(/\s+/)[0])).size).toBe(6);
    expect(out).toMatch(
      /NAMESPACE\s+NAME\s+STORETYPE\s+STORE\s+REFRESH INTERVAL\s+STATUS\s+READY\s+LAST SYNC/,
    );
    const keys = JSON.parse(await readFile(state('keys.json'), 'utf8')) as Record<string, string | string[]>;
    for (const secret of ['Sonar-Secret-123', ...Object.values(keys).flat()])
      expect(out).not.toContain(secret);
  });

  test('an ExternalSecret that asks for a missing key: exit 1, and the reason names it', async () => {
    const file = join(platform(), 'manifests/observability/externalsecrets.yaml');
    const text = await readFile(file, 'utf8');
    expect(text).toContain('property: admin-password');
    await writeFile(file, text.replace('property: admin-password', 'property: admin-pasword'));
    const { out, code } = await dev('--once', ...FREE);
    expect(code).toBe(1);
    const reason = out
      .split('\n')
      .find((line) => line.includes('ExternalSecret observability/grafana-admin-password:'));
    expect(reason).toContain('admin-pasword');
    expect(reason).toContain('admin-password');
  });

  test('--random-values draws every secret, and none of config.toml is stored', async () => {
    const { out, code } = await dev('--once', '--random-values', ...FREE);
    expect(code).toBe(0);
    expect(out).toMatch(/values: \d+ drawn at random, 0 kept/);
    expect(out).not.toContain('from config.toml');
  });

  test('data in memory leaves no store behind', async () => {
    expect((await dev('--once', '--data', 'memory', ...FREE)).code).toBe(0);
    expect(existsSync(state('memory', 'data'))).toBe(false);
    expect(existsSync(state('keys.json'))).toBe(false);
  });
});

describe('a running program', () => {
  test('state is for this user alone; the shell gets an administrator, not root; kubectl works; home stays untouched', async ({
    annotate,
  }) => {
    const program = start(['dev', platform(), ...FREE]);
    await program.says(READY);
    expect((await stat(state())).mode & 0o777).toBe(0o700);
    for (const entry of await readdir(state(), { withFileTypes: true, recursive: true })) {
      if (entry.name === 'kube-cache' || entry.parentPath.includes('kube-cache')) continue;
      const { mode } = await stat(join(entry.parentPath, entry.name));
      expect([entry.name, (mode & 0o077).toString(8)]).toEqual([entry.name, '0']);
    }
    expect(await inShell('$HOLDFAST token lookup -field=policies')).toBe('[admin default]');
    if (noKubectl !== undefined) await annotate(noKubectl);
    else {
      expect(await inShell('kubectl get secret vault-init-keys -n vault-system -o name')).toBe(
        'secret/vault-init-keys\n',
      );
      expect(await inShell('kubectl get externalsecrets -A --no-headers | grep -c SecretSynced')).toBe(
        '14\n',
      );
    }
    expect(await readdir(home)).toEqual([]);

    program.child.kill('SIGINT');
    const { out, err, code } = await program.ended;
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.trimEnd().endsWith('Stopping.')).toBe(true);
    const env = await readFile(state('env'), 'utf8');
    const token = /VAULT_TOKEN=(\S+)/.exec(env)?.[1] ?? 'none';
    expect(out).not.toContain(token);
  });

  test('the next start goes on: it unseals itself, keeps what was changed, and a second program is told who has the data', async () => {
    const first = start(['dev', platform(), ...FREE]);
    await first.says(READY);
    await inShell('$HOLDFAST kv patch secret/grafana/admin admin-password=changed-by-hand');
    await inShell('$HOLDFAST kv put secret/mine/note text=kept');
    const address = (await inShell('echo $VAULT_ADDR')).trim();

    const second = await dev('--once', ...FREE);
    expect(second.code).toBe(1);
    expect(second.out).toBe('');
    expect(second.err).toContain(String(first.child.pid));
    expect(second.err).toContain(address);
    expect(second.err).not.toMatch(/\n\s+at /);

    first.child.kill('SIGTERM');
    expect((await first.ended).code).toBe(0);

    const third = start(['dev', platform(), ...FREE]);
    await third.says('data found and unsealed');
    await third.says(READY);
    expect(await inShell('$HOLDFAST kv get -field=admin-password secret/grafana/admin')).toBe(
      'changed-by-hand',
    );
    expect(await inShell('$HOLDFAST kv get -field=text secret/mine/note')).toBe('kept');
    if (noKubectl === undefined)
      expect(
        await inShell(
          "kubectl get secret grafana-admin-password -n observability -o jsonpath='{.data.admin-password}' | base64 -d",
        ),
      ).toBe('changed-by-hand');
    third.child.kill('SIGTERM');
    expect((await third.ended).code).toBe(0);
  });

  test('login keeps its token in ~/.vault-token, for its owner alone', async () => {
    const program = start(['dev', platform(), ...FREE]);
    await program.says(READY);
    await inShell('T=$VAULT_TOKEN; unset VAULT_TOKEN; $HOLDFAST login -no-print $T');
    expect((await stat(join(home, '.vault-token'))).mode & 0o777).toBe(0o600);
    expect(await inShell('unset VAULT_TOKEN; $HOLDFAST token lookup -field=policies')).toBe(
      '[admin default]',
    );
    program.child.kill('SIGHUP');
    expect((await program.ended).code).toBe(0);
  });
});

describe('ports', () => {
  /** Takes the default port, or leaves it to whoever has it: either way it is taken. */
  async function takenPort(port: number): Promise<{ port: number; close(): void }> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.once('error', () => resolve());
      server.listen(port, '127.0.0.1', () => resolve());
    });
    const address = server.address();
    return {
      port: typeof address === 'object' && address !== null ? address.port : port,
      close: () => void server.close(),
    };
  }

  test('default ports that are taken are passed by, and it says so', async () => {
    const [vault, kube] = [await takenPort(8200), await takenPort(6443)];
    try {
      const { out, code } = await dev('--once');
      expect(code).toBe(0);
      expect(out).toMatch(/port 8200 is taken: the server listens on \d+/);
      expect(out).toMatch(/port 6443 is taken: the Kubernetes API listens on \d+/);
    } finally {
      vault.close();
      kube.close();
    }
  });

  test.each(['--address', '--kube-address'])(
    'a port given with %s that is taken: one line, exit 1',
    async (flag) => {
      const taken = await takenPort(0);
      try {
        const { out, err, code } = await dev('--once', ...FREE, flag, `127.0.0.1:${taken.port}`);
        expect({ out, code }).toEqual({ out: '', code: 1 });
        expect(err.split('\n')[0]).toContain(`127.0.0.1:${taken.port}`);
        expect(err).not.toMatch(/\n\s+at /);
      } finally {
        taken.close();
      }
    },
  );

  test('known values are not served to other machines', async () => {
    const { err, code } = await dev('--once', ...FREE, '--address', '0.0.0.0:18299');
    expect(code).toBe(1);
    expect(err).toContain('0.0.0.0:18299 can be reached from other machines');
    expect(err).toContain('--random-values');
    expect(existsSync(state())).toBe(false);
  });
});

describe('bad input: one clear line, exit 1, nothing half-written', () => {
  const CANARY = 'canary-s3cr3t';
  test.each<[what: string, file: string, text: string, line: number | undefined]>([
    ['TOML', 'config.toml', `[passwords]\nargocd_admin = ${CANARY}\n`, 2],
    [
      'a matrix that is no YAML',
      'secrets.yaml',
      `SECRETS:\n  - { path: secret/a, key: "${CANARY} }\n`,
      undefined,
    ],
    [
      'an unknown encoding',
      'secrets.yaml',
      'SECRETS:\n  - { path: secret/a, key: b }\n  - { path: secret/a, key: c, enc: octal }\n',
      3,
    ],
    ['an unknown field', 'secrets.yaml', 'SECRETS:\n  - path: secret/a\n    key: b\n    hush: bcrypt\n', 4],
    [
      'a value that the application refuses',
      'config.toml',
      '[passwords]\nsonarqube_admin = "short"\n',
      undefined,
    ],
    ['a manifest that is no YAML', 'manifests/argocd/broken.yaml', `a: 1\n\tb: ${CANARY}\n`, 2],
    [
      'a manifest without a kind',
      'manifests/argocd/broken.yaml',
      '---\napiVersion: v1\nmetadata:\n  name: x\n',
      2,
    ],
    [
      'a sync wave that is no number',
      'manifests/argocd/broken.yaml',
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  annotations:\n    argocd.argoproj.io/sync-wave: first\n',
      1,
    ],
  ])('%s', async (_, file, text, line) => {
    await writeFile(join(platform(), file), text);
    const { out, err, code } = await dev('--once', ...FREE);
    expect({ out, code }).toEqual({ out: '', code: 1 });
    if (file.startsWith('manifests') || !text.includes('short')) expect(err).toContain(file);
    if (line !== undefined) expect(err).toContain(`${file}:${line}:`);
    expect(err).not.toContain(CANARY);
    expect(err).not.toMatch(/\n\s+at |node:internal/);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
    expect(existsSync(state())).toBe(false);
  });

  test('a kind that the API does not have is named with file and line', async () => {
    const file = 'manifests/argocd/zoo.yaml';
    await writeFile(
      join(platform(), file),
      '---\napiVersion: zoo.example/v1\nkind: Giraffe\nmetadata:\n  name: x\n',
    );
    const { err, code } = await dev('--once', ...FREE);
    expect(code).toBe(1);
    expect(err).toContain(`${file}:2: the Kubernetes API here has no zoo.example/v1 Giraffe`);
    expect(err).toContain('CustomResourceDefinition');
  });

  test.each<[string, string[], RegExp]>([
    [
      'a folder that is not there',
      ['dev', '/nowhere/at/all', '--once'],
      /\/nowhere\/at\/all: there is no such folder/,
    ],
    ['a port that is none', ['dev', '--address', 'localhost'], /--address takes HOST:PORT/],
    ['a mapping that is none', ['dev', '--resolve', 'vault'], /--resolve takes HOST:PORT=ADDRESS:PORT/],
    ['a time that is none', ['dev', '--once', '--timeout', 'soon'], /--timeout takes seconds/],
    ['an unknown flag', ['dev', '--onec'], /unknown option '--onec'/],
  ])('%s', async (_, args, said) => {
    const { out, err, code } = await run(args);
    expect({ out, code }).toEqual({ out: '', code: 1 });
    expect(err).toMatch(said);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
  });
});

test('an older Node is told which one is needed, before anything newer is parsed', async () => {
  const script = `Object.defineProperty(process.versions, 'node', { value: '18.20.4' }); process.argv = [process.execPath, 'launch']; require(${JSON.stringify(join(root, 'tools/launch.cjs'))})`;
  const ran = await promisify(execFile)(process.execPath, ['-e', script]).then(
    () => undefined,
    (error: { code: number; stderr: string; stdout: string }) => error,
  );
  expect(ran?.code).toBe(1);
  expect(ran?.stdout).toBe('');
  expect(ran?.stderr).toContain('holdfast needs Node 20.19 or newer; this is Node 18.20.4');
});
