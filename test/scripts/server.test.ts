/** `holdfast server` as a program: a child process on LMDB, driven through its API and judged by what it keeps and prints. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Bundle, freshBundle } from '../support/bundle.ts';

// Programs are started, up to three in one test, on machines that do other work too.
vi.setConfig({ testTimeout: 120_000 });
const CANARY = 'canary-5d10aa';

let bundle: string;
let made: Bundle;
beforeAll(async () => {
  made = await freshBundle('server');
  bundle = made.file;
});
afterAll(() => made?.remove());

let folder: string;
const running = new Set<ChildProcess>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-server-'));
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  await rm(folder, { recursive: true, force: true });
});

interface Program {
  readonly child: ChildProcess;
  output(): string;
  readonly ended: Promise<number | string>;
  line(pattern: RegExp): Promise<string>;
}

function start(...args: string[]): Program {
  const child = spawn(process.execPath, [bundle, 'server', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  return {
    child,
    output: () => text,
    ended: new Promise((resolve) =>
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
    ),
    line: (pattern) =>
      vi.waitFor(
        () => {
          const found = pattern.exec(text);
          if (found === null) throw new Error(`not printed: ${pattern}\n${text}`);
          return found[1] ?? found[0];
        },
        { timeout: 60_000, interval: 20 },
      ),
  };
}

/** Asks over HTTP and gives status and body. */
async function ask(url: string, method: string, path: string, token = '', body?: object) {
  const answer = await fetch(`${url}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
}

const config = async (text: string): Promise<string> => {
  const file = join(folder, 'vault.hcl');
  await writeFile(file, text);
  return file;
};
const oneNode = (): string => `ui = false
disable_mlock = true
storage "raft" {
  path    = "${folder}/data"
  node_id = "vault-0"
}
listener "tcp" {
  address     = "127.0.0.1:0"
  tls_disable = "true"
}
pid_file = "${folder}/pid"
`;
const urlOf = async (program: Program): Promise<string> =>
  `http://${await program.line(/"address":"([^"]+)"/)}`;

test('init, unseal and kv last over kill -9 and over SIGTERM; SIGHUP opens a rotated audit file anew', async () => {
  const file = await config(oneNode());
  const first = start(`-config=${file}`);
  let url = await urlOf(first);
  await first.line(/storage \\"raft\\" with one node is kept as storage \\"lmdb\\"/);
  expect((await ask(url, 'GET', 'sys/health')).status).toBe(501);
  const made = await ask(url, 'PUT', 'sys/init', '', { secret_shares: 5, secret_threshold: 3 });
  const { keys_base64: keys, root_token: token } = made.json as { keys_base64: string[]; root_token: string };
  expect(keys).toHaveLength(5);
  const unseal = async (): Promise<void> => {
    const progress = [];
    for (const key of keys.slice(1, 4))
      progress.push((await ask(url, 'PUT', 'sys/unseal', '', { key })).json.sealed);
    expect(progress).toEqual([true, true, false]);
  };
  await unseal();
  expect((await ask(url, 'POST', 'sys/mounts/secret', token, { type: 'kv-v2' })).status).toBe(204);
  const audit = join(folder, 'audit.log');
  const device = { type: 'file', options: { file_path: audit } };
  expect((await ask(url, 'PUT', 'sys/audit/file', token, device)).status).toBe(204);
  expect((await ask(url, 'POST', 'secret/data/a', token, { data: { x: CANARY } })).status).toBe(200);

  const second = start(`-config=${file}`);
  expect(await second.ended).toBe(1);
  expect(second.output()).toContain(`is in use by process ${first.child.pid}`);

  first.child.kill('SIGKILL');
  await first.ended;
  const third = start(`-config=${file}`);
  url = await urlOf(third);
  expect((await ask(url, 'GET', 'secret/data/a', token)).status).toBe(503);
  await unseal();
  expect((await ask(url, 'GET', 'secret/data/a', token)).json.data.data).toEqual({ x: CANARY });

  await rename(audit, `${audit}.1`);
  third.child.kill('SIGHUP');
  await vi.waitFor(() => expect(existsSync(audit)).toBe(true), { timeout: 30_000 });
  await ask(url, 'GET', 'secret/data/a', token);
  expect(await readFile(audit, 'utf8')).toContain('"secret/data/a"');
  expect(await readFile(join(folder, 'pid'), 'utf8')).toBe(`${third.child.pid}\n`);

  third.child.kill('SIGTERM');
  expect(await third.ended).toBe(0);
  expect(third.output()).toContain('"stopped"');
  expect(existsSync(join(folder, 'pid'))).toBe(false);
  for (const said of [first.output(), third.output()])
    for (const secret of [CANARY, token, ...keys]) expect(said).not.toContain(secret);

  const fourth = start(`-config=${file}`);
  url = await urlOf(fourth);
  await unseal();
  expect((await ask(url, 'GET', 'secret/data/a', token)).json.data.data).toEqual({ x: CANARY });
});

test.each([
  [
    'no configuration',
    () => [],
    'name the configuration with -config=FILE; to try things out, run holdfast dev\n',
  ],
  [
    'a file that is not there',
    () => ['-config=/nowhere/vault.hcl'],
    'cannot read the file /nowhere/vault.hcl\n',
  ],
])('%s is told in one line and ends with 1', async (_name, args, wanted) => {
  const program = start(...args());
  expect(await program.ended).toBe(1);
  expect(program.output().startsWith(wanted)).toBe(true);
});

test('a wrong key of the file ends with 1, by its line and the key that was meant, and makes no store', async () => {
  const file = await config(oneNode().replace('node_id', 'nodeid'));
  const program = start(`-config=${file}`);
  expect(await program.ended).toBe(1);
  expect(program.output()).toContain(`${file}:5: "nodeid" is not known in storage "raft"`);
  expect(program.output()).toContain('Did you mean "node_id"?');
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

test.runIf(process.platform === 'linux')('a dump of the process leaves its memory out', async () => {
  const program = start(`-config=${await config(oneNode())}`);
  await urlOf(program);
  const filter = await readFile(`/proc/${program.child.pid}/coredump_filter`, 'utf8');
  expect(Number.parseInt(filter, 16)).toBe(0);
});
