/**
 * Hands requests on to the node that leads, and its answers back. What surely was not sent may be asked again; of what was sent
 * and not answered nobody knows the outcome, and it is said so rather than repeated.
 */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { failure } from '../../base/errors.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { Write } from '../../storage/storage.ts';
import type { Answer, Request } from '../core/request.ts';
import { connectPinned, PinnedAgent, Unreached } from './pinned.ts';
import type { Advert, ClusterIdentity } from './record.ts';
import {
  encodeGreeting,
  encodeHead,
  encodeWrites,
  type Greeting,
  HEAD,
  MISDIRECTED,
  ROUTES,
} from './wire.ts';

/** "elsewhere": nothing was done, somebody else leads. "unknown": it was sent, and no answer came. */
export type Forwarded = Answer | 'elsewhere' | 'unknown';

const CONNECT_MS = 1000;
const SMALL_MS = 2000;
/** An answer up to this size is read whole before it is handed on, so that one that breaks off is not handed on in part. */
const WHOLE_BYTES = 4 * 1024 * 1024;
/** Of the connection between the two nodes, not of the answer. */
const HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'date',
  'content-length',
  'upgrade',
]);

export class Forwarder {
  readonly leader: Advert;
  readonly #agent: PinnedAgent;
  readonly #identity: ClusterIdentity;
  readonly #at: { readonly host: string; readonly port: number };
  readonly #over = new AbortController();
  /** Whether the last request was answered by the leader. */
  healthy = true;

  /** @throws where the address of the leader is none */
  constructor(leader: Advert, identity: ClusterIdentity) {
    this.leader = leader;
    this.#identity = identity;
    const { hostname, port } = new URL(leader.clusterAddress);
    this.#at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 443 };
    this.#agent = new PinnedAgent(identity, CONNECT_MS);
  }

  /** Somebody else leads: what is not answered yet will not be. The agent ends the connections that are in use as well. */
  close(): void {
    this.#over.abort();
    this.#agent.destroy();
  }

  async forward(request: Request): Promise<Forwarded> {
    const outcome = await this.#forward(request);
    this.healthy = typeof outcome !== 'string';
    return outcome;
  }

  async #forward(request: Request): Promise<Forwarded> {
    try {
      const message = await this.#send(
        ROUTES.request,
        { [HEAD]: encodeHead(request) },
        request.stream ?? request.body ?? new Uint8Array(0),
        request.signal,
      );
      if (message.statusCode === MISDIRECTED) {
        message.resume();
        return 'elsewhere';
      }
      return await answerOf(message);
    } catch (error) {
      return error instanceof Unreached ? 'elsewhere' : 'unknown';
    }
  }

  /** Asks the leader to keep writes. @throws Failure cluster.no_leader */
  async commit(writes: readonly Write[]): Promise<number> {
    const body = encodeWrites(writes);
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(SMALL_MS)]);
    try {
      const message = await this.#send(ROUTES.commit, {}, body, signal);
      message.resume();
      if (message.statusCode === 200) return Number(message.headers['x-holdfast-revision'] ?? 0);
    } catch {
      // Told below: whoever asked keeps it for the next time.
    }
    throw failure('cluster.no_leader');
  }

  /** The root key that took the place of this node's a moment ago, the caller's to wipe; undefined where there is none. */
  async rootKey(): Promise<Buffer | undefined> {
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(SMALL_MS)]);
    try {
      const message = await this.#send(ROUTES.rootKey, {}, new Uint8Array(0), signal);
      const chunks: Buffer[] = [];
      for await (const chunk of message) chunks.push(chunk as Buffer);
      const key = Buffer.concat(chunks);
      wipe(...chunks);
      return message.statusCode === 200 ? key : undefined;
    } catch {
      return undefined;
    }
  }

  /** Tells the leader that this node is there. */
  async greet(self: Greeting): Promise<void> {
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(SMALL_MS)]);
    const message = await this.#send(ROUTES.hello, {}, encodeGreeting(self), signal);
    message.resume();
  }

  /** Joins a client that asked for events to the leader, after the words of its upgrade. @throws Unreached */
  async join(request: Request, words: string, client: Duplex, head: Buffer): Promise<void> {
    const socket = await connectPinned(this.#at, this.#identity, CONNECT_MS);
    const end = (): void => {
      socket.destroy();
      client.destroy();
    };
    for (const one of [socket, client]) {
      one.on('error', end);
      one.on('close', end);
    }
    this.#over.signal.addEventListener('abort', end, { once: true });
    socket.write(words.replace('\r\n', `\r\n${HEAD}: ${encodeHead(request)}\r\n`));
    if (head.length > 0) socket.write(head);
    client.pipe(socket);
    socket.pipe(client);
  }

  /** @throws Unreached where nothing was sent, anything else where nobody knows */
  #send(
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = httpRequest(
        {
          ...this.#at,
          agent: this.#agent,
          method: 'POST',
          path,
          signal,
          headers: {
            ...headers,
            ...(body instanceof Uint8Array ? { 'content-length': body.length } : {}),
          },
        },
        resolve,
      );
      asked.once('error', reject);
      if (body instanceof Uint8Array) asked.end(body);
      else pipeline(body, asked).catch(reject);
    });
  }
}

async function answerOf(message: IncomingMessage): Promise<Answer> {
  const status = message.statusCode ?? 500;
  const headers = Object.fromEntries(
    Object.entries(message.headers).flatMap(([name, value]) =>
      typeof value === 'string' && !HOP.has(name) ? [[name, value]] : [],
    ),
  );
  const length = message.headers['content-length'];
  if (status === 204 || (length !== undefined && Number(length) <= WHOLE_BYTES)) {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    return { kind: 'raw', reply: { status, headers, body: Buffer.concat(chunks) } };
  }
  return {
    kind: 'raw',
    reply: {
      status,
      headers: length === undefined ? headers : { ...headers, 'content-length': length },
      body: message,
    },
  };
}
