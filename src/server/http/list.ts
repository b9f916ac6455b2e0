/**
 * The verb LIST over node:http. Node's parser does not know it and fails before any handler, yet hvac and node-vault send it.
 * Where a message begins with it, the failed parser is taken off the socket, LIST becomes LINK (as long, known to the parser,
 * sent by nobody), and the socket is handed back as if it were new. It touches members that Node does not document, so it is
 * tested over plain and TLS sockets on every line of Node that we support.
 */

import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** What is used of Node's parser. */
interface Parser {
  _consumed?: boolean;
  socket?: unknown;
  incoming?: unknown;
  outgoing?: unknown;
  unconsume?(): void;
  remove?(): void;
  close?(): void;
}

interface Inside {
  parser?: Parser | null;
  _handle?: { _consumed?: boolean } | null;
}

const LIST = Buffer.from('LIST /');
const LINK = Buffer.from('LINK');
const EVENTS = ['timeout', 'error', 'close', 'end', 'data', 'drain', 'pause', 'resume'];

type Listener = (...given: unknown[]) => void;

/** What listened on each socket before the HTTP server did: net's and tls's own listeners must stay. */
const listeners = new WeakMap<Socket, ReadonlyMap<string, ReadonlySet<Listener>>>();

/** To be called once for a server, before it takes connections. */
export function remember(server: Server, event: 'connection' | 'secureConnection'): void {
  server.prependListener(event, (socket: Socket) => {
    const found = EVENTS.map((name) => [name, new Set(socket.rawListeners(name) as Listener[])] as const);
    listeners.set(socket, new Map(found));
  });
}

export interface ParserError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

/**
 * Gives the socket back to its server where the parser failed on LIST at the beginning of a message.
 * @param event what the server takes new sockets by: "connection", or "secureConnection" over TLS
 * @returns whether it was so; the socket must be refused otherwise
 */
export function handBack(
  server: Server,
  event: 'connection' | 'secureConnection',
  error: ParserError,
  socket: Socket,
): boolean {
  const packet = error.rawPacket;
  if (error.code !== 'HPE_INVALID_METHOD' || packet === undefined) return false;
  if (!packet.subarray(0, LIST.length).equals(LIST)) return false;
  const inside = socket as unknown as Inside;
  const { parser } = inside;
  if (!parser) return false;
  parser.unconsume?.();
  parser._consumed = false;
  if (inside._handle) inside._handle._consumed = false;
  // Off the list of connections: the failed message would else run into the timeout for headers, and take the socket along.
  parser.remove?.();
  parser.socket = null;
  parser.incoming = null;
  parser.outgoing = null;
  inside.parser = null;
  const own = listeners.get(socket);
  for (const name of EVENTS) {
    for (const listener of socket.rawListeners(name) as Listener[])
      if (own?.get(name)?.has(listener) !== true) socket.removeListener(name, listener);
  }
  // Not now: the parser is still on the stack.
  setImmediate(() => parser.close?.());
  const rewritten = Buffer.concat([LINK, packet.subarray(LINK.length)]);
  server.emit(event, socket);
  socket.unshift(rewritten);
  return true;
}
