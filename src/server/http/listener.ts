/**
 * The listener: sockets, limits, the verb LIST, TLS, and how it all ends. What is trusted: nothing that comes in. The order is
 * gate, limits, parsing, and only then the core.
 */

import {
  createServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import { createServer as createSocketServer, type Socket, type Server as SocketServer } from 'node:net';
import { asFailure, type Failure, failure } from '../../base/errors.ts';
import { after, type Soon } from '../../base/soon.ts';
import type { Answer, Request } from '../core/request.ts';
import { type EventSocketDeps, takeEventSocket } from './eventsocket.ts';
import { type GateOptions, refused } from './gate.ts';
import { BODY_LIMIT, isStreamed, readBody, readHead, sendsBody, takesBody } from './intake.ts';
import { handBack, type ParserError, remember } from './list.ts';
import { cutOff, writeAnswer, writeFailure, writeJson } from './reply.ts';
import { senderOf } from './sender.ts';
import { errorText, NOTHING, statusOf } from './status.ts';

/** PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** Clients are asked for a certificate; who has none is served all the same. */
  readonly clientCertificates?: boolean;
  /** Who shows no certificate of these authorities gets no connection. */
  readonly requiredAuthorities?: string;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

export interface ListenerOptions extends GateOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** A socket that listens already, in place of one of its own: another thread accepts on it too. */
  readonly shared?: object;
  readonly tls?: ListenerTls;
  /** With `tls`: plain HTTP is answered on the same port as well. For `holdfast dev` alone. */
  readonly plainToo?: boolean;
  readonly bodyLimit?: number;
  /** Whoever reaches this listener may read sys/metrics, without a token. */
  readonly openMetrics?: boolean;
}

/** What the listener asks of a server. */
export interface Answering extends EventSocketDeps {
  /** Takes over a socket that asks for events, where another node has to answer it; false: this one does. */
  join?(message: IncomingMessage, socket: Socket, head: Buffer): boolean;
  handle(request: Request): Soon<Answer>;
}

export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** The descriptor of the socket, for another thread to share; undefined where the platform has none. */
  readonly descriptor: number | undefined;
  /** Connections from now on meet this certificate; those that stand are not touched. Without TLS it does nothing. */
  renew(tls: ListenerTls): void;
  /** Takes no new connections, lets what runs end for at most `graceMs`, then ends every socket. */
  close(graceMs?: number): Promise<void>;
}

const HEADER_BYTES = 32 * 1024;
const HEADERS_MS = 10_000;
/** How often Node looks for requests that take too long: its own half minute would triple what is allowed. */
const LOOK_MS = 2000;
const REQUEST_MS = 90_000;
const IDLE_MS = 75_000;
const GRACE_MS = 5000;
const TLS_HANDSHAKE = 0x16;

/**
 * Listens.
 * @throws Failure listener.in_use
 */
export async function listen(server: Answering, options: ListenerOptions): Promise<Listener> {
  const front = new Front(server, options);
  const socket = front.socketServer();
  const sockets = new Set<Socket>();
  socket.on('connection', (connection: Socket) => {
    sockets.add(connection);
    connection.once('close', () => sockets.delete(connection));
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const address = `${options.host}:${options.port}`;
      reject(error.code === 'EADDRINUSE' ? failure('listener.in_use', { address }) : asFailure(error));
    });
    const listening = (): void => {
      socket.removeAllListeners('error');
      resolve();
    };
    if (options.shared !== undefined) socket.listen(options.shared, listening);
    else socket.listen(options.port, options.host, listening);
  });
  const bound = socket.address();
  if (bound === null || typeof bound === 'string') throw failure('base.internal');
  return {
    address: { host: options.host, port: bound.port },
    get descriptor() {
      const fd = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
      return fd === undefined || fd < 0 ? undefined : fd;
    },
    renew: (tls) => front.renew(tls),
    async close(graceMs = GRACE_MS) {
      const closed = new Promise<void>((resolve) => socket.close(() => resolve()));
      front.close();
      const timer = setTimeout(() => {
        for (const left of sockets) left.destroy();
      }, graceMs);
      // Node closes a kept-alive socket only once it is idle: those that answer now are told not to stay.
      const idle = setInterval(() => front.closeIdle(), 20);
      await closed;
      clearTimeout(timer);
      clearInterval(idle);
    },
  };
}

/** The newest answer on a socket: once that is out, all are. On the socket itself: a map would be asked for each request. */
const NEWEST = Symbol('the newest answer');
type Tagged = Socket & { [NEWEST]?: ServerResponse };

class Front {
  readonly #server: Answering;
  readonly #options: ListenerOptions;
  readonly #limit: number;
  readonly #https: PlainServer[] = [];
  #secure: SecureServer | undefined;
  /** Requests that are to be served in this turn of the loop. */
  #arrived: { message: IncomingMessage; response: ServerResponse }[] = [];
  #serving = false;
  /** Answers that stand and are about to be written. */
  #ready: { message: IncomingMessage; response: ServerResponse; answer: Answer }[] = [];
  readonly #closing = new AbortController();
  #closed = false;

  constructor(server: Answering, options: ListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.#limit = options.bodyLimit ?? BODY_LIMIT;
  }

  /** The server that owns the port: the HTTP server itself, or one that looks at the first byte of each connection. */
  socketServer(): SocketServer {
    const { tls, plainToo } = this.#options;
    const limits = { maxHeaderSize: HEADER_BYTES, connectionsCheckingInterval: LOOK_MS };
    if (tls === undefined) return this.#prepared(createServer(limits), 'connection');
    const secure = createSecureServer({
      ...limits,
      ...contextOf(tls),
      handshakeTimeout: HEADERS_MS,
      requestCert: tls.clientCertificates === true || tls.requiredAuthorities !== undefined,
      rejectUnauthorized: tls.requiredAuthorities !== undefined,
    });
    this.#secure = secure;
    this.#prepared(secure, 'secureConnection');
    if (plainToo !== true) return secure;
    return sniffing(this.#prepared(createServer(limits), 'connection'), secure);
  }

  renew(tls: ListenerTls): void {
    this.#secure?.setSecureContext(contextOf(tls));
  }

  close(): void {
    this.#closed = true;
    this.#closing.abort();
    this.closeIdle();
  }

  closeIdle(): void {
    for (const server of this.#https) server.closeIdleConnections();
  }

  #prepared(server: PlainServer, event: 'connection' | 'secureConnection'): PlainServer {
    server.headersTimeout = HEADERS_MS;
    server.requestTimeout = REQUEST_MS;
    server.keepAliveTimeout = IDLE_MS;
    server.maxHeadersCount = 128;
    remember(server, event);
    server.on('request', (message, response) => this.#take(message, response));
    server.on('checkContinue', (message: IncomingMessage, response: ServerResponse) => {
      if (Number(message.headers['content-length'] ?? 0) <= this.#limit) response.writeContinue();
      this.#take(message, response);
    });
    server.on('clientError', (error: ParserError, socket: Socket) => {
      const newest = (socket as Tagged)[NEWEST];
      const busy = newest !== undefined && !newest.destroyed;
      if (!busy && socket.writable && handBack(server, event, error, socket)) return;
      refuseSocket(error, socket);
    });
    server.on('upgrade', (message: IncomingMessage, socket: Socket, head: Buffer) => {
      const why = refused(message, this.#options);
      if (why !== undefined) refuseUpgrade(socket, why);
      else if (this.#server.join?.(message, socket, head) !== true)
        void takeEventSocket(this.#server, message, socket, head, this.#closing.signal, refuseUpgrade);
    });
    this.#https.push(server);
    return server;
  }

  #take(message: IncomingMessage, response: ServerResponse): void {
    (message.socket as Tagged)[NEWEST] = response;
    this.#arrived.push({ message, response });
    if (this.#arrived.length === 1) setImmediate(this.#serve);
  }

  /**
   * Serves what arrived in this turn of the loop: all requests first, then all answers that stand. One by one, each answer
   * would wake a client that had gone to sleep over the one before, and each way into the kernel would leave the next
   * request with cold caches: together twice what a cached read costs.
   */
  readonly #serve = (): void => {
    const arrived = this.#arrived;
    this.#arrived = [];
    this.#serving = true;
    for (const { message, response } of arrived) {
      // Gone meanwhile: its body would never come.
      if (message.destroyed || response.destroyed) continue;
      if (this.#closed) response.shouldKeepAlive = false;
      this.#guarded(message, response, () => this.#answer(message, response));
    }
    this.#serving = false;
    this.#send();
  };

  #answer(message: IncomingMessage, response: ServerResponse): Soon<void> {
    const sender = senderOf(message, this.#options);
    if (sender.refused !== undefined) return writeFailure(message, response, sender.refused);
    const namespace = sender.headers['x-vault-namespace'];
    if (namespace !== undefined) response.setHeader('x-vault-namespace', namespace);
    const request = readHead(message, response, sender);
    if (request === undefined) {
      if (sendsBody(sender)) cutOff(message, response);
      return writeJson(response, 404, NOTHING);
    }
    if (this.#options.openMetrics === true) request.openMetrics = true;
    if (isStreamed(request)) request.stream = message;
    else if (takesBody(request.verb))
      return after(readBody(message, this.#limit), (body) => {
        request.body = body;
        return this.#ask(message, response, request);
      });
    else if (sendsBody(sender)) cutOff(message, response);
    return this.#ask(message, response, request);
  }

  #ask(message: IncomingMessage, response: ServerResponse, request: Request): void {
    const answered = this.#server.handle(request);
    if (answered instanceof Promise)
      // Both in one: each promise more is a turn of the microtask queue for every request that waits for its audit line.
      answered.then(
        (answer) => this.#answered(message, response, answer),
        (error: unknown) => this.#failed(message, response, error),
      );
    else this.#answered(message, response, answered);
  }

  #answered(message: IncomingMessage, response: ServerResponse, answer: Answer): void {
    if (answer.kind === 'raw') {
      if (!response.destroyed) this.#guarded(message, response, () => writeAnswer(message, response, answer));
      return;
    }
    this.#ready.push({ message, response, answer });
    if (this.#ready.length === 1 && !this.#serving) setImmediate(this.#send);
  }

  /** Whatever fails at once or later is told to the client, or ends its connection where an answer has begun. */
  #guarded(message: IncomingMessage, response: ServerResponse, work: () => Soon<void>): void {
    try {
      const pending = work();
      if (pending instanceof Promise)
        pending.catch((error: unknown) => this.#failed(message, response, error));
    } catch (error) {
      this.#failed(message, response, error);
    }
  }

  readonly #send = (): void => {
    const ready = this.#ready;
    this.#ready = [];
    for (const { message, response, answer } of ready)
      if (!response.destroyed) this.#guarded(message, response, () => writeAnswer(message, response, answer));
  };

  #failed(message: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (response.headersSent) message.socket.destroy();
    else writeFailure(message, response, asFailure(error));
  }
}

/** What may change while the listener stands; whether clients are asked may not. */
const contextOf = ({ cert, key, minVersion = 'TLSv1.2', requiredAuthorities }: ListenerTls) => ({
  cert,
  key,
  minVersion,
  ...(requiredAuthorities === undefined ? {} : { ca: requiredAuthorities }),
});

/** One port for both: a TLS connection begins with a handshake record, and no HTTP method does. */
function sniffing(plain: PlainServer, secure: PlainServer): SocketServer {
  // Their timeouts run only once they "listen", which these two never do by themselves.
  plain.emit('listening');
  secure.emit('listening');
  return createSocketServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const patience = setTimeout(() => socket.destroy(), HEADERS_MS);
    socket.once('error', () => socket.destroy());
    socket.once('readable', () => {
      clearTimeout(patience);
      const first = socket.read() as Buffer | null;
      if (first === null) {
        socket.destroy();
        return;
      }
      socket.removeAllListeners('readable');
      socket.unshift(first);
      (first[0] === TLS_HANDSHAKE ? secure : plain).emit('connection', socket);
    });
  });
}

/** What a socket is told whose bytes were no HTTP: it is closed behind the answer. */
function refuseSocket(error: ParserError, socket: Socket): void {
  // What it still sends fails the parser again, while the answer to the first failure is on its way out.
  if (socket.writableEnded && !socket.destroyed) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const [status, text] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'the header of the request is too large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request took too long']
        : ['400 Bad Request', 'the request is not valid HTTP'];
  endSocket(socket, status ?? '', JSON.stringify({ errors: [text] }));
}

/** Tells a socket that asked to be upgraded why it is not. */
export function refuseUpgrade(socket: Socket, why: Failure): void {
  endSocket(socket, `${statusOf(why)} Refused`, errorText(why));
}

function endSocket(socket: Socket, status: string, body: string): void {
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  setTimeout(() => socket.destroy(), 500).unref();
}
