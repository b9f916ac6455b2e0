/** The drivers against servers that are none: silent, gone at once, or sending whatever they like. */

import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect as connectTo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { failure } from '../../../base/errors.ts';
import type { Protocol, Target } from '../target.ts';
import { drivers } from './index.ts';

const PROTOCOLS: readonly Protocol[] = ['postgresql', 'mysql', 'redis'];
const LOGIN = { username: 'keeper', password: 'canary-password' };
const NO_TLS = { ca: '', certificate: '', key: '' };
const SIZE = { open: 2, idle: 2, lifetimeMs: 0 };

/** A packet of MySQL: three bytes of length, a number, and what it holds. */
function packet(body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  return Buffer.concat([head, body]);
}

const GREETING = Buffer.concat([
  Buffer.from([10]),
  Buffer.from('5.7.0\0'),
  Buffer.alloc(8, 1),
  Buffer.from('saltsalt\0'),
]);
const BABBLE: readonly (readonly [string, () => Uint8Array])[] = [
  ['random bytes', () => randomBytes(512)],
  ['zeros', () => Buffer.alloc(512)],
  ['an HTTP answer', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['a packet of nothing', () => packet(Buffer.alloc(0))],
  ['a greeting cut short', () => packet(GREETING.subarray(0, 9))],
  ['a greeting and noise', () => Buffer.concat([packet(GREETING), packet(randomBytes(64))])],
  ['an error with nothing in it', () => packet(Buffer.from([255]))],
  ['a refusal that quotes what was sent', () => Buffer.from(`-ERR bad >${LOGIN.password}\r\n`)],
  ['a reply of a terabyte', () => Buffer.from('$1099511627776\r\nx')],
];

describe.each(PROTOCOLS)('%s', (protocol) => {
  let server: Server | undefined;
  const sockets = new Set<Socket>();
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server?.close();
  });

  const ask = async (greet: (socket: Socket) => void): Promise<unknown> => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      greet(socket);
    });
    const listening = server;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const { port } = listening.address() as AddressInfo;
    const target: Target = {
      protocol,
      host: 'db.svc',
      port: 1,
      database: '',
      tls: 'disable',
      serverName: 'db.svc',
      connectTimeoutMs: 300,
    };
    const database = drivers(
      async () => ({ ip: '127.0.0.1', port }),
      (place) => connectTo(place.port, place.ip),
    )(target, LOGIN, NO_TLS, SIZE);
    try {
      return await database
        .transaction((query) => query(protocol === 'redis' ? 'PING' : 'SELECT 1'))
        .catch((error: unknown) => error);
    } finally {
      await database.close();
    }
  };

  it('gives up on a server that keeps silent', async () => {
    expect(await ask(() => {})).toMatchObject({ code: 'database.connection' });
  });

  it('is told of a server that hangs up', async () => {
    expect(await ask((socket) => socket.destroy())).toMatchObject({ code: 'database.connection' });
  });

  it.each(BABBLE)(
    'outlives %s',
    async (_, babble) => {
      const error = await ask((socket) => socket.write(babble()));
      expect(error).toMatchObject({ code: expect.stringMatching(/^database\.(?:connection|failed)$/) });
      expect(String(error)).not.toContain('canary');
      // Noise that begins like an answer to the login leaves the statement to wait out its own time.
    },
    60_000,
  );

  it('connects to nothing that was not allowed', async () => {
    const refused = drivers(
      async (host, port) => {
        throw failure('dial.refused', { host, port });
      },
      () => {
        throw new Error('nobody was to be connected to');
      },
    );
    const target: Target = {
      protocol,
      host: 'db.svc',
      port: 1,
      database: '',
      tls: 'disable',
      serverName: 'db.svc',
      connectTimeoutMs: 300,
    };
    const database = refused(target, LOGIN, NO_TLS, SIZE);
    await expect(database.transaction((query) => query('SELECT 1'))).rejects.toMatchObject({
      code: 'dial.refused',
    });
    await database.close();
  });
});
