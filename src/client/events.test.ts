import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { isFailure } from '../base/errors.ts';
import { VaultClient } from './client.ts';
import { subscribe } from './events.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const event = (revision: number, version: string) =>
  JSON.stringify({
    type: 'kv-v2/data-write',
    revision: String(revision),
    data: {
      event: {
        metadata: {
          path: 'secret/data/a',
          data_path: 'secret/data/a',
          operation: 'data-write',
          current_version: version,
        },
      },
      event_type: 'kv-v2/data-write',
    },
  });

async function serve(
  connected: (socket: WebSocket, url: string, headers: Record<string, unknown>) => void,
  refuse?: number,
) {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    ...(refuse === undefined
      ? {}
      : {
          verifyClient: (_: unknown, done: (ok: boolean, code: number, body: string) => void) =>
            done(false, refuse, '{"errors":["permission denied"]}'),
        }),
  });
  await new Promise<void>((done) => server.once('listening', () => done()));
  server.on('connection', (socket, request) => connected(socket, request.url ?? '', request.headers));
  const client = new VaultClient({
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'hvs.x',
  });
  closing.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return client;
}

async function collect(stream: AsyncIterable<unknown>): Promise<{ got: unknown[]; error: unknown }> {
  const got: unknown[] = [];
  try {
    for await (const item of stream) got.push(item);
    return { got, error: undefined };
  } catch (error) {
    return { got, error };
  }
}

const never = new AbortController().signal;

test('events come in order with revision and version, and the end of the socket is a failure after them', async () => {
  const asked: string[] = [];
  const client = await serve((socket, url, headers) => {
    asked.push(url, String(headers['x-vault-token']));
    socket.send(event(7, '1'));
    socket.send(event(9, '2'));
    socket.close(1001);
  });
  const { got, error } = await collect(subscribe(client, { type: 'kv*', after: 5, signal: never }));
  expect(asked).toEqual(['/v1/sys/events/subscribe/kv*?json=true&after=5', 'hvs.x']);
  expect(got).toEqual([
    {
      revision: 7,
      type: 'kv-v2/data-write',
      path: 'secret/data/a',
      dataPath: 'secret/data/a',
      operation: 'data-write',
      version: 1,
    },
    {
      revision: 9,
      type: 'kv-v2/data-write',
      path: 'secret/data/a',
      dataPath: 'secret/data/a',
      operation: 'data-write',
      version: 2,
    },
  ]);
  expect(isFailure(error, 'api.stream_ended')).toBe(true);
});

test('a revision that the server no longer has ends the stream with `gone`, not with a failure', async () => {
  const client = await serve((socket) => socket.close(4410, 'gone'));
  expect(await collect(subscribe(client, { type: 'kv*', after: 1, signal: never }))).toEqual({
    got: [{ gone: true }],
    error: undefined,
  });
});

test('a token that ends while it listens is told as denied', async () => {
  const client = await serve((socket) => socket.close(4401));
  expect(
    isFailure((await collect(subscribe(client, { type: 'kv*', signal: never }))).error, 'api.denied'),
  ).toBe(true);
});

test('a refused upgrade is told in the words of the server', async () => {
  const client = await serve(() => {}, 403);
  const { error } = await collect(subscribe(client, { type: 'kv*', signal: never }));
  expect(isFailure(error, 'api.denied')).toBe(true);
  expect(String(error)).toContain('SUBSCRIBE kv*: permission denied');
});

test.each(['{', '[]', '{"data":1}', 'x'.repeat(2_000_000)])(
  'a message that is no event (%#) ends the stream and is not quoted',
  async (message) => {
    const client = await serve((socket) => socket.send(message));
    const { error } = await collect(subscribe(client, { type: 'kv*', signal: never }));
    expect(isFailure(error)).toBe(true);
    expect(String(error).length).toBeLessThan(200);
  },
);

test('a socket that is open and silent is given up', async () => {
  const client = await serve((socket) => {
    // Neither reads nor answers pings, as a peer behind a dropped route.
    socket.pause();
  });
  const { error } = await collect(subscribe(client, { type: 'kv*', signal: never, pingMs: 30 }));
  expect(isFailure(error, 'api.stream_ended')).toBe(true);
  expect(String(error)).toContain('silent');
});

test('nobody at home is unreachable', async () => {
  const server = net.createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((done) => server.close(() => done()));
  const client = new VaultClient({ address: `http://127.0.0.1:${port}` });
  const { error } = await collect(subscribe(client, { type: 'kv*', signal: never }));
  expect(isFailure(error, 'api.unreachable')).toBe(true);
});

test('an aborted subscription ends quietly and lets go of its socket', async () => {
  let closed: Promise<void> | undefined;
  const client = await serve((socket) => {
    closed = new Promise((done) => socket.once('close', () => done()));
  });
  const stop = new AbortController();
  const ended = collect(subscribe(client, { type: 'kv*', signal: stop.signal, opened: () => stop.abort() }));
  expect(await ended).toEqual({ got: [], error: undefined });
  await closed;
});

test('a host of the manifests is found where `resolve` says, and keeps its name', async () => {
  let asked: unknown;
  const direct = await serve((socket, _, headers) => {
    asked = headers['host'];
    socket.close(4410);
  });
  const port = Number(new URL(direct.address).port);
  const client = new VaultClient({
    address: 'http://vault.vault.svc:8200',
    resolve: () => ({ host: '127.0.0.1', port }),
  });
  expect((await collect(subscribe(client, { type: 'kv*', signal: never }))).got).toEqual([{ gone: true }]);
  expect(asked).toBe('vault.vault.svc:8200');
});
