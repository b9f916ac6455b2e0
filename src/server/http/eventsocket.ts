/**
 * Events over a WebSocket: GET /v1/sys/events/subscribe/<type>?json=true[&after=<revision>]. Closing codes: 4401 the token or
 * its right to listen ended; 4410 what came after `after` is no longer kept, so look at everything once; 1001 we go away.
 */

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { asFailure, type Failure, failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { API, type Path, parseApiPath } from '../../base/path.ts';
import { Gone } from '../../storage/storage.ts';
import type { Core } from '../core/core.ts';
import { subscribe } from '../core/subscribe.ts';
import { toCloudEvent } from '../events/cloudevent.ts';
import type { ServerEvent } from '../events/events.ts';
import { remoteOf } from './intake.ts';
import { headersOf, tokenOf } from './sender.ts';

export interface EventSocketDeps {
  readonly core: Core;
  /** The client, where another node handed its socket on. */
  readonly remote?: { readonly address: string; readonly port: number };
}

const CLOSE_DENIED = 4401;
const CLOSE_GONE = 4410;
const CLOSE_AWAY = 1001;
const PREFIX = 'sys/events/subscribe/';
const PING_MS = 30_000;

/** Clients only listen: a frame of theirs may be a ping, a close, and hardly more. */
const sockets = new WebSocketServer({ noServer: true, maxPayload: 1024, perMessageDeflate: false });

/** Answers an upgrade: with events, or through `refuse`. */
export async function takeEventSocket(
  { core, remote }: EventSocketDeps,
  message: IncomingMessage,
  socket: Socket,
  head: Buffer,
  closing: AbortSignal,
  refuse: (socket: Socket, why: Failure) => void,
): Promise<void> {
  const over = new AbortController();
  // Sealed, or no longer the leader: the listener may ask elsewhere, and is not told that it may not listen.
  const away = AbortSignal.any([closing, core.services()?.ended ?? closing]);
  socket.once('close', () => over.abort());
  socket.once('error', () => socket.destroy());
  let events: AsyncIterable<ServerEvent>;
  try {
    const { path, type, after } = readAsked(message.url ?? '');
    events = await subscribe(core, {
      path,
      type,
      token: tokenOf(headersOf(message)),
      remote: remote ?? remoteOf(message.socket),
      requestId: randomUUID(),
      signal: AbortSignal.any([over.signal, closing]),
      ...(after === undefined ? {} : { after }),
    });
  } catch (error) {
    refuse(socket, asFailure(error));
    return;
  }
  sockets.handleUpgrade(message, socket, head, (client) => {
    client.on('error', () => client.terminate());
    // Whatever a listener says is not for us; it must still be read, or its close would never be.
    client.on('message', () => {});
    void pump(client, events, over, away);
  });
}

async function pump(
  client: WebSocket,
  events: AsyncIterable<ServerEvent>,
  over: AbortController,
  closing: AbortSignal,
): Promise<void> {
  let alive = true;
  client.on('pong', () => {
    alive = true;
  });
  const pinging = setInterval(() => {
    if (!alive) client.terminate();
    alive = false;
    client.ping();
  }, PING_MS);
  pinging.unref();
  try {
    for await (const event of events) await send(client, stringify(toCloudEvent(event)));
    client.close(
      closing.aborted ? CLOSE_AWAY : CLOSE_DENIED,
      closing.aborted ? 'going away' : 'permission denied',
    );
  } catch (error) {
    if (error instanceof Gone) client.close(CLOSE_GONE, 'gone');
    else client.close(closing.aborted ? CLOSE_AWAY : 1011, 'ended');
  } finally {
    clearInterval(pinging);
    over.abort();
  }
}

/** Resolves once the frame left us: a listener that does not read holds up nobody but itself. */
const send = (client: WebSocket, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    client.send(text, (error) => (error ? reject(error) : resolve()));
  });

function readAsked(url: string): { path: Path; type: string; after?: number } {
  const [raw = '', ...query] = url.split('?');
  const asked = new URLSearchParams(query.join('?'));
  if (!raw.startsWith(API)) throw failure('request.unsupported_path');
  const path = parseApiPath(raw);
  const type = path.text.slice(PREFIX.length);
  if (!path.text.startsWith(PREFIX) || type === '') throw failure('request.unsupported_path');
  if (asked.get('json') !== 'true')
    throw failure('request.invalid', { reason: 'events are sent as JSON only: add json=true to the query' });
  const given = asked.get('after');
  if (given === null) return { path, type };
  if (!/^\d{1,15}$/.test(given))
    throw failure('request.invalid', { reason: 'the parameter "after" is no revision' });
  return { path, type, after: Number(given) };
}
