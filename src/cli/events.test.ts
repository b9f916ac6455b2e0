import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { runCli } from './program.ts';
import type { Terminal } from './terminal.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function serving(subscriber: (socket: WebSocket) => void): Promise<string> {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', subscriber);
  closing.push(() => {
    sockets.close();
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function run(address: string, argv: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const none = async (): Promise<never> => {
    throw new Error('not asked for here');
  };
  const terminal: Terminal = {
    env: { VAULT_ADDR: address, VAULT_TOKEN: 'hvs.t' },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    stdin: none,
    secret: none,
    readFile: none,
    tokenFile: { read: async () => undefined, write: none },
  };
  return { code: await runCli(argv, terminal, '0.0.0'), out: out.join(''), err: err.join('') };
}

const TEXT = JSON.stringify({
  id: 'a',
  revision: 0,
  data: { event: { metadata: { path: 'secret/data/app' } }, event_type: 'kv-v2/data-write' },
}).replace('"revision":0', '"revision":12345678901234567890');

test('events are printed as the server tells them, to the digit, one a line', async () => {
  const address = await serving((socket) => {
    socket.send(JSON.stringify(JSON.parse(TEXT), null, 2).replace(/"revision": \d+/, '"revision": 7'));
    socket.send(TEXT);
    socket.close(1001);
  });
  const { code, out, err } = await run(address, ['events', 'subscribe', 'kv*']);
  expect(out).toBe(`${TEXT.replace(/"revision":\d+/, '"revision":7')}\n${TEXT}\n`);
  expect(err).toContain('the server goes away');
  expect(code).toBe(2);
});

test('a place in the stream that the server no longer has is said to be gone', async () => {
  const address = await serving((socket) => socket.close(4410));
  const { code, err } = await run(address, ['events', 'subscribe', '-after=5', '*']);
  expect(err).toContain('no longer holds what came after');
  expect(code).toBe(2);
});

test('a stream has no rehearsal', async () => {
  const { code, err } = await run('http://127.0.0.1:1', ['events', 'subscribe', '-output-policy', '*']);
  expect([code, err]).toEqual([1, '-output-policy is not there for events, which are streamed\n']);
});
