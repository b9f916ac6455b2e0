/**
 * A stream of KV writes and of tokens from several connections, and what each path may hold afterwards; a token's path is
 * "token/" and its id. Each writer has paths of its own and one request under way, so that the order of the writes to a path
 * is known: a path holds what was acknowledged last, or what was asked for next and never answered.
 */

import { Agent, request } from 'node:http';
import type { Random } from './random.ts';

/** One request. `value` undefined: the path is deleted, the token revoked. */
export interface Ask {
  readonly path: string;
  readonly value: string | undefined;
  acked: boolean;
}

export interface Connection {
  /** The port of this end: what a tracer of the server names the connection by. */
  readonly port: number;
  readonly asks: readonly Ask[];
}

export interface Stream {
  readonly connections: readonly Connection[];
  /** Ends when every writer has ended: told to, or because the server is gone. @throws Error for an answer that is none */
  readonly ended: Promise<void>;
  stop(): void;
}

const PATHS_PER_WRITER = 6;
const DELETE_SHARE = 0.1;
const TOKEN_SHARE = 0.2;
const REVOKE_SHARE = 0.4;

/** What the path of a living token holds. */
export const ALIVE = 'alive';
export const TOKENS = 'token/';

/** Starts `writers` streams of writes; `round` makes the values of one stream its own. */
export function startWriters(
  at: { readonly host: string; readonly port: number; readonly token: string },
  options: { readonly writers: number; readonly round: number; readonly random: Random },
): Stream {
  const stopping = new AbortController();
  const connections: { port: number; readonly asks: Ask[] }[] = [];
  const write = async (writer: number): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const connection = { port: 0, asks: [] as Ask[] };
    connections.push(connection);
    const tokens: string[] = [];
    const drawn = (label: string): Ask => {
      const { random } = options;
      if (random.next() < TOKEN_SHARE) {
        const old = random.next() < REVOKE_SHARE ? tokens.shift() : undefined;
        if (old !== undefined) return { path: old, value: undefined, acked: false };
        tokens.push(`${TOKENS}fault-${label}`);
        return { path: `${TOKENS}fault-${label}`, value: ALIVE, acked: false };
      }
      const path = `stream/${writer}/${random.below(PATHS_PER_WRITER)}`;
      return { path, value: random.next() < DELETE_SHARE ? undefined : label, acked: false };
    };
    try {
      for (let count = 0; !stopping.signal.aborted; count++) {
        const ask = drawn(`${options.round}-${writer}-${count}`);
        const { path, value } = ask;
        connection.asks.push(ask);
        const sent = await send(agent, at, path, value);
        // The order of the answers is only known on one line: a second one would be another's to count.
        if (connection.port !== 0 && sent.port !== connection.port) throw new Error('a second connection');
        connection.port = sent.port;
        if (!sent.answered) return;
        ask.acked = true;
      }
    } finally {
      agent.destroy();
    }
  };
  const ended = Promise.all(Array.from({ length: options.writers }, (_, i) => write(i))).then(
    () => undefined,
  );
  // Whoever waits for the end hears of it; until then it must not end the process.
  ended.catch(() => {});
  return { connections, ended, stop: () => stopping.abort() };
}

/** What each path may hold after these requests: the first is what was acknowledged last, undefined where nothing lies. */
export function allowed(asks: readonly Ask[]): Map<string, (string | undefined)[]> {
  const paths = new Map<string, (string | undefined)[]>();
  for (const { path, value, acked } of asks) {
    if (acked) paths.set(path, [value]);
    else paths.set(path, [...(paths.get(path) ?? [undefined]), value]);
  }
  return paths;
}

function send(
  agent: Agent,
  { host, port, token }: { readonly host: string; readonly port: number; readonly token: string },
  path: string,
  value: string | undefined,
): Promise<{ readonly port: number; readonly answered: boolean }> {
  const asked = requestOf(path, value);
  return new Promise((resolve, reject) => {
    let local = 0;
    const call = request({
      host,
      port,
      agent,
      method: asked.method,
      path: asked.path,
      headers: { 'x-vault-token': token, 'content-type': 'application/json' },
    });
    call.once('socket', (socket) => {
      const note = (): void => {
        local = socket.localPort ?? local;
      };
      if (socket.connecting) socket.once('connect', note);
      else note();
    });
    call.once('response', (response) => {
      // The head of the answer is the acknowledgement: a client acts on it, whatever becomes of the rest.
      const { statusCode = 0 } = response;
      if (statusCode !== 200 && statusCode !== 204) {
        reject(new Error(`a write of ${path} was answered ${statusCode}`));
        call.destroy();
        return;
      }
      response.resume();
      const done = (): void => resolve({ port: local, answered: true });
      response.once('end', done);
      response.once('error', done);
    });
    call.once('error', () => resolve({ port: local, answered: false }));
    call.end(asked.body === undefined ? undefined : JSON.stringify(asked.body));
  });
}

function requestOf(
  path: string,
  value: string | undefined,
): { readonly method: string; readonly path: string; readonly body?: unknown } {
  if (!path.startsWith(TOKENS))
    return {
      method: value === undefined ? 'DELETE' : 'PUT',
      path: `/v1/secret/data/${path}`,
      ...(value === undefined ? {} : { body: { data: { value } } }),
    };
  const id = path.slice(TOKENS.length);
  return value === undefined
    ? { method: 'POST', path: '/v1/auth/token/revoke', body: { token: id } }
    : {
        method: 'POST',
        path: '/v1/auth/token/create',
        body: { id, policies: ['default'], ttl: '2h' },
      };
}
