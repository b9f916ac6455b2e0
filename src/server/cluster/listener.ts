/**
 * Where the other nodes of the cluster knock. Nobody else gets further than the handshake; what comes in is believed about whose
 * request it is, because only a node that holds the key of the cluster can have sent it.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { asFailure, failure, isFailure } from '../../base/errors.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Write } from '../../storage/storage.ts';
import type { Answer, Request } from '../core/request.ts';
import { BODY_LIMIT, readBody } from '../http/intake.ts';
import { writeAnswer, writeFailure } from '../http/reply.ts';
import { isPinned, tlsOptions } from './pinned.ts';
import type { ClusterIdentity } from './record.ts';
import {
  decodeGreeting,
  decodeHead,
  decodeWrites,
  type Greeting,
  HEAD,
  HEAD_BYTES,
  MISDIRECTED,
  ROUTES,
} from './wire.ts';

/** What other nodes may ask of this one. */
export interface Serving {
  /** "elsewhere" where this node does not lead: nothing was done. */
  lead(request: Request): Promise<Answer | 'elsewhere'>;
  /** Keeps writes of another node; undefined where this node does not lead. @throws Failure */
  keep(writes: readonly Write[]): Promise<number | undefined>;
  greeted(by: Greeting): void;
  /** The root key, the caller's to wipe, where it was replaced a moment ago and this node leads. */
  rootKey(): Buffer | undefined;
  /** Takes over a socket that asks for events. */
  events(message: IncomingMessage, socket: Socket, head: Buffer, request: Request): void;
}

export interface ClusterListener {
  readonly port: number;
  close(): Promise<void>;
}

/** Longer than a client keeps an idle connection, so that none is closed while a request is on its way. */
const IDLE_MS = 300_000;
const REQUEST_MS = 120_000;

/** @throws Failure cluster.in_use */
export async function listenForNodes(
  serving: Serving,
  {
    host,
    port,
    identity,
  }: { readonly host: string; readonly port: number; readonly identity: ClusterIdentity },
): Promise<ClusterListener> {
  const server = createServer({ ...tlsOptions(identity), requestCert: true, maxHeaderSize: HEAD_BYTES });
  server.keepAliveTimeout = IDLE_MS;
  server.requestTimeout = REQUEST_MS;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const known = new WeakSet<object>();
  // Before the server of HTTP hears of the connection.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    if (isPinned(socket, identity)) known.add(socket);
    else socket.destroy();
  });
  server.on('request', (message: IncomingMessage, response: ServerResponse) => {
    if (!known.has(message.socket)) {
      message.socket.destroy();
      return;
    }
    take(serving, message, response).catch((error: unknown) => {
      if (response.headersSent) message.socket.destroy();
      else writeFailure(message, response, asFailure(error));
    });
  });
  server.on('upgrade', (message: IncomingMessage, socket: Socket, head: Buffer) => {
    const asked = known.has(message.socket) ? headOf(message, new AbortController().signal) : undefined;
    if (asked === undefined) socket.destroy();
    else serving.events(message, socket, head, asked.request);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(failure('cluster.in_use', { address: `${host}:${port}`, reason: error.code ?? 'unknown' })),
    );
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const headOf = (message: IncomingMessage, signal: AbortSignal) => {
  const text = message.headers[HEAD];
  return typeof text === 'string' ? decodeHead(text, signal) : undefined;
};

async function take(serving: Serving, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  switch (message.url) {
    case ROUTES.request: {
      const asked = headOf(message, gone.signal);
      if (asked === undefined) return refuse(response);
      const request: Request = asked.streamed
        ? { ...asked.request, stream: message }
        : { ...asked.request, body: await readBody(message, BODY_LIMIT) };
      const answer = await serving.lead(request);
      if (response.destroyed) return;
      if (answer === 'elsewhere') return misdirected(message, response);
      return writeAnswer(message, response, answer);
    }
    case ROUTES.commit: {
      const writes = decodeWrites(await readBody(message, BODY_LIMIT));
      if (writes === undefined) return refuse(response);
      const revision = await serving.keep(writes).catch((error: unknown) => {
        if (isFailure(error)) return undefined;
        throw error;
      });
      if (revision === undefined) return misdirected(message, response);
      response.writeHead(200, { 'x-holdfast-revision': String(revision), 'content-length': 0 });
      response.end();
      return;
    }
    case ROUTES.rootKey: {
      const key = serving.rootKey();
      if (key === undefined) return misdirected(message, response);
      response.writeHead(200, { 'content-length': key.length });
      response.end(key, () => wipe(key));
      return;
    }
    case ROUTES.hello: {
      const told = decodeGreeting(await readBody(message, BODY_LIMIT));
      if (told === undefined) return refuse(response);
      serving.greeted(told);
      response.writeHead(204);
      response.end();
      return;
    }
    default:
      refuse(response);
  }
}

function refuse(response: ServerResponse): void {
  response.writeHead(400, { 'content-length': 0 });
  response.end();
}

function misdirected(message: IncomingMessage, response: ServerResponse): void {
  message.resume();
  response.writeHead(MISDIRECTED, { 'content-length': 0 });
  response.end();
}
