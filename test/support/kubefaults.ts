/**
 * Stands before a Kubernetes API and makes it worse: too busy, too old for a watch, gone, slow, garbled, in conflict. What it
 * does not spoil goes through unchanged, streams and all.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as ask, createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { ApiServer } from '../../src/apiserver/server.ts';

/** What becomes of a request; undefined: it goes through. */
export type Fault =
  | { readonly status: number; readonly reason: string; readonly headers?: Readonly<Record<string, string>> }
  /** The connection is cut before anything is answered. */
  | 'cut'
  /** 200, and a body that is no JSON. */
  | 'garbage'
  /** What the API streams is held back by so many milliseconds. */
  | { readonly delayMs: number };

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly watch: boolean;
}

export interface FaultyApi {
  readonly url: string;
  fault: (asked: Asked) => Fault | undefined;
  /** Requests so far. */
  readonly asked: readonly Asked[];
  /** Cuts every connection that stands. */
  cut(): void;
  close(): Promise<void>;
}

export async function startFaultyApi(api: ApiServer): Promise<FaultyApi> {
  const { certificate, key } = await api.issue({ names: ['localhost'], ips: ['127.0.0.1'] });
  const target = new URL(api.url);
  const sockets = new Set<Socket>();
  const asked: Asked[] = [];
  let fault: FaultyApi['fault'] = () => undefined;

  const forward = (request: IncomingMessage, response: ServerResponse, delayMs: number): void => {
    const onward = ask(
      {
        host: target.hostname,
        port: target.port,
        method: request.method,
        path: request.url,
        headers: request.headers,
        ca: api.caPem,
        agent: false,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.flushHeaders();
        answer.on('data', (chunk: Buffer) => void setTimeout(() => response.write(chunk), delayMs));
        answer.on('end', () => void setTimeout(() => response.end(), delayMs));
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  };

  const server = createServer({ cert: certificate, key }, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://x');
    const one = {
      method: request.method ?? '',
      path: url.pathname,
      watch: url.searchParams.get('watch') === 'true',
    };
    asked.push(one);
    const found = fault(one);
    if (found === undefined) return forward(request, response, 0);
    if (found === 'cut') return void request.socket.destroy();
    if (found === 'garbage') return void response.writeHead(200).end('{"kind": "Secr');
    if ('delayMs' in found) return forward(request, response, found.delayMs);
    const { status, reason, headers = {} } = found;
    const body = {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code: status,
      reason,
      message: reason,
    };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  });
  server.on('secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get fault() {
      return fault;
    },
    set fault(next) {
      fault = next;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
