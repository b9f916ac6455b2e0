/** Connections for audit lines against real sockets of this process. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { utf8 } from '../base/bytes.ts';
import { verifyChain } from '../base/chain.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { createAuditBroker } from '../server/audit/broker.ts';
import { describeSink } from '../server/audit/conformance.ts';
import { readSettings } from '../server/audit/settings.ts';
import { sinkOpener } from '../server/audit/sinks.ts';
import type { DialOptions } from '../server/http/dial.ts';
import { MemoryBackend } from '../storage/memory.ts';
import { auditLinks } from './auditlinks.ts';

const everywhere: DialOptions = { target: (host, port) => ({ host, port }), allow: () => true };
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Collector {
  readonly port: number;
  readonly path: string;
  text(): string;
  readonly sockets: Set<Socket>;
  /** Reads nothing from now on. */
  stall(): void;
  close(): Promise<void>;
}

/** A TCP or Unix server that keeps what it hears. */
async function collect(at: { path: string } | { port: number }): Promise<Collector> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  let stalled = false;
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    if (!stalled) socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  });
  if ('path' in at) server.listen(at.path);
  else server.listen(at.port, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  ends.push(close);
  return {
    port: 'path' in at ? 0 : (server.address() as AddressInfo).port,
    path: 'path' in at ? at.path : '',
    text: () => Buffer.concat(chunks).toString(),
    sockets,
    stall() {
      stalled = true;
      for (const socket of sockets) socket.pause();
    },
    close,
  };
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const open = (type: string, options: Record<string, string>, sockets: readonly string[] = []) =>
  sinkOpener({ clock: systemClock, openLink: auditLinks(everywhere, sockets) })(
    'x/',
    readSettings({ type, options }).target,
  );

describeSink('a TCP socket', async () => {
  const collector = await collect({ port: 0 });
  const sink = await open('socket', { address: `127.0.0.1:${collector.port}` });
  return { sink, arrived: () => linesOf(collector.text()), end: collector.close };
});

describeSink('a Unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-link-'));
  const collector = await collect({ path: join(folder, 's') });
  const options = { address: collector.path, socket_type: 'unix' };
  const sink = await open('socket', options, [collector.path]);
  return {
    sink,
    arrived: () => linesOf(collector.text()),
    async end() {
      await collector.close();
      rmSync(folder, { recursive: true });
    },
  };
});

describeSink('a UDP socket', async () => {
  const socket = createSocket('udp4');
  const chunks: string[] = [];
  socket.on('message', (message) => chunks.push(message.toString()));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const options = { address: `127.0.0.1:${socket.address().port}`, socket_type: 'udp' };
  return {
    sink: await open('socket', options),
    arrived: () => linesOf(chunks.join('')),
    end: async () => void socket.close(),
    longestLine: 60_000,
  };
});

describeSink('syslog over TCP', async () => {
  const collector = await collect({ port: 0 });
  const sink = await open('syslog', { address: `127.0.0.1:${collector.port}` });
  return { sink, arrived: () => unframed(collector.text()), end: collector.close };
});

/** Takes messages apart by the number of bytes before each (RFC 6587). */
function unframed(text: string): string[] {
  const bytes = Buffer.from(text);
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(' ', at);
    const length = Number(bytes.subarray(at, blank).toString());
    const message = bytes.subarray(blank + 1, blank + 1 + length).toString();
    found.push(message.slice(message.indexOf('{')));
    at = blank + 1 + length;
  }
  return found;
}

describe('where it may connect to', () => {
  const judged = (allow: DialOptions['allow']): DialOptions => ({ ...everywhere, allow });
  const signal = new AbortController().signal;

  it('is judged by the address, before anything is sent', async () => {
    const collector = await collect({ port: 0 });
    const asked: string[] = [];
    const link = auditLinks(
      judged(({ host, ip }) => {
        asked.push(`${host} ${ip}`);
        return false;
      }),
    );
    const target = { network: 'tcp', host: 'localhost', port: collector.port } as const;
    await expect(link(target, signal)).rejects.toMatchObject({ code: 'dial.refused' });
    expect(asked).toContain('localhost 127.0.0.1');
    expect(collector.sockets.size).toBe(0);
    await expect(link({ ...target, network: 'udp' }, signal)).rejects.toMatchObject({ code: 'dial.refused' });
  });
  it('never is a machine that keeps the keys of a cloud', async () => {
    const target = { network: 'tcp', host: '169.254.169.254', port: 80 } as const;
    await expect(auditLinks(everywhere)(target, signal)).rejects.toMatchObject({ code: 'dial.refused' });
  });
  it('is no Unix socket that is not on the list', async () => {
    await expect(
      auditLinks(everywhere)({ network: 'unix', path: '/run/docker.sock' }, signal),
    ).rejects.toThrow('the socket /run/docker.sock is not on the list');
  });
  it('that nobody listens at is told', async () => {
    const collector = await collect({ port: 0 });
    await collector.close();
    const target = { network: 'tcp', host: '127.0.0.1', port: collector.port } as const;
    await expect(auditLinks(everywhere)(target, signal)).rejects.toThrow(
      `cannot reach 127.0.0.1:${collector.port}: ECONNREFUSED`,
    );
    const missing = { network: 'unix', path: '/nowhere/s' } as const;
    await expect(auditLinks(everywhere, ['/nowhere/s'])(missing, signal)).rejects.toThrow(
      'cannot connect to /nowhere/s: ENOENT',
    );
  });
});

describe('a device over a socket', () => {
  const request = { id: 'r', operation: 'read', path: 'secret/x', remote: { address: '', port: 0 } };
  const config = (port: number, more: Record<string, string> = {}) => ({
    type: 'socket',
    description: '',
    options: { address: `127.0.0.1:${port}`, write_timeout: '2s', ...more },
    local: false,
  });
  const newBroker = () => {
    const storage = new MemoryBackend();
    const openLink = auditLinks(everywhere);
    const broker = createAuditBroker({ storage, clock: systemClock, log: silentLog, openLink });
    ends.push(() => broker.close());
    return broker;
  };
  const ask = (broker: ReturnType<typeof newBroker>, id = 'r') =>
    broker.record('request', { request: { ...request, id } });

  it('is tested before it is enabled, unless somebody says not to', async () => {
    const collector = await collect({ port: 0 });
    const broker = newBroker();
    await broker.enable('up/', config(collector.port));
    await vi.waitFor(() => expect(collector.text()).toContain('"path":"sys/audit/test"'));
    await collector.close();
    await expect(broker.enable('down/', config(collector.port))).rejects.toMatchObject({
      code: 'audit.test_failed',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(broker.list().map(({ path }) => path)).toEqual(['up/']);
    await broker.enable('down/', config(collector.port, { skip_test: 'true' }));
    expect(broker.list()).toHaveLength(2);
  });

  it('refuses requests while the collector is away, and goes on by itself when it is back', async () => {
    const first = await collect({ port: 0 });
    const broker = newBroker();
    await broker.enable('socket/', config(first.port));
    await ask(broker);
    const before = first.text;
    await first.close();
    await vi.waitFor(() => expect(ask(broker)).rejects.toMatchObject({ code: 'audit.failed' }));
    const second = await collect({ port: first.port });
    await ask(broker, 'back');
    await vi.waitFor(() => expect(second.text()).toContain('"id":"back"'));
    const all = [...linesOf(before()), ...linesOf(second.text())];
    const findings = verifyChain(all, { anchors: await broker.anchors('socket/') });
    // What was sent into a connection that had just died is lost, and the anchored head says so; nothing else is.
    expect(findings.filter(({ kind }) => kind !== 'missing')).toEqual([]);
  });

  it('that takes nothing holds up a request for write_timeout, and not at all where another device took it', async () => {
    const collector = await collect({ port: 0 });
    const other = await collect({ port: 0 });
    const broker = newBroker();
    await broker.enable('stuck/', config(collector.port, { write_timeout: '400ms' }));
    await vi.waitFor(() => expect(collector.sockets.size).toBe(1));
    collector.stall();
    const data = { text: 'x'.repeat(20_000_000) };
    const clear = { request: ['text'], response: [] };
    await expect(broker.record('request', { request: { ...request, data }, clear })).rejects.toMatchObject({
      code: 'audit.failed',
    });
    await broker.enable('free/', config(other.port));
    await Promise.all(Array.from({ length: 20 }, (_, i) => ask(broker, `free-${i}`)));
    await vi.waitFor(() => expect(other.text()).toContain('"id":"free-19"'));
  });
});

it('sends nothing for a line that is too long for a datagram, and says so', async () => {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  ends.push(async () => void socket.close());
  const options = { address: `127.0.0.1:${socket.address().port}`, socket_type: 'udp' };
  const sink = await open('socket', options);
  await expect(sink.append(utf8(`${'x'.repeat(70_000)}\n`))).rejects.toMatchObject({ code: 'EMSGSIZE' });
  await sink.close();
});
