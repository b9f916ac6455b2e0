import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { createDial, createMayReach, type DialOptions } from '../../server/http/dial.ts';
import { startServer, type TestReply, type TestServer } from '../../server/testing.ts';
import { custom } from './index.ts';

const API_KEY = 'canary-api-key';

interface Account {
  readonly name: string;
  readonly password: string;
  ttl: number;
}

/** A vSphere that keeps accounts by the key that they were made under. */
class FakeVsphere {
  readonly accounts = new Map<string, Account>();
  readonly requests: { line: string; headers: IncomingMessage['headers']; body: string }[] = [];
  /** Answers instead; `work` is what the source would have done and answered. */
  behave: ((line: string, work: () => [number, string]) => Promise<[number, string]> | 'hang') | undefined;
  readonly #server: Server;
  port = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        const body = Buffer.concat(chunks).toString();
        const line = `${request.method} ${request.url}`;
        this.requests.push({ line, headers: request.headers, body });
        const work = () => this.#answer(line, request, body);
        const answer = this.behave?.(line, work) ?? work();
        if (answer === 'hang') return;
        const [status, text] = await answer;
        response.writeHead(status, { location: '/elsewhere', 'content-type': 'application/json' }).end(text);
      });
    });
  }

  #answer(line: string, request: IncomingMessage, body: string): [number, string] {
    if (request.headers['x-api-key'] !== API_KEY) return [401, '{}'];
    const key = String(request.headers['idempotency-key']);
    if (line === 'POST /api/accounts') {
      const { name, password, ttl } = JSON.parse(body);
      if (!this.accounts.has(key)) this.accounts.set(key, { name, password, ttl });
      return [201, JSON.stringify({ account: { id: 7, name: `${name}@vsphere.local`, note: null } })];
    }
    const found = this.accounts.get(key);
    if (found === undefined || !line.includes(key)) return [404, '{}'];
    if (line.startsWith('POST')) {
      found.ttl = JSON.parse(body).ttl;
      return [204, ''];
    }
    this.accounts.delete(key);
    return [204, ''];
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const ROLE = {
  create: {
    method: 'POST',
    path: '/api/accounts',
    body: { name: '{{username}}', password: '{{password}}', ttl: '{{ttl}}', until: '{{expires_at}}' },
    expect: [201],
    response: { username: '/account/name' },
  },
  renew: { method: 'POST', path: '/api/accounts/{{key}}/renew', body: '{"ttl": {{ttl}}}' },
  revoke: { method: 'DELETE', path: '/api/accounts/{{key}}?role={{role}}' },
  fields: { password: '{{password}}', lease_duration: '{{ttl}}', server: 'vc.example.com' },
  default_ttl: '1h',
  max_ttl: '4h',
};

let vsphere: FakeVsphere;
let clock: ManualClock;
let server: TestServer;

const ask = (method: string, path: string, body?: unknown): Promise<TestReply> =>
  server.ask(method, `vsphere/${path}`, body);
const read = (role = 'dynamic-role') => ask('GET', `creds/${role}`);
const revoke = (lease_id: string) => server.ask('POST', 'sys/leases/revoke', { lease_id, sync: true });
const leases = async (): Promise<string[]> =>
  (await server.ask('LIST', 'sys/leases/lookup/vsphere/creds/dynamic-role')).json?.data?.keys ?? [];
/** Lets what runs by itself run: what is due is asked of the source over a socket. */
async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const errorOf = ({ status, json }: TestReply) => ({ status, error: json?.errors?.[0] });

beforeEach(async () => {
  vsphere = new FakeVsphere();
  await vsphere.start();
  clock = new ManualClock();
  const wayOut: DialOptions = {
    target: (host, port) => ({ host, port }),
    allow: ({ ip, port }) => ip === '127.0.0.1' && port === vsphere.port,
  };
  server = await startServer([custom], {
    clock,
    dial: createDial(wayOut),
    mayReach: createMayReach(wayOut),
  });
  await server.ask('POST', 'sys/mounts/vsphere', { type: 'custom' });
  const config = await ask('POST', 'config', {
    address: `http://127.0.0.1:${vsphere.port}`,
    headers: { 'X-Api-Key': '{{secret.api_key}}' },
    secrets: { api_key: API_KEY },
    timeout: '1s',
  });
  expect(errorOf(config)).toEqual({ status: 204, error: undefined });
  const role = await ask('POST', 'roles/dynamic-role', ROLE);
  expect(errorOf(role)).toEqual({ status: 204, error: undefined });
});
afterEach(async () => {
  await server.close();
  await vsphere.stop();
});

describe('a credential', () => {
  test('is made for who reads vsphere/creds/dynamic-role, and taken away with its lease', async () => {
    const { status, json } = await read();
    expect(status).toBe(200);
    const [[key, account] = ['', undefined]] = [...vsphere.accounts];
    expect(json.lease_id).toMatch(/^vsphere\/creds\/dynamic-role\/\w{24}$/);
    expect(json).toMatchObject({ lease_duration: 3600, renewable: true, mount_type: 'custom' });
    expect(json.data).toEqual({
      username: `${account?.name}@vsphere.local`,
      password: account?.password,
      lease_duration: '3600',
      server: 'vc.example.com',
    });
    expect(account?.name).toMatch(/^v-root-dynamic--\w{20}-\d+$/);
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(JSON.parse(vsphere.requests[0]?.body ?? '').until).toBe('2026-01-01T01:00:00.000Z');
    expect(vsphere.requests[0]?.headers['content-type']).toBe('application/json');

    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(vsphere.accounts.size).toBe(0);
    expect(vsphere.requests.at(-1)?.line).toBe(`DELETE /api/accounts/${key}?role=dynamic-role`);
    expect(vsphere.requests.at(-1)?.headers['idempotency-key']).toBe(key);
  });

  test('is another one for each who asks', async () => {
    const replies = await Promise.all([read(), read(), read()]);
    expect(new Set(replies.map(({ json }) => json.data.username)).size).toBe(3);
    expect(vsphere.accounts.size).toBe(3);
  });

  test('is prolonged at the source when its lease is, as far as the role allows', async () => {
    const { json } = await read();
    clock.advance(30 * 60_000);
    const renew = (increment: string) =>
      server.ask('POST', 'sys/leases/renew', { lease_id: json.lease_id, increment });
    expect((await renew('2h')).json).toMatchObject({ lease_duration: 7200, renewable: true });
    expect([...vsphere.accounts.values()][0]?.ttl).toBe(7200);
    clock.advance(60 * 60_000);
    expect((await renew('24h')).json.lease_duration).toBe(9000);
    expect([...vsphere.accounts.values()][0]?.ttl).toBe(9000);
    vsphere.behave = async () => [500, ''];
    expect(errorOf(await renew('1h'))).toEqual({
      status: 503,
      error: 'the source did not prolong a credential: it answered with status 500',
    });
  });

  test('ends at the source when its lease ends, and the source is asked until it does', async () => {
    await read();
    let tries = 0;
    vsphere.behave = async (_line, work) => (++tries < 4 ? [500, ''] : work());
    clock.advance(3600_000);
    await eventually('four tries', async () => {
      clock.advance(1000);
      return tries >= 4;
    });
    await eventually('no lease', async () => (await leases()).length === 0);
    expect(vsphere.accounts.size).toBe(0);
  });

  test.each([200, 202, 204, 410])(
    'is gone when the source answers its revocation with %d',
    async (status) => {
      const { json } = await read();
      vsphere.behave = async () => [status, ''];
      expect((await revoke(json.lease_id)).status).toBe(204);
      expect(await leases()).toEqual([]);
    },
  );

  test.each([301, 302, 307, 400, 401, 403, 409, 429, 500, 503])(
    'is not gone when the source answers its revocation with %d',
    async (status) => {
      const { json } = await read();
      vsphere.behave = async () => [status, ''];
      expect(errorOf(await revoke(json.lease_id))).toEqual({
        status: 503,
        error: `the source did not take a credential away: it answered with status ${status}`,
      });
      expect(await leases()).toHaveLength(1);
    },
  );

  test('that the source does not know is gone only once no request for it can still be under way', async () => {
    const { json } = await read();
    vsphere.accounts.clear();
    expect((await revoke(json.lease_id)).status).toBe(503);
    clock.advance(121_000);
    expect((await revoke(json.lease_id)).status).toBe(204);
  });

  test('outlives its role and a new secret', async () => {
    const { json } = await read();
    await ask('DELETE', 'roles/dynamic-role');
    expect((await read()).json.errors).toEqual(['unknown role: dynamic-role']);
    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(vsphere.accounts.size).toBe(0);
  });

  test('is revoked by the role as it is now, so that a wrong request can be mended', async () => {
    await ask('POST', 'roles/dynamic-role', { revoke: { method: 'DELETE', path: '/api/wrong' } });
    const { json } = await read();
    clock.advance(130_000);
    vsphere.behave = async (line, work) => (line.includes('wrong') ? [500, ''] : work());
    expect((await revoke(json.lease_id)).status).toBe(503);
    await ask('POST', 'roles/dynamic-role', { revoke: ROLE.revoke });
    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(vsphere.accounts.size).toBe(0);
  });

  test('cannot be prolonged where the role says nothing of it', async () => {
    const { renew, ...rest } = ROLE;
    expect(renew).toBeDefined();
    await ask('DELETE', 'roles/dynamic-role');
    await ask('POST', 'roles/dynamic-role', rest);
    const { json } = await read();
    expect(json.renewable).toBe(false);
    expect((await server.ask('POST', 'sys/leases/renew', { lease_id: json.lease_id })).status).toBe(400);
  });

  test('never shows the secrets of the source in what can be read of it', async () => {
    await read();
    const texts = await Promise.all([
      ask('GET', 'config'),
      ask('GET', 'roles/dynamic-role'),
      ask('LIST', 'roles'),
      ask('GET', 'config?help=1'),
    ]);
    for (const { status, text } of texts) {
      expect(status).toBe(200);
      expect(text).not.toContain(API_KEY);
    }
    expect(texts[0]?.json.data).toEqual({
      address: `http://127.0.0.1:${vsphere.port}`,
      ca_cert: '',
      timeout: 1,
      header_names: ['X-Api-Key'],
      secret_names: ['api_key'],
    });
  });
});

describe('where the source fails, nothing stays behind', () => {
  const settled = async (): Promise<void> => {
    vsphere.behave = undefined;
    await eventually('no lease', async () => {
      clock.advance(10_000);
      return (await leases()).length === 0;
    });
    expect(vsphere.accounts.size).toBe(0);
  };
  const failing = async (behave: FakeVsphere['behave']) => {
    vsphere.behave = (line, work) =>
      line.startsWith('POST /api/accounts') ? (behave?.(line, work) ?? 'hang') : 'hang';
    const reply = errorOf(await read());
    await settled();
    return reply;
  };
  const NO_NAME = 'the answer of the source holds no usable text for the field username';

  test.each([
    ['refuses', [403, '{"password":"canary"}'], 'status 403'],
    ['fails', [500, ''], 'status 500'],
    ['leads elsewhere', [302, '{"account":{"name":"x"}}'], 'status 302'],
    ['answers another status of success than is expected', [200, '{"account":{"name":"x"}}'], 'status 200'],
  ] as const)('when it %s', async (_, [status, text], told) => {
    expect(await failing(async () => [status, text])).toEqual({
      status: 503,
      error: `the source did not make a credential: it answered with ${told}`,
    });
    expect(vsphere.requests.some(({ line }) => line.includes('elsewhere'))).toBe(false);
  });

  test('when it made the account, but says that it failed', async () => {
    const reply = await failing(async (_, work) => {
      work();
      return [500, ''];
    });
    expect(reply.status).toBe(503);
  });

  const account = (name: string) => `{"account":{"name":${name}}}`;
  test.each([
    ['nothing', ''],
    ['garbage', 'garbage'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['null on the way', '{"account":null}'],
    ['a number', account('7')],
    ['an empty text', account('""')],
    ['a list of texts', account('["x"]')],
    ['a text with a NUL', account('"a\\u0000b"')],
    ['half a surrogate pair', account('"\\ud800"')],
    ['what every object inherits', '{"account":{"__proto__":{"name":"x"}}}'],
    ['a text that is too long', account(`"${'x'.repeat(17_000)}"`)],
    ['a hundred levels', `${'['.repeat(100)}${']'.repeat(100)}`],
    ['two values', `${account('"x"')} {"more":1}`],
  ])('when it answers with %s', async (_, text) => {
    expect(
      await failing(async (_line, work) => {
        work();
        return [201, text];
      }),
    ).toEqual({ status: 503, error: NO_NAME });
  });

  test('when its answer has no end', async () => {
    const reply = await failing(async (_, work) => {
      work();
      return [201, `{"account":{"name":"x"},"more":"${'x'.repeat(2 * 1024 * 1024)}"}`];
    });
    expect(reply.error).toMatch(/^the answer of 127\.0\.0\.1:\d+ is larger than 1048576 bytes$/);
  });

  test('when it takes too long, even where it makes the account after it was told to take it away', async () => {
    let late: (() => unknown) | undefined;
    vsphere.behave = (_, work) => {
      late = work;
      return 'hang';
    };
    expect(errorOf(await read())).toMatchObject({ status: 503 });
    vsphere.behave = undefined;
    const before = vsphere.requests.length;
    await eventually('a first revocation', () => {
      clock.advance(1);
      return vsphere.requests.length > before;
    });
    expect(await leases()).toHaveLength(1);
    late?.();
    expect(vsphere.accounts.size).toBe(1);
    await settled();
  });

  test('when the lease is revoked while the account is being made', async () => {
    let revoking: Promise<TestReply> | undefined;
    vsphere.behave = async (line, work) => {
      if (line === 'POST /api/accounts') {
        const [key = ''] = await leases();
        revoking = revoke(`vsphere/creds/dynamic-role/${key}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return work();
    };
    await read();
    expect((await revoking)?.status).toBe(204);
    expect(vsphere.accounts.size).toBe(0);
  });

  test('when this server dies between the lease and the request, or before the answer', async () => {
    const making: Promise<unknown>[] = [];
    vsphere.behave = (line, work) => {
      if (line === 'POST /api/accounts') work();
      return 'hang';
    };
    making.push(read().catch(() => undefined));
    await eventually('the account', () => vsphere.accounts.size === 1);
    expect(await leases()).toHaveLength(1);
    const { backend, keys } = server;
    // The old one hangs on for its answer; what it wrote is all that the new one has.
    vsphere.behave = undefined;
    const wayOut: DialOptions = { target: (host, port) => ({ host, port }), allow: () => true };
    const { createServer: createCore } = await import('../../server/server.ts');
    const { silentLog } = await import('../../base/log.ts');
    const audit = {
      enabled: true,
      record: async () => {},
      enable: async () => {},
      disable: async () => {},
      list: () => [],
      hash: async () => '',
    };
    const heir = await createCore({
      backend,
      plugins: [custom],
      clock,
      log: silentLog,
      dial: createDial(wayOut),
      audit: async () => audit,
    });
    for (const share of keys) await heir.seal.submit(share);
    clock.advance(3700_000);
    await eventually('the heir takes the account away', () => vsphere.accounts.size === 0);
    await heir.close();
    await Promise.all(making);
  });

  test('and what cannot be sent is told before there is a lease', async () => {
    await ask('POST', 'config', { secrets: { bad: 'a\r\nx-evil: 1', dots: '..', nothing: '' } });
    const before = vsphere.requests.length;
    for (const [create, error] of [
      [
        { headers: { 'x-a': '{{secret.bad}}' } },
        'the values make no valid request: the header x-a cannot hold one of them',
      ],
      [
        { path: '/api/{{secret.dots}}/x' },
        'the values make no valid request: the path cannot hold one of them',
      ],
      [{ path: '/api/{{secret.gone}}' }, 'the role names the secret gone, which is not configured'],
    ] as const) {
      await ask('POST', 'roles/dynamic-role', { create: { ...ROLE.create, ...create } });
      expect(errorOf(await read())).toEqual({ status: 400, error });
    }
    expect(await leases()).toEqual([]);
    expect(vsphere.requests).toHaveLength(before);
    await ask('DELETE', 'config');
    expect(errorOf(await read())).toEqual({ status: 400, error: 'there is no source yet' });
  });
});

describe('the configuration', () => {
  const refusal = async (fields: object) => errorOf(await ask('POST', 'config', fields));

  test('names no address that the list of the server does not have', async () => {
    await ask('DELETE', 'config');
    for (const address of [
      'https://accounts.example.invalid',
      `http://127.0.0.1:1`,
      'https://169.254.169.254',
    ]) {
      const { status, error } = await refusal({ address });
      expect(status).toBe(400);
      expect(error).toMatch(
        /^[\w.]+:\d+ is not allowed by the egress stanza of the configuration file of the server$/,
      );
    }
    expect((await ask('GET', 'config')).status).toBe(404);
  });

  test.each([
    [
      { address: 'http://accounts.example.com' },
      'address must be https: only a source on this machine may be asked over http',
    ],
    [{ address: 'https://u:p@h' }, /^address must be a URL/],
    [{ address: 'nowhere' }, /^address must be a URL/],
    [{ ca_cert: 'x' }, 'ca_cert holds no certificates in PEM'],
    [{ timeout: '2m' }, 'timeout must be from 1s to 60s'],
    [{ headers: { 'a b': 'x' } }, 'a header has a name that no header may have'],
    [{ headers: { Host: 'x' } }, 'the header Host is set by the server itself'],
    [{ headers: { 'transfer-encoding': 'x' } }, 'the header transfer-encoding is set by the server itself'],
    [{ headers: { 'Idempotency-Key': 'x' } }, 'the header Idempotency-Key is set by the server itself'],
    [{ headers: { a: 'x\r\ny: z' } }, /^the header a may hold printable ASCII/],
    [{ headers: { a: '{{role}}' } }, /^the header a may hold printable ASCII/],
    [
      { headers: { a: '{{secret.none}}' } },
      'the header a names {{secret.none}}, which is not among the secrets',
    ],
    [
      { secrets: { api_key: '' } },
      'the header X-Api-Key names {{secret.api_key}}, which is not among the secrets',
    ],
    [{ secrets: { 'a.b': 'x' } }, 'a secret is named with letters, digits and "_"'],
  ])('%j is refused', async (fields, reason) => {
    const { status, error } = await refusal(fields);
    expect(status).toBe(400);
    const told = String(error).replace('the source cannot be configured so: ', '');
    if (typeof reason === 'string') expect(told).toBe(reason);
    else expect(told).toMatch(reason);
  });

  test('does not let secrets that stay be sent to another server', async () => {
    const address = `http://127.0.0.1:${vsphere.port}/elsewhere`;
    expect(await refusal({ address })).toEqual({
      status: 400,
      error: 'address or ca_cert cannot change while headers or secrets stay',
    });
    expect(await refusal({ address, secrets: { api_key: 'new' } })).toMatchObject({ status: 400 });
    const fresh = {
      headers: { 'x-api-key': '{{secret.api_key}} ', 'X-Api-Key': '' },
      secrets: { api_key: 'new' },
    };
    expect(await refusal({ address, ...fresh })).toEqual({ status: 204, error: undefined });
  });
});

describe('a role', () => {
  const refusal = async (change: object) => {
    const { status, json } = await ask('POST', 'roles/r', { ...ROLE, ...change });
    expect(status).toBe(400);
    expect((await ask('GET', 'roles/r')).status).toBe(404);
    return String(json.errors[0]).replace('the role cannot be used: ', '');
  };
  const create = (change: object) => ({ create: { ...ROLE.create, ...change } });
  const BODY = 'create: body must be JSON, with its places inside of strings; {{ttl}} may stand alone';
  const PATH = 'create: path must begin with "/" and hold only what a URL holds';
  const SPELLING =
    'create: path is not canonical: no empty, "." or ".." segment, nothing that a URL has in another spelling';

  test('is read back as it was written, also where it came as JSON in texts, as a command line sends it', async () => {
    const { data } = (await ask('GET', 'roles/dynamic-role')).json;
    expect(data).toMatchObject({ fields: ROLE.fields, default_ttl: 3600, max_ttl: 14_400 });
    expect(data.create).toEqual({
      ...ROLE.create,
      headers: {},
      body: '{"name":"{{username}}","password":"{{password}}","ttl":"{{ttl}}","until":"{{expires_at}}"}',
    });
    const text = (value: unknown) => JSON.stringify(value);
    await ask('POST', 'roles/text', {
      create: text(ROLE.create),
      renew: text(ROLE.renew),
      revoke: text(ROLE.revoke),
      fields: text(ROLE.fields),
      default_ttl: '1h',
      max_ttl: '4h',
    });
    expect((await ask('GET', 'roles/text')).json.data).toEqual(data);
    expect((await ask('LIST', 'roles')).json.data.keys).toEqual(['dynamic-role', 'text']);
  });

  test.each([
    [{ create: undefined }, /^create is required/],
    [{ revoke: undefined }, /^revoke is required/],
    [create({ path: 'api' }), PATH],
    [create({ path: '//evil.example/x' }), SPELLING],
    [create({ path: '/a/../b' }), SPELLING],
    [create({ path: '/a/%2e%2e/b' }), SPELLING],
    [create({ path: '/a#b' }), PATH],
    [create({ path: '/a b' }), PATH],
    [create({ path: '/a\\b' }), PATH],
    [create({ path: '/a{{username}' }), 'create: path has a "{{" that begins no place such as {{key}}'],
    [
      create({ path: '/a{{lease}}' }),
      'create: path has the place {{lease}}; known here are role, key, username, password, ttl, expires_at and secret.NAME',
    ],
    [
      { revoke: { ...ROLE.revoke, path: '/a/{{password}}' } },
      'revoke: path has the place {{password}}; known here are role, key, username and secret.NAME',
    ],
    [create({ headers: { a: 'x\ny' } }), 'create: the header a holds what no header may hold'],
    [
      create({ headers: { 'Content-Length': '1' } }),
      'create: the header Content-Length is set by the server itself',
    ],
    [create({ body: '{"a": {{username}}}' }), BODY],
    [create({ body: 'a={{username}}' }), BODY],
    [create({ body: '{' }), BODY],
    [create({ expect: [302] }), 'create: expect holds what is no status of success'],
    [create({ response: { username: 'account' } }), /^create.response must name a JSON pointer/],
    [create({ response: { username: '/a~2' } }), /^create.response must name a JSON pointer/],
    [create({ response: { __x: '/a' } }), 'a field has a name that it cannot have'],
    [create({ response: { password: '/a' } }), 'a field stands in create.response and in fields'],
    [{ ...create({ response: {} }), fields: {} }, 'one of create.response and fields must name a field'],
    [{ fields: { leak: '{{secret.api_key}}' } }, /^the field leak may have the places role, key/],
    [{ default_ttl: '5h' }, 'default_ttl must not be longer than max_ttl'],
    [{ username_template: '{{ nope }}' }, 'username_template: there is no function nope'],
  ])('%j is refused', async (change, reason) => {
    const told = await refusal(change);
    if (typeof reason === 'string') expect(told).toBe(reason);
    else expect(told).toMatch(reason);
  });

  test.each([
    create({ method: 'TRACE' }),
    create({ retries: 3 }),
    { create: 'POST /api' },
    { create: '{"method":' },
    { fields: { a: 1 } },
  ])('%j is no role at all', async (change) => {
    await refusal(change);
  });

  test.each(['a b', '-x', 'ä'])('cannot be called %j', async (name) => {
    expect((await ask('POST', `roles/${encodeURIComponent(name)}`, ROLE)).status).toBe(400);
  });
});
