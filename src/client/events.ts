/**
 * Changes as a server tells them: CloudEvents over a WebSocket, one connection per subscription. The stream ends with a
 * failure when the socket does; whoever listens connects again, with the revision that it heard last. A socket that is
 * dead without saying so is found by pings. What is told is hostile input: bounded, and never quoted when it is broken.
 */

import type { IncomingMessage } from 'node:http';
import { type RawData, WebSocket } from 'ws';
import { type Failure, failure } from '../base/errors.ts';
import { Exact, type Json, parseJson } from '../base/json.ts';
import { encodePath, type VaultClient } from './client.ts';
import { answerFailure, isBag, makeAnswer } from './envelope.ts';
import { networkFailure } from './transport.ts';

export interface VaultEvent {
  /** What `after` takes to go on from here; 0 from a server that has no such thing. */
  readonly revision: number;
  /** "kv-v2/data-write" */
  readonly type: string;
  /** Full path, mount included. */
  readonly path: string;
  /** Full path under which what changed is read. */
  readonly dataPath: string;
  /** The version that the change made or touched, where the engine has versions. */
  readonly version?: number;
  readonly operation: string;
  /** The span in which it was changed, where the server tells one; as it came. */
  readonly traceparent?: string;
}

/**
 * The type of the event by which a Holdfast tells that what somebody may do there has changed: a policy, a role or another
 * record of an auth method, an entity or a group. It says no more than that; other servers do not send it.
 */
export const RIGHTS_CHANGED = 'system/rights-changed';

/** The server no longer holds what came after `after`: anything may have changed. The last thing a stream gives. */
export interface EventsGone {
  readonly gone: true;
}

export interface SubscribeOptions {
  /** An event type, with "*" for any run of characters: "kv*". */
  readonly type: string;
  readonly after?: number | undefined;
  readonly signal: AbortSignal;
  /** Called once the server has taken the subscription: from here on nothing is missed. */
  readonly opened?: (() => void) | undefined;
  /** Called with each event as the server told it, a CloudEvent in JSON, before it is given. */
  readonly told?: ((event: Json) => void) | undefined;
  /** Between pings; a socket that is silent for two and a half of them is given up. Default 5 s. */
  readonly pingMs?: number | undefined;
}

const MESSAGE_LIMIT = 1024 * 1024;
/** Events that wait for a slow listener before the stream is given up: it resumes from the server's ring. */
const BACKLOG = 10_000;
const CONNECT_MS = 10_000;
const CLOSE_GONE = 4410;
const CLOSE_DENIED = 4401;

/** Ends quietly when the signal is aborted. @throws Failure api.stream_ended, api.denied and other api.*, api.garbage */
export async function* subscribe(
  client: VaultClient,
  options: SubscribeOptions,
): AsyncIterable<VaultEvent | EventsGone> {
  const { signal } = options;
  if (signal.aborted) return;
  const inbox = new Inbox();
  const socket = open(client, options);
  const address = client.address;
  const pingMs = options.pingMs ?? 5000;
  let heard = performance.now();
  let opened = false;
  const hear = (): void => {
    heard = performance.now();
  };
  const ended = (reason: string): Failure => failure('api.stream_ended', { address, reason });
  const end = (why: Failure | undefined): void => {
    inbox.end(why);
    socket.terminate();
  };
  const abort = (): void => end(undefined);
  signal.addEventListener('abort', abort, { once: true });
  const pings = setInterval(() => {
    if (performance.now() - heard > (opened ? 2.5 * pingMs : CONNECT_MS)) return end(ended('it fell silent'));
    if (opened) socket.ping();
  }, pingMs);

  socket.on('open', () => {
    opened = true;
    hear();
    options.opened?.();
  });
  socket.on('pong', hear);
  socket.on('ping', hear);
  socket.on('message', (data: RawData, binary: boolean) => {
    hear();
    try {
      const whole = readMessage(data, binary, address);
      const event = readEvent(whole, address);
      options.told?.(whole);
      if (!inbox.put(event, BACKLOG)) end(ended('more events wait than are kept'));
    } catch {
      end(failure('api.garbage', { address, reason: 'an event is not a CloudEvent in JSON' }));
    }
  });
  socket.on('unexpected-response', (_, response: IncomingMessage) => {
    refusal(response, options.type, address).then(end, () => end(ended('it was refused')));
  });
  socket.on('error', (error: Error) =>
    end(opened ? ended('the connection failed') : networkFailure(error, address)),
  );
  socket.on('close', (code: number) => {
    if (code === CLOSE_GONE) inbox.put({ gone: true }, Number.POSITIVE_INFINITY);
    const denied = code === CLOSE_DENIED || code === 1008;
    const request = `SUBSCRIBE ${options.type}`;
    inbox.end(
      code === CLOSE_GONE
        ? undefined
        : denied
          ? failure('api.denied', { request, errors: 'the token or its right to listen ended' })
          : ended(code === 1001 ? 'the server goes away' : 'the connection was closed'),
    );
  });

  try {
    yield* inbox.take();
  } finally {
    clearInterval(pings);
    signal.removeEventListener('abort', abort);
    // Closing a socket that never opened is told as an error: there is nobody left to hear it.
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.terminate();
  }
}

function open(client: VaultClient, options: SubscribeOptions): WebSocket {
  const { url, headers, socket } = client.connection;
  const base = url.pathname.replace(/\/+$/, '');
  const query = options.after === undefined ? '' : `&after=${options.after}`;
  const secure = url.protocol === 'https:';
  const { host, port, ...tls } = socket;
  const at = String(host).includes(':') ? `[${host}]` : host;
  // The place that `resolve` gave; the name of the address goes into the Host header and the check of the certificate.
  const target = `${secure ? 'wss' : 'ws'}://${at}:${port}${base}/v1/sys/events/subscribe/${encodePath(options.type)}?json=true${query}`;
  return new WebSocket(target, {
    headers: { ...headers, host: url.host },
    maxPayload: MESSAGE_LIMIT,
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: CONNECT_MS,
    ...tls,
  });
}

/** What a server that would not upgrade said instead. */
async function refusal(response: IncomingMessage, type: string, address: string): Promise<Failure> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MESSAGE_LIMIT) break;
    chunks.push(chunk);
  }
  const answer = makeAnswer(response.statusCode ?? 0, response.headers, Buffer.concat(chunks), address);
  return answerFailure(answer, `SUBSCRIBE ${type}`, address);
}

/** @throws anything where it is not what it should be: the caller replaces it */
function readMessage(data: RawData, binary: boolean, address: string): Json {
  if (binary || !Buffer.isBuffer(data)) throw failure('api.garbage', { address, reason: 'not text' });
  return parseJson(data.toString('utf8'), [], { depth: 32, count: 10_000 });
}

/** @throws Failure api.garbage where it is no event */
function readEvent(event: Json, address: string): VaultEvent {
  const body = isBag(event) ? event['data'] : undefined;
  const inner = isBag(body) ? body['event'] : undefined;
  const found = isBag(inner) ? inner['metadata'] : undefined;
  if (!isBag(event) || !isBag(body)) throw failure('api.garbage', { address, reason: 'no data' });
  const metadata = isBag(found) ? found : {};
  const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
  const path = text(metadata['path']);
  const version = whole(metadata['current_version']) ?? whole(metadata['version']);
  const traceparent = text(event['traceparent']);
  return {
    revision: whole(event['revision']) ?? whole(metadata['revision']) ?? 0,
    type: text(body['event_type']) || text(event['type']),
    path,
    dataPath: text(metadata['data_path']) || path,
    operation: text(metadata['operation']),
    ...(version === undefined ? {} : { version }),
    ...(traceparent === '' ? {} : { traceparent }),
  };
}

function whole(value: Json | undefined): number | undefined {
  const number =
    value instanceof Exact
      ? Number(value.text)
      : typeof value === 'string' && value !== ''
        ? Number(value)
        : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** What arrived and was not taken yet. What came before the end is given before it. */
class Inbox {
  readonly #items: (VaultEvent | EventsGone)[] = [];
  #ended: { readonly why: Failure | undefined } | undefined;
  #wake: (() => void) | undefined;

  put(item: VaultEvent | EventsGone, limit: number): boolean {
    if (this.#ended !== undefined) return true;
    if (this.#items.length >= limit) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  end(why: Failure | undefined): void {
    this.#ended ??= { why };
    this.#wake?.();
  }

  async *take(): AsyncIterable<VaultEvent | EventsGone> {
    for (;;) {
      yield* this.#items.splice(0);
      if (this.#items.length > 0) continue;
      if (this.#ended !== undefined) {
        if (this.#ended.why !== undefined) throw this.#ended.why;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
