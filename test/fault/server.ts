/** `holdfast server` as a child process, after a configuration file, with the unseal key that its first start gave. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUNDLE = fileURLToPath(new URL('../../dist/holdfast.js', import.meta.url));
const WAIT_MS = 60_000;

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface Keys {
  readonly unsealKey: string;
  readonly rootToken: string;
}

/** Asks the server. @throws Error where nobody answers */
export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  token?: string,
) => Promise<{ readonly status: number; readonly json: Answer }>;

/** What the tests look at of an answer. */
export interface Answer {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly auth?: { readonly client_token: string; readonly accessor: string } | null;
  readonly lease_id?: string;
  readonly errors?: readonly string[];
  readonly sealed?: boolean;
}

export interface ServerProcess {
  readonly pid: number;
  readonly at: Place;
  readonly ask: Ask;
  /** All that it printed. */
  output(): string;
  readonly ended: Promise<number | string>;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string>;
}

export interface ServerFolder {
  readonly dir: string;
  readonly data: string;
  /** Starts the program; it is sealed, or uninitialized. */
  start(options?: {
    readonly under?: readonly string[];
    readonly env?: NodeJS.ProcessEnv;
  }): Promise<ServerProcess>;
  remove(): Promise<void>;
}

/** A folder with a configuration for one node over LMDB. @param more stanzas of the configuration */
export async function serverFolder(more = '', data?: string): Promise<ServerFolder> {
  if (!existsSync(BUNDLE)) throw new Error(`${BUNDLE} is missing: run these tests with npm run test:fault`);
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-server-'));
  const store = data ?? join(dir, 'data');
  await mkdir(store, { recursive: true });
  const file = join(dir, 'server.hcl');
  await writeFile(
    file,
    `listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}\nstorage "lmdb" {\n  path = "${store}"\n}\n${more}\n`,
  );
  return {
    dir,
    data: store,
    start: (options = {}) => started(file, options),
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

async function started(
  file: string,
  { under = [], env = {} }: { readonly under?: readonly string[]; readonly env?: NodeJS.ProcessEnv },
): Promise<ServerProcess> {
  const [command = '', ...args] = [...under, process.execPath, BUNDLE, 'server', `-config=${file}`];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let text = '';
  let look = (): void => {};
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      look();
    });
  const killer = (): void => void child.kill('SIGKILL');
  process.once('exit', killer);
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', killer);
      resolve(code ?? signal ?? 'unknown');
    });
  });
  ended.catch(() => {});
  const at = await new Promise<Place>((resolve, reject) => {
    const inVain = (why: string): void => reject(new Error(`${why} before the server listened:\n${text}`));
    const timer = setTimeout(() => inVain('the time was up'), WAIT_MS);
    look = () => {
      const found = /"address":"([\d.]+):(\d+)".*"listening"/.exec(text);
      if (found === null) return;
      clearTimeout(timer);
      look = () => {};
      resolve({ host: found[1] ?? '', port: Number(found[2]) });
    };
    ended.then((how) => inVain(`the program ended (${how})`), reject);
    look();
  });
  return {
    pid: child.pid ?? 0,
    at,
    ask: asker(at),
    output: () => text,
    ended,
    kill(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

export function asker({ host, port }: Place, token?: string): Ask {
  return async (method, path, body, as = token) => {
    const answer = await fetch(`http://${host}:${port}/v1/${path}`, {
      method,
      ...(as === undefined ? {} : { headers: { 'x-vault-token': as } }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, json: (text === '' ? {} : JSON.parse(text)) as Answer };
  };
}

/** Initializes a server of one share. */
export async function initialized({ ask }: ServerProcess): Promise<Keys> {
  const { status, json } = await ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
  if (status !== 200) throw new Error(`init was answered ${status}`);
  const { keys_base64: keys, root_token: rootToken } = json as unknown as {
    keys_base64: [string];
    root_token: string;
  };
  return { unsealKey: keys[0], rootToken };
}

export async function unsealed({ ask, output }: ServerProcess, { unsealKey }: Keys): Promise<void> {
  const { json } = await ask('PUT', 'sys/unseal', { key: unsealKey });
  if (json.sealed !== false) throw new Error(`it stays sealed: ${JSON.stringify(json)}\n${output()}`);
}
