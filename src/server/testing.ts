/** A server for tests: in memory, on a clock that stands still or the real one, with the audit trail kept in a list. */

import { connect, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { Dial, PluginType } from '../plugin/plugin.ts';
import { MemoryBackend } from '../storage/memory.ts';
import type { Backend } from '../storage/storage.ts';
import type { AuditAuth, AuditRequest, AuditResponse } from './audit/audit.ts';
import { type Listener, type ListenerOptions, listen } from './http/listener.ts';
import type { Audit } from './options.ts';
import { createServer, type Server } from './server.ts';

export interface AuditLine {
  readonly type: 'request' | 'response';
  readonly request: AuditRequest;
  readonly auth: AuditAuth | undefined;
  readonly error: string | undefined;
  readonly response?: AuditResponse | undefined;
}

export interface TestAudit {
  readonly lines: AuditLine[];
  /** What the next lines meet. */
  failing: 'none' | 'request' | 'response';
  /** Whether there is a device at all. */
  enabled: boolean;
}

function auditDouble(): { audit: Audit; seen: TestAudit } {
  const seen: TestAudit = { lines: [], failing: 'none', enabled: true };
  const take = (line: AuditLine): void => {
    if (seen.failing === line.type) throw failure('base.internal');
    seen.lines.push(line);
  };
  const audit: Audit = {
    get enabled() {
      return seen.enabled;
    },
    record: async (lines, { request, auth, response, error }) => {
      if (lines !== 'response')
        take({ type: 'request', request, auth, error: lines === 'request' ? error : undefined });
      if (lines !== 'request') take({ type: 'response', request, auth, response, error });
    },
    enable: async () => {},
    disable: async () => {},
    list: () => [],
    hash: async () => 'hmac-sha256:00',
  };
  return { audit, seen };
}

export interface TestServer {
  readonly server: Server;
  readonly listener: Listener;
  readonly url: string;
  readonly root: string;
  readonly keys: readonly Uint8Array[];
  readonly seen: TestAudit;
  readonly backend: Backend;
  /** Asks over HTTP. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<TestReply>;
  close(): Promise<void>;
}

export interface TestReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of many shapes, and a wrong one fails there
  readonly json: any;
}

export async function startServer(
  plugins: readonly PluginType[],
  options: {
    clock?: Clock;
    log?: Log;
    backend?: Backend;
    listen?: Partial<ListenerOptions>;
    /** Absent: nobody answers. */
    dial?: Dial;
    mayReach?: (url: string) => Promise<boolean>;
  } = {},
): Promise<TestServer> {
  const backend = options.backend ?? new MemoryBackend();
  const { audit, seen } = auditDouble();
  const server = await createServer({
    backend,
    plugins,
    clock: options.clock ?? systemClock,
    log: options.log ?? silentLog,
    dial: options.dial ?? (async () => ({ status: 599, body: new Uint8Array() })),
    ...(options.mayReach === undefined ? {} : { mayReach: options.mayReach }),
    audit: async () => audit,
  });
  const { keys, rootToken: root } = await server.seal.initialize(1, 1);
  for (const key of keys) await server.seal.submit(key);
  const listener = await listen(server, { host: '127.0.0.1', port: 0, ...options.listen });
  const url = `http://127.0.0.1:${listener.address.port}`;
  return {
    server,
    listener,
    url,
    root,
    keys,
    seen,
    backend,
    async ask(method, path, body, headers = {}) {
      const response = await fetch(`${url}/v1/${path}`, {
        method,
        headers: { 'x-vault-token': root, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        json = undefined;
      }
      return { status: response.status, headers: response.headers, text, json };
    },
    async close() {
      await listener.close(100);
      await server.close();
    },
  };
}

/** Sends bytes as they are, then each of `more` once something came back, and reads until the server ends or is quiet. */
export function rawRequest(
  port: number,
  bytes: string | Uint8Array,
  { more = [], tls = false }: { more?: readonly string[]; tls?: boolean } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const rest = [...more];
    const socket: Socket = tls
      ? connectSecure({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => socket.write(bytes))
      : connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const next = rest.shift();
      if (next !== undefined) socket.write(next);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      text !== '' && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '') ? resolve(text) : reject(error),
    );
  });
}
