import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { cubbyhole } from '../../engines/cubbyhole/index.ts';
import { kv } from '../../engines/kv/index.ts';
import { rawRequest, startServer, type TestServer } from '../testing.ts';
import { type Listener, listen } from './listener.ts';

const CANARY = 'canary-77aa01';
let here: TestServer;
let both: Listener;
let secure: Listener;

beforeAll(async () => {
  here = await startServer([kv, cubbyhole], { listen: { bodyLimit: 1024 * 1024 } });
  await here.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
  await here.ask('POST', 'secret/data/a/b', { data: { x: CANARY } });
  const tls = await certificate();
  both = await listen(here.server, { host: '127.0.0.1', port: 0, tls, plainToo: true });
  secure = await listen(here.server, { host: '127.0.0.1', port: 0, tls });
});
afterAll(async () => {
  await both.close(50);
  await secure.close(50);
  await here.close();
});

const message = (method: string, path: string, { body = '', headers = '', last = false } = {}): string =>
  `${method} /v1/${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${here.root}\r\n${headers}${last ? 'Connection: close\r\n' : ''}${body === '' ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body}`;
const statuses = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? '');

describe('the verb LIST', () => {
  const sequence = (): [string, string[]] => [
    message('LIST', 'secret/metadata'),
    [
      message('GET', 'secret/data/a/b'),
      message('LIST', 'secret/metadata/a/'),
      message('POST', 'secret/data/c', { body: '{"data":{"n":1}}' }),
      message('LIST', 'secret/metadata'),
      message('LIST', 'secret/metadata/none', { last: true }),
    ],
  ];
  const wanted = ['200', '200', '200', '200', '200', '404'];

  it.each([
    ['a plain socket', () => here.listener.address.port, false],
    ['a TLS socket', () => secure.address.port, true],
    ['one port for both, plain', () => both.address.port, false],
    ['one port for both, TLS', () => both.address.port, true],
  ] as const)('is answered over %s that is kept alive', async (_name, port, tls) => {
    const [first, more] = sequence();
    const text = await rawRequest(port(), first, { more, tls });
    expect(statuses(text)).toEqual(wanted);
    expect(text).toContain('"keys":["a/"');
    expect(text).toContain('"keys":["b"]');
  });

  it('behind a request that is not answered yet is refused, and the connection with it', async () => {
    const text = await rawRequest(
      here.listener.address.port,
      message('GET', 'secret/data/a/b') + message('LIST', 'secret/metadata'),
    );
    expect(statuses(text).at(-1)).toBe('400');
    expect(text).not.toContain('"keys"');
  });

  it('works many times on one connection', async () => {
    const one = message('LIST', 'secret/metadata/a');
    const text = await rawRequest(here.listener.address.port, one, {
      more: [...Array.from({ length: 40 }, () => one), message('LIST', 'secret/metadata/a', { last: true })],
    });
    expect(statuses(text)).toEqual(Array.from({ length: 42 }, () => '200'));
  });
});

describe('one connection of many callers', () => {
  const reader = async (): Promise<string> => {
    await here.ask('PUT', 'sys/policies/acl/reader', {
      policy: 'path "secret/data/a/*" { capabilities = ["read"] }',
    });
    const made = await here.ask('POST', 'auth/token/create', {
      policies: ['reader'],
      no_default_policy: true,
    });
    return made.json.auth.client_token;
  };
  const read = (token: string, headers = ''): string =>
    `GET /v1/secret/data/a/b HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n${headers}\r\n`;

  it('gives each what is his, however they take turns', async () => {
    const mine = await reader();
    const other = `${mine.slice(0, -1)}${mine.endsWith('x') ? 'y' : 'x'}`;
    const text = await rawRequest(here.listener.address.port, read(mine), {
      more: [
        read(mine),
        read(other),
        read(other),
        read(mine),
        read(here.root),
        read(mine, 'Connection: close\r\n'),
      ],
    });
    expect(statuses(text)).toEqual(['200', '200', '403', '403', '200', '200', '200']);
  });

  it.each([
    [
      'the token is revoked',
      (token: string) => message('POST', 'auth/token/revoke', { body: JSON.stringify({ token }) }),
    ],
    [
      'the policy is changed',
      () =>
        message('PUT', 'sys/policies/acl/reader', {
          body: JSON.stringify({ policy: 'path "x" { capabilities = ["read"] }' }),
        }),
    ],
  ])('refuses the very next request once %s', async (_name, change) => {
    const mine = await reader();
    const text = await rawRequest(here.listener.address.port, read(mine), {
      more: [read(mine), read(mine), change(mine), read(mine), read(mine, 'Connection: close\r\n')],
    });
    expect(statuses(text)).toEqual(['200', '200', '200', '204', '403', '403']);
  });

  it('takes a header more for what it says', async () => {
    const mine = await reader();
    const text = await rawRequest(here.listener.address.port, read(mine), {
      more: [
        read(mine),
        read(mine, 'X-Vault-Wrap-TTL: 60\r\n'),
        read(mine),
        read(mine, 'Origin: https://elsewhere.example\r\n'),
        read(mine, 'Connection: close\r\n'),
      ],
    });
    expect(statuses(text)).toEqual(['200', '200', '200', '200', '403', '200']);
    expect(text.split(CANARY)).toHaveLength(5);
  });
});

describe('what is not one clear message', () => {
  it.each([
    ['two lengths', 'POST', 'Content-Length: 4\r\nContent-Length: 5\r\n', 'abcd'],
    ['a length and chunks', 'POST', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'],
    ['chunks in an unknown dress', 'POST', 'Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'],
    ['a folded header', 'GET', 'X-A: b\r\n c: d\r\nX\u0000: y\r\n', ''],
    ['LIST with two lengths', 'LIST', 'Content-Length: 4\r\nContent-Length: 5\r\n', 'abcd'],
  ])('is refused: %s', async (_name, method, headers, body) => {
    const text = await rawRequest(
      here.listener.address.port,
      `${method} /v1/secret/metadata HTTP/1.1\r\nHost: x\r\nX-Vault-Token: ${here.root}\r\n${headers}\r\n${body}`,
    );
    expect(statuses(text)).toEqual(['400']);
  });

  it('hides no second request in the body of a LIST', async () => {
    const inner = message('GET', 'secret/data/a/b');
    const text = await rawRequest(
      here.listener.address.port,
      message('LIST', 'secret/metadata', { body: inner }),
    );
    expect(statuses(text)).toEqual(['200']);
    expect(text).not.toContain(CANARY);
  });

  it('answers bytes that are no HTTP with 400 and ends', async () => {
    expect(statuses(await rawRequest(here.listener.address.port, 'NOPE\r\n\r\n'))).toEqual(['400']);
    expect(statuses(await rawRequest(here.listener.address.port, 'LISTEN / HTTP/1.1\r\n\r\n'))).toEqual([
      '400',
    ]);
  });

  it('knows no other verb and no other place', async () => {
    expect(
      statuses(
        await rawRequest(here.listener.address.port, message('PROPFIND', 'secret/data/a/b', { last: true })),
      ),
    ).toEqual(['405']);
    const raw = await rawRequest(
      here.listener.address.port,
      'GET /v2/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    expect(raw).toContain('404');
    expect(raw.endsWith('{"errors":[]}')).toBe(true);
  });
});

describe('a body', () => {
  const body = JSON.stringify({ data: { text: 'é'.repeat(500) } });
  const head = (more: string): string =>
    `POST /v1/secret/data/pieces HTTP/1.1\r\nHost: x\r\nX-Vault-Token: ${here.root}\r\nConnection: close\r\n${more}\r\n\r\n`;
  const byLength = (): string => head(`Content-Length: ${Buffer.byteLength(body)}`) + body;
  const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  const byChunks = (): string =>
    `${head('Transfer-Encoding: chunked')}${chunk(body.slice(0, 99))}${chunk(body.slice(99))}0\r\n\r\n`;

  it.each([
    ['with its head', byLength, []],
    ['in chunks with its head', byChunks, []],
    ['behind its head', byLength, [-body.length]],
    ['in pieces', byLength, [-300, -1]],
    ['in chunks, the last of them late', byChunks, [-5]],
  ])('is the same whether it comes: %s', async (_name, whole, cuts) => {
    const pieces = [0, ...cuts].map((from, at) => whole().slice(from, cuts[at]));
    const socket = connect(here.listener.address.port, '127.0.0.1');
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await closed;
    expect(statuses(text)).toEqual(['200']);
    const read = await rawRequest(
      here.listener.address.port,
      message('GET', 'secret/data/pieces', { last: true }),
    );
    expect(Buffer.from(read, 'latin1').toString()).toContain(body.slice('{"data":'.length, -1));
  });

  it('that is not there is refused as one that lacks what is asked for', async () => {
    const text = await rawRequest(here.listener.address.port, head('Content-Length: 0'));
    expect(statuses(text)).toEqual(['400']);
  });
});

describe('bounds that hold for everybody', () => {
  it('refuse a body by its announced length before it is sent, without a token', async () => {
    const text = await rawRequest(
      here.listener.address.port,
      `POST /v1/secret/data/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${100 * 1024 * 1024}\r\n\r\n`,
    );
    expect(statuses(text)).toEqual(['413']);
  });

  it('refuse a body of chunks as soon as it is too long', async () => {
    const chunk = `${(64 * 1024).toString(16)}\r\n${'a'.repeat(64 * 1024)}\r\n`;
    const text = await rawRequest(
      here.listener.address.port,
      `POST /v1/secret/data/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}`,
    );
    expect(statuses(text)).toEqual(['413']);
  });

  it('refuse a header that is too long', async () => {
    const text = await rawRequest(
      here.listener.address.port,
      message('GET', 'sys/health', { headers: `X-A: ${'a'.repeat(64 * 1024)}\r\n` }),
    );
    expect(statuses(text)).toEqual(['431']);
  });

  it('refuse a path that is too long', async () => {
    expect((await here.ask('GET', `secret/data/${'a'.repeat(3000)}`)).status).toBe(400);
  });
});

describe('a page of another origin', () => {
  it.each(['https://evil.example', 'null', 'http://127.0.0.1:1', 'garbage'])(
    'is refused: %s',
    async (origin) => {
      for (const method of ['GET', 'POST']) {
        const text = await rawRequest(
          here.listener.address.port,
          message(method, 'sys/health', { headers: `Origin: ${origin}\r\n`, last: true }),
        );
        expect(statuses(text)).toEqual(['403']);
        expect(text.toLowerCase()).not.toContain('access-control-allow');
      }
    },
  );

  it('is told apart from a page of our own', async () => {
    const text = await rawRequest(
      here.listener.address.port,
      message('GET', 'sys/health', { headers: 'Origin: http://127.0.0.1\r\n', last: true }),
    );
    expect(statuses(text)).toEqual(['200']);
  });

  it('does not get in by a host name that is not ours', async () => {
    const dev = await listen(here.server, {
      host: '127.0.0.1',
      port: 0,
      allowedHosts: ['127.0.0.1', 'localhost'],
    });
    const ask = async (host: string) =>
      statuses(
        await rawRequest(
          dev.address.port,
          `GET /v1/sys/health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
        ),
      );
    expect(await ask('localhost:8200')).toEqual(['200']);
    expect(await ask('rebound.example:8200')).toEqual(['403']);
    await dev.close(50);
  });
});

describe('the listener', () => {
  it('says which address is in use', async () => {
    const { port } = here.listener.address;
    await expect(listen(here.server, { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'listener.in_use',
    });
  });

  it('closes while a connection is kept alive', async () => {
    const one = await listen(here.server, { host: '127.0.0.1', port: 0 });
    const kept = rawRequest(one.address.port, message('GET', 'sys/health'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await one.close(2000);
    expect(statuses(await kept)).toEqual(['200']);
  });
});

describe('the event socket', () => {
  const open = async (query: string, token: string) => {
    const socket = new WebSocket(
      `ws://127.0.0.1:${here.listener.address.port}/v1/sys/events/subscribe/${query}`,
      {
        headers: { 'x-vault-token': token },
      },
    );
    const got: { event_type: string; path: string | undefined }[] = [];
    const revisions: string[] = [];
    const closed = new Promise<number>((resolve) => socket.on('close', (code) => resolve(code)));
    socket.on('message', (data) => {
      const sent = JSON.parse(String(data));
      revisions.push(sent.revision);
      const { event, event_type } = sent.data;
      got.push({ event_type, path: event.metadata.path });
      expect(String(data)).not.toContain(CANARY);
    });
    const ready = await new Promise<'open' | number>((resolve) => {
      socket.on('open', () => resolve('open'));
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
      socket.on('error', () => {});
    });
    return { socket, got, revisions, closed, ready };
  };
  const token = async (name: string, policy: string): Promise<string> => {
    await here.ask('PUT', `sys/policies/acl/${name}`, { policy });
    return (await here.ask('POST', 'auth/token/create', { policies: [name] })).json.auth.client_token;
  };
  const LISTENER = `path "sys/events/subscribe/*" { capabilities = ["read"] }
    path "secret/data/seen/*" { capabilities = ["subscribe"]\n subscribe_event_types = ["*"] }`;

  it('tells of what the listener may hear of, of nothing else, and never a value', async () => {
    const { got, ready, socket } = await open('kv*?json=true', await token('hears', LISTENER));
    expect(ready).toBe('open');
    await here.ask('POST', 'secret/data/unseen/x', { data: { v: CANARY } });
    await here.ask('POST', 'secret/data/seen/x', { data: { v: CANARY } });
    await expect.poll(() => got.length).toBe(1);
    expect(got[0]?.event_type).toBe('kv-v2/data-write');
    socket.close();
  });

  it('is refused to who has no token, may not, or asks for what is not sent', async () => {
    expect((await open('kv*?json=true', 'nobody')).ready).toBe(403);
    expect(
      (await open('kv*?json=true', await token('deaf', 'path "x" { capabilities = ["read"] }'))).ready,
    ).toBe(403);
    expect((await open('kv*', here.root)).ready).toBe(400);
    expect((await open('kv*?json=true&after=x', here.root)).ready).toBe(400);
  });

  it('ends when the token is revoked, and when the right to listen goes', async () => {
    const one = await token('ends', LISTENER);
    const first = await open('kv*?json=true', one);
    await here.ask('POST', 'auth/token/revoke', { token: one });
    expect(await first.closed).toBe(4401);
    const second = await open('kv*?json=true', await token('ends', LISTENER));
    await here.ask('DELETE', 'sys/policies/acl/ends');
    expect(await second.closed).toBe(4401);
  });

  it('resumes after a revision with all that came since', async () => {
    const first = await open('kv*?json=true', here.root);
    await here.ask('POST', 'secret/data/seen/r1', { data: { v: 1 } });
    await expect.poll(() => first.revisions.length).toBe(1);
    first.socket.terminate();
    await here.ask('POST', 'secret/data/seen/r2', { data: { v: 1 } });
    await here.ask('POST', 'secret/data/seen/r3', { data: { v: 1 } });
    const second = await open(`kv*?json=true&after=${first.revisions[0]}`, here.root);
    await expect
      .poll(() => second.got.map(({ path }) => path))
      .toEqual(['secret/data/seen/r2', 'secret/data/seen/r3']);
    second.socket.close();
  });

  it('says gone for one that is no longer kept', async () => {
    const first = await open('kv*?json=true&after=0', here.root);
    expect(await first.closed).toBe(4410);
  });
});

async function certificate(): Promise<{ cert: string; key: string }> {
  const issued = await issueCertificate(await createAuthority('test'), {
    names: ['localhost'],
    ips: ['127.0.0.1'],
  });
  return { cert: issued.certificate, key: issued.key };
}
