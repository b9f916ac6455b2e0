/** The ways out that ACME challenges are looked at by: judged by the same list as every other. */

import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { probes } from './probes.ts';

const open = { target: (host: string, port: number) => ({ host, port }), allow: () => true };
const closed = { ...open, allow: () => false };
let names: Socket;
let asked = 0;
let silent: Server;

beforeAll(async () => {
  names = createSocket('udp4', (question, from) => {
    asked++;
    // NXDOMAIN for whatever is asked.
    const answer = Buffer.from(question);
    answer[2] = 0x84;
    answer[3] = 3;
    names.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => names.bind(0, '127.0.0.1', () => resolve()));
  silent = createServer((socket) => socket.end('this is no TLS'));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', () => resolve()));
});
afterAll(() => {
  names.close();
  silent.close();
});
const resolver = () => `127.0.0.1:${(names.address() as AddressInfo).port}`;

test('a name server off the list is not asked, nor one where clouds keep their keys', async () => {
  await expect(probes(closed).texts('x.test', resolver())).rejects.toMatchObject({ code: 'dial.refused' });
  await expect(probes(closed).addresses('x.test', resolver())).rejects.toMatchObject({
    code: 'dial.refused',
  });
  await expect(probes(open).texts('x.test', '169.254.169.254:53')).rejects.toMatchObject({
    code: 'dial.refused',
  });
  await expect(probes(open).texts('x.test', '[fd00:ec2::254]:53')).rejects.toMatchObject({
    code: 'dial.refused',
  });
  expect(asked).toBe(0);
});

test('a name that is not there has no records and no address', async () => {
  expect(await probes(open).texts('x.test', resolver())).toEqual([]);
  await expect(probes(open).addresses('x.test', resolver())).rejects.toMatchObject({
    code: 'dial.unreachable',
  });
  expect(asked).toBeGreaterThan(0);
});

test('a host off the list is shaken hands with by nobody, and one that speaks no TLS is told so', async () => {
  const { port } = silent.address() as AddressInfo;
  const request = { host: '127.0.0.1', port, servername: 'x.test', protocol: 'acme-tls/1', resolver: '' };
  await expect(probes(closed).handshake(request)).rejects.toMatchObject({ code: 'dial.refused' });
  await expect(probes(open).handshake(request)).rejects.toMatchObject({ code: 'dial.unreachable' });
  await expect(probes(open).handshake({ ...request, host: '169.254.169.254' })).rejects.toMatchObject({
    code: 'dial.refused',
  });
});
