/**
 * A stream of KV writes from several connections, and what each path may hold afterwards. Each writer has paths of its own
 * and one request under way, so that the order of the writes to a path is known: a path holds what was acknowledged last, or
 * what was asked for next and never answered.
 */

import { Agent, request } from 'node:http';
import type { Random } from './random.ts';

/** One request. `value` undefined: the path is deleted. */
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
    try {
      for (let count = 0; !stopping.signal.aborted; count++) {
        const path = `stream/${writer}/${options.random.below(PATHS_PER_WRITER)}`;
        const value =
          options.random.next() < DELETE_SHARE ? undefined : `${options.round}-${writer}-${count}`;
        const ask: Ask = { path, value, acked: false };
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
  return new Promise((resolve, reject) => {
    let local = 0;
    const call = request({
      host,
      port,
      agent,
      method: value === undefined ? 'DELETE' : 'PUT',
      path: `/v1/secret/data/${path}`,
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
    call.end(value === undefined ? undefined : JSON.stringify({ data: { value } }));
  });
}
