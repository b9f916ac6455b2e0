/**
 * What is asked of the operator over HTTP: its numbers, whether it lives, and whether it is ready. Whoever reaches the port
 * may ask; nothing that is told is secret, and nothing but these paths is answered.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { failure } from '../../base/errors.ts';
import type { HostPort } from './options.ts';

export interface Endpoints {
  /** Text in the exposition format of Prometheus. */
  metrics(): string;
  /** Undefined: ready; else what is waited for. */
  waitsFor(): string | undefined;
}

type Path = '/metrics' | '/healthz' | '/readyz';

export interface Opened {
  readonly address: HostPort;
  close(): Promise<void>;
}

const HEADER_MS = 5000;

/** Listens; the paths that are not named are not there. @throws Failure config.refused where the address cannot be had */
export async function openEndpoints(
  at: HostPort,
  paths: readonly Path[],
  endpoints: Endpoints,
): Promise<Opened> {
  const server = createServer(
    { headersTimeout: HEADER_MS, requestTimeout: HEADER_MS, maxHeaderSize: 8192 },
    (request, response) => answer(request, response, paths, endpoints),
  );
  server.maxConnections = 64;
  await listening(server, at);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  paths: readonly Path[],
  endpoints: Endpoints,
): void {
  const [path = ''] = (request.url ?? '').split('?');
  const send = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'only GET\n');
  const known = paths.find((name) => name === path);
  switch (known) {
    case '/metrics':
      return send(200, endpoints.metrics(), 'text/plain; version=0.0.4; charset=utf-8');
    case '/healthz':
      return send(200, 'ok\n');
    case '/readyz': {
      const waits = endpoints.waitsFor();
      return waits === undefined ? send(200, 'ok\n') : send(503, `not ready: ${waits}\n`);
    }
    case undefined:
      return send(404, 'there is nothing here\n');
  }
}

/** @throws Failure config.refused where the address cannot be had */
export function listening(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        failure('config.refused', {
          reason: `cannot listen on ${host.includes(':') ? `[${host}]` : host}:${port}: ${error.code ?? 'unknown'}`,
          mend: 'Name an address of this machine, and a port that is free and that this user may open.',
        }),
      ),
    );
    server.listen({ host, port }, () => resolve());
  });
}
