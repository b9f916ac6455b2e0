import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDial, createMayReach } from './dial.ts';

let server: Server;
let port: number;
const seen: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`);
    if (request.url === '/redirect') response.writeHead(302, { location: '/elsewhere' }).end();
    else if (request.url === '/endless') for (let i = 0; i < 40; i++) response.write(Buffer.alloc(64 * 1024));
    else if (request.url === '/silent') return;
    else if (request.url === '/who')
      response.writeHead(401, { 'www-authenticate': 'Bearer resource="x"' }).end();
    else response.end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const asNamed = { target: (host: string, at: number) => ({ host, port: at }) };
const open = { ...asNamed, allow: () => true };

test('a name goes where the target says, and keeps its own Host', async () => {
  const dial = createDial({ ...open, target: () => ({ host: '127.0.0.1', port }) });
  const answer = await dial({ url: 'http://kubernetes.default.svc/x', method: 'GET' });
  expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([200, 'hello']);
  expect(seen.at(-1)).toBe('GET /x kubernetes.default.svc');
});

test('what the list does not allow is not connected to, by address or by name', async () => {
  const before = seen.length;
  const dial = createDial({ ...asNamed, allow: ({ ip }) => !ip.startsWith('127.') && ip !== '::1' });
  for (const host of ['127.0.0.1', 'localhost']) {
    await expect(dial({ url: `http://${host}:${port}/`, method: 'GET' })).rejects.toMatchObject({
      code: 'dial.refused',
    });
  }
  expect(seen.length).toBe(before);
});

test.each(['169.254.169.254', '[fe80::1]', '[::ffff:169.254.169.254]', '100.100.100.200', '[fd00:ec2::254]'])(
  'the metadata service at %s is refused, whatever the list says',
  async (host) => {
    await expect(createDial(open)({ url: `http://${host}/latest`, method: 'GET' })).rejects.toMatchObject({
      code: 'dial.refused',
    });
  },
);

test('a link-local address is connected to where the way is made for it, and only as far as it is allowed', async () => {
  const signal = AbortSignal.timeout(50);
  const ask = (allow: boolean) =>
    createDial({ ...asNamed, allow: () => allow, metadata: true })({
      // Of version 6 and without an interface: this machine itself says that there is no way.
      url: 'http://[fe80::1]/latest',
      method: 'GET',
      signal,
    });
  await expect(ask(false)).rejects.toMatchObject({ code: 'dial.refused' });
  await expect(ask(true)).rejects.toMatchObject({ code: 'dial.unreachable' });
});

test('what the other side wants to be shown is told', async () => {
  const answer = await createDial(open)({ url: `http://127.0.0.1:${port}/who`, method: 'GET' });
  expect(answer).toMatchObject({ status: 401, challenge: 'Bearer resource="x"' });
});

test('a redirect is an answer, not a way', async () => {
  expect((await createDial(open)({ url: `http://127.0.0.1:${port}/redirect`, method: 'GET' })).status).toBe(
    302,
  );
  expect(seen.at(-1)).toContain('/redirect');
});

test('an answer without end is cut off', async () => {
  await expect(
    createDial(open)({ url: `http://127.0.0.1:${port}/endless`, method: 'GET' }),
  ).rejects.toMatchObject({ code: 'dial.too_large' });
});

test('an answer that never comes is not waited for', async () => {
  await expect(
    createDial(open)({ url: `http://127.0.0.1:${port}/silent`, method: 'GET', timeoutMs: 50 }),
  ).rejects.toThrow('no answer in time');
});

test('where the way out may lead is told beforehand, by the same list', async () => {
  const asked: string[] = [];
  const mayReach = createMayReach({
    ...asNamed,
    allow({ host, port: at, ip }) {
      asked.push(`${host}:${at} ${ip}`);
      return (host === 'nowhere.invalid' && at === 443) || (ip === '127.0.0.1' && at === 8080);
    },
  });
  expect(await mayReach('http://127.0.0.1:8080/x')).toBe(true);
  expect(await mayReach('http://localhost:8080')).toBe(true);
  expect(await mayReach('http://127.0.0.1')).toBe(false);
  expect(await mayReach('https://nowhere.invalid')).toBe(true);
  expect(asked.at(-1)).toBe('nowhere.invalid:443 ');
  expect(await mayReach('https://nowhere.invalid:8443')).toBe(false);
  expect(await mayReach('no URL')).toBe(false);
  expect(await createMayReach(open)('http://169.254.169.254/latest')).toBe(false);
});
