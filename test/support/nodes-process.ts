/** One node of a cluster: its process, its way to the database, and what it answers. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import type { CuttingProxy } from './cuttingproxy.ts';
import type { Network, Place } from './nodes-network.ts';
import { eventually } from './platform.ts';

/** How a node is kept from the database: told so at once, or not told anything. */
export type Cutting = 'refuse' | 'silence';

export interface Node {
  readonly index: number;
  readonly host: string;
  readonly port: number;
  readonly clusterPort: number;
  /** What it printed so far, in all its lives. */
  log(): string;
  /** Starts the process, and waits until it answers; sealed, where nothing opens it. */
  start(): Promise<void>;
  running(): boolean;
  /** Resolves when the process is gone. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  pause(): void;
  resume(): void;
  /** @returns how it was done, in words */
  cut(how: Cutting): Promise<string>;
  mend(): Promise<void>;
  /** The answer's body. @throws Error with what it says, where its status is none of 2xx */
  ask(verb: string, path: string, options?: AskOptions): Promise<unknown>;
  health(): Promise<Health>;
}

export interface AskOptions {
  readonly body?: object;
  readonly token?: string;
  readonly timeoutMs?: number;
}

export interface Health {
  /** The status of sys/health; 0 where nobody answers. */
  readonly status: number;
  readonly open: boolean;
  readonly leads: boolean;
}

export interface NodeSettings {
  readonly index: number;
  readonly place: Place;
  readonly ports: { readonly api: number; readonly cluster: number };
  readonly home: string;
  readonly proxy: CuttingProxy;
  readonly network: Network;
  readonly program: string;
}

const START_MS = 40_000;
const ASK_MS = 10_000;
const HEALTH_MS = 1000;

/** @param configure gives the text of its configuration file */
export function makeNode(
  { index, place, ports, home, proxy, network, program }: NodeSettings,
  configure: (at: { readonly host: string; readonly api: number; readonly cluster: number }) => string,
): Node {
  const { host } = place;
  mkdirSync(home);
  const config = join(home, 'server.hcl');
  const logFile = join(home, 'log');
  writeFileSync(config, configure({ host, ...ports }), { mode: 0o600 });
  const agent = new Agent({ keepAlive: false });
  let child: ChildProcess | undefined;
  let linkDown = false;
  const running = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  const killer = (): void => void child?.kill('SIGKILL');
  const log = (): string => {
    try {
      return readFileSync(logFile, 'utf8');
    } catch {
      return '';
    }
  };

  const send = (verb: string, path: string, { body, token, timeoutMs = ASK_MS }: AskOptions) =>
    new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
      const sent = body === undefined ? undefined : JSON.stringify(body);
      const call = request({
        host,
        port: ports.api,
        agent,
        method: verb,
        path: `/v1/${path}`,
        headers: token === undefined ? {} : { 'x-vault-token': token },
        signal: AbortSignal.timeout(timeoutMs),
      });
      call.once('error', reject);
      call.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('error', reject);
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      call.end(sent);
    });
  const health = async (): Promise<Health> => {
    const answer = await send('GET', 'sys/health', { timeoutMs: HEALTH_MS }).catch(() => undefined);
    const status = answer?.status ?? 0;
    return { status, open: status === 200 || status === 429 || status === 473, leads: status === 200 };
  };

  return {
    index,
    host,
    port: ports.api,
    clusterPort: ports.cluster,
    log,
    running,
    health,
    async start() {
      const [command = '', ...args] = [
        ...place.under,
        process.execPath,
        program,
        'server',
        `-config=${config}`,
      ];
      const out = openSync(logFile, 'a');
      child = spawn(command, args, { stdio: ['ignore', out, out], cwd: home });
      closeSync(out);
      process.off('exit', killer);
      process.once('exit', killer);
      await eventually(
        `node ${index + 1} answers`,
        async () => {
          if (!running()) throw new Error(`node ${index + 1} ended:\n${log().slice(-3000)}`);
          return (await health()).status === 0 ? undefined : true;
        },
        START_MS,
      );
    },
    async kill(signal) {
      if (child === undefined || !running()) return;
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      child.kill(signal);
      await ended;
      process.off('exit', killer);
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async cut(how) {
      if (how === 'refuse') {
        proxy.set('refuse');
        return 'the proxy resets all connections';
      }
      if (network.link === undefined) {
        proxy.set('swallow');
        return 'the proxy swallows all bytes';
      }
      await network.link(index, false);
      linkDown = true;
      return 'the link of its namespace is down';
    },
    async mend() {
      proxy.set('all');
      if (linkDown) await network.link?.(index, true);
      linkDown = false;
    },
    async ask(verb, path, options = {}) {
      const { status, text } = await send(verb, path, options);
      if (status < 200 || status > 299)
        throw new Error(`node ${index + 1} answers ${verb} ${path} with ${status}: ${text.slice(0, 500)}`);
      return text === '' ? undefined : JSON.parse(text);
    },
  };
}
