/** The ways in which the proxy cuts, as the two ends of a connection see them. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CuttingProxy, startCuttingProxy } from '../../support/cuttingproxy.ts';

const QUIET_MS = 150;

let echo: Server;
let proxy: CuttingProxy;
let from: string[];
beforeEach(async () => {
  from = [];
  echo = createServer((socket) => {
    from.push(socket.remoteAddress ?? '');
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const address = echo.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  proxy = await startCuttingProxy(port, { from: '127.0.0.77' });
});
afterEach(async () => {
  await proxy.close();
  await new Promise((resolve) => echo.close(resolve));
});

interface End {
  readonly socket: Socket;
  /** What came back so far. */
  text(): string;
  /** The code of the error that ended it, once there is one. */
  code(): string | undefined;
  readonly closed: Promise<void>;
}

function dial(): End {
  const socket = connect(proxy.port, '127.0.0.1');
  let text = '';
  let code: string | undefined;
  socket.on('data', (data: Buffer) => {
    text += data.toString();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return { socket, text: () => text, code: () => code, closed };
}

async function says(end: End, word: string): Promise<void> {
  end.socket.write(word);
  while (!end.text().endsWith(word)) await once(end.socket, 'data');
}

test('all passes at first, and the target sees the address that was asked for', async () => {
  const end = dial();
  await says(end, 'one');
  expect(from).toEqual(['127.0.0.77']);
  end.socket.destroy();
});

test('to refuse resets what stands and what comes, and lets new connections in afterwards', async () => {
  const end = dial();
  await says(end, 'one');
  proxy.set('refuse');
  await end.closed;
  expect(end.code()).toBe('ECONNRESET');
  const another = dial();
  await another.closed;
  expect(another.text()).toBe('');
  proxy.set('all');
  await says(dial(), 'three');
});

test('to swallow keeps both ends waiting, and resets afterwards what lost a byte, so that nothing comes late', async () => {
  const [busy, idle] = [dial(), dial()];
  await says(busy, 'one');
  await says(idle, 'one');
  proxy.set('swallow');
  busy.socket.write('two');
  const fresh = dial();
  await once(fresh.socket, 'connect');
  fresh.socket.write('two');
  await later(QUIET_MS);
  expect([busy.text(), fresh.text(), busy.code(), fresh.code()]).toEqual(['one', '', undefined, undefined]);
  expect(from).toHaveLength(2);
  proxy.set('all');
  await Promise.all([busy.closed, fresh.closed]);
  expect(busy.text()).toBe('one');
  // Nothing was on its way there: to the two ends it was only slow.
  await says(idle, 'three');
});
