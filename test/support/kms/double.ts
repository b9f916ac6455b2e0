/** What the doubles of key services share: faults that stand between a seal and its service, and a server around a double. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { failure } from '../../../src/base/errors.ts';
import type { Answer, Ask } from '../../../src/server/seal/ask.ts';

export interface DoubleRequest {
  readonly url: URL;
  readonly method: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Handle = (request: DoubleRequest) => Answer;

/** `forged`: answers that are whole, but name another key or hold other bytes, as the double makes them. */
export type Fault = 'none' | 'away' | 'garbage' | 'forged' | 'overloaded';

export interface Double {
  readonly handle: Handle;
  fault: Fault;
  /** What it was asked. */
  readonly requests: DoubleRequest[];
  /** Makes a newer version of the key. */
  rotate(): void;
  /** The key can no longer be used. */
  disable(): void;
  /** The key is gone. */
  remove(): void;
  /** The identity of the seal may no longer use the key. */
  deny(): void;
}

export const jsonAnswer = (status: number, body: object, more: Partial<Answer> = {}): Answer => ({
  status,
  body: new TextEncoder().encode(JSON.stringify(body)),
  date: new Date().toUTCString(),
  ...more,
});

/** The double without a wire. */
export const askOf =
  (double: Double): Ask =>
  async ({ url, method, headers, body = '', signal }) => {
    signal.throwIfAborted();
    return answerOf(double, {
      url: new URL(url),
      method,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
      ),
      body,
    });
  };

function answerOf(double: Double, request: DoubleRequest): Answer {
  double.requests.push(request);
  if (double.fault === 'away')
    throw failure('dial.unreachable', { host: 'canary-host', port: 443, reason: 'ECONNREFUSED' });
  if (double.fault === 'garbage')
    return { status: 200, body: new TextEncoder().encode('<html>hello</html>') };
  if (double.fault === 'overloaded') return { status: 503, body: new Uint8Array(0) };
  return double.handle(request);
}

export interface Served {
  readonly port: number;
  close(): Promise<void>;
}

/** The double on a port of this machine. @param tls absent: in the clear */
export async function serveDouble(
  double: Double,
  tls?: { readonly cert: string; readonly key: string },
  port = 0,
): Promise<Served> {
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const scheme = tls === undefined ? 'http' : 'https';
      try {
        const answer = answerOf(double, {
          url: new URL(request.url ?? '/', `${scheme}://${request.headers.host}`),
          method: request.method ?? '',
          headers: request.headers as Record<string, string>,
          body,
        });
        response.writeHead(answer.status, {
          'content-type': 'application/json',
          ...(answer.challenge === undefined ? {} : { 'www-authenticate': answer.challenge }),
        });
        response.end(answer.body);
      } catch {
        response.destroy();
      }
    });
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer({ ...tls }, listener);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
