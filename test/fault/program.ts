/** `holdfast dev` as a child process: the built program, which `npm run test:fault` builds before anything runs. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUNDLE = fileURLToPath(new URL('../../dist/holdfast.js', import.meta.url));
const WAIT_MS = 60_000;

export interface Program {
  readonly child: ChildProcess;
  /** Waits for what it prints. @throws Error with all it printed, where it ends before that or takes too long */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** Where the server listens, once it does. */
  address(): Promise<{ readonly host: string; readonly port: number }>;
  output(): string;
  /** Resolves with its exit code or signal. */
  readonly ended: Promise<number | string>;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string>;
}

/** @param under a program and its flags that the child is to run under, such as a tracer that keeps its process id */
export function startDev(
  dir: string,
  options: {
    readonly flags?: readonly string[];
    readonly under?: readonly string[];
    env?: NodeJS.ProcessEnv;
  } = {},
): Program {
  if (!existsSync(BUNDLE)) throw new Error(`${BUNDLE} is missing: run these tests with npm run test:fault`);
  const [command = '', ...args] = [
    ...(options.under ?? []),
    ...[process.execPath, BUNDLE, 'dev', dir, '--address', '127.0.0.1:0', '--kube-address', '127.0.0.1:0'],
    ...(options.flags ?? []),
  ];
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let text = '';
  const looking = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      for (const look of [...looking]) look();
    });
  }
  const killer = (): void => void child.kill('SIGKILL');
  process.once('exit', killer);
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', killer);
      resolve(code ?? signal ?? 'unknown');
    });
  });
  const line = async (pattern: RegExp): Promise<RegExpExecArray> => {
    let stop = (): void => {};
    const found = new Promise<RegExpExecArray>((resolve, reject) => {
      const inVain = (why: string): void => reject(new Error(`${why} before ${pattern}:\n${text}`));
      const timer = setTimeout(() => inVain('the time was up'), WAIT_MS);
      const look = (): void => {
        const match = pattern.exec(text);
        if (match !== null) resolve(match);
      };
      stop = () => {
        clearTimeout(timer);
        looking.delete(look);
      };
      looking.add(look);
      ended.then((how) => inVain(`the program ended (${how})`), reject);
      look();
    });
    return found.finally(() => stop());
  };
  return {
    child,
    line,
    async address() {
      const [, host = '', port = ''] = await line(/server +http:\/\/([\d.]+):(\d+), .*\n/);
      return { host, port: Number(port) };
    },
    output: () => text,
    ended,
    kill(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** The keys that a state folder holds. */
export async function keysIn(
  home: string,
): Promise<{ readonly unsealKey: string; readonly rootToken: string }> {
  const text = await readFile(join(home, 'keys.json'), 'utf8');
  const { unseal_keys_b64: shares, root_token: rootToken } = JSON.parse(text) as {
    unseal_keys_b64: [string];
    root_token: string;
  };
  return { unsealKey: shares[0], rootToken };
}
