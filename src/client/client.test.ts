import http from 'node:http';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { isFailure } from '../base/errors.ts';
import { Exact } from '../base/json.ts';
import { type ClientOptions, encodePath, problemOf, VaultClient } from './client.ts';
import { kvPatch, kvRead, list } from './kv.ts';

const CANARY = 'canary-s3cr3t-value';
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, body: string) => void;

async function serve(handler: Handler, options: Partial<ClientOptions> = {}) {
  const seen: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      handler(request, response, body);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const port = (server.address() as AddressInfo).port;
  const client = new VaultClient({
    address: `http://127.0.0.1:${port}`,
    retries: 0,
    retryWaitMs: 1,
    timeoutMs: 5000,
    ...options,
  });
  closing.push(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, seen, port };
}

const json = (response: http.ServerResponse, status: number, body: unknown, headers = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

const failureOf = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => undefined,
    (e) => e,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return error;
};

describe('requests', () => {
  test('a token, a namespace and a wrapping time go out as headers and change with the identity', async () => {
    const { client, seen } = await serve((_, response) => json(response, 200, { data: {} }));
    const named = client.with({ token: 'hvs.one', namespace: 'team', wrapTtl: '60' });
    await named.request('GET', 'secret/data/app');
    await named.with({ token: undefined, wrapTtl: undefined }).request('GET', 'secret/data/app');
    expect(seen[0]?.headers).toMatchObject({
      'x-vault-token': 'hvs.one',
      'x-vault-namespace': 'team',
      'x-vault-wrap-ttl': '60',
      'x-vault-request': 'true',
    });
    expect(seen[1]?.headers['x-vault-token']).toBeUndefined();
    expect(seen[1]?.headers['x-vault-wrap-ttl']).toBeUndefined();
    expect(seen[1]?.headers['x-vault-namespace']).toBe('team');
  });

  test('LIST goes out as GET with list=true and a trailing slash', async () => {
    const { client, seen } = await serve((_, response) =>
      json(response, 200, { data: { keys: ['a', 'b/'] } }),
    );
    expect(await list(client, 'secret/metadata/team')).toEqual(['a', 'b/']);
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/v1/secret/metadata/team/?list=true' });
  });

  test('a patch carries the media type that the API insists on', async () => {
    const { client, seen } = await serve((_, response) => json(response, 200, { data: { version: 2 } }));
    expect((await kvPatch(client, 'secret', 'app', { a: null }))?.version).toBe(2);
    expect(seen[0]?.headers['content-type']).toBe('application/merge-patch+json');
    expect(seen[0]?.body).toBe('{"data":{"a":null},"options":{}}');
  });

  test('a key from a manifest cannot climb out of its mount', async () => {
    const { client, seen } = await serve((_, response) => json(response, 200, {}));
    for (const path of ['secret/data/../../sys/seal', 'secret/./x', '..', 'a/..']) {
      expect((await failureOf(client.request('GET', path))).code, path).toBe('path.not_canonical');
    }
    await client.request('GET', 'secret/data/a?version=1#x%2e%2e');
    expect(seen.map((s) => s.url)).toEqual(['/v1/secret/data/a%3Fversion%3D1%23x%252e%252e']);
  });

  test('an encoded path is never more segments than it was, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 5 }),
        (parts) => {
          const segments = parts
            .map((part) => part.replaceAll('/', '-'))
            .map((p) => (/^\.\.?$/.test(p) ? 'x' : p));
          const encoded = encodePath(segments.join('/'));
          expect(encoded.split('/').map(decodeURIComponent)).toEqual(segments);
          expect(encoded).not.toMatch(/[?#\s\\]/);
        },
      ),
    );
  });

  test('a token with a line break is refused without being quoted', async () => {
    const { client } = await serve((_, response) => json(response, 200, {}));
    const error = await failureOf(client.with({ token: `${CANARY}\n` }).request('GET', 'a'));
    expect(error.code).toBe('api.address');
    expect(JSON.stringify([error.message, error.data, error.stack])).not.toContain(CANARY);
  });

  test('numbers and the order of keys survive to the digit', async () => {
    const text = '{"data":{"data":{"z":12345678901234567890,"10":1.10},"metadata":{"version":3}}}';
    const { client } = await serve((_, response) => json(response, 200, text));
    const secret = await kvRead(client, 'secret', 'big');
    expect(secret?.data).toEqual(
      Object.assign(Object.create(null), { z: new Exact('12345678901234567890'), 10: new Exact('1.10') }),
    );
    expect(Buffer.from(secret?.answer?.bytes ?? []).toString()).toBe(text);
  });
});

describe('refusals', () => {
  test.each([
    [400, { errors: ['no data provided'] }, 'api.invalid', 'PUT x: no data provided'],
    [
      400,
      { errors: ['check-and-set parameter did not match the current version'] },
      'api.conflict',
      'PUT x: check-and-set',
    ],
    [403, { errors: ['permission denied'] }, 'api.denied', 'PUT x: permission denied'],
    [404, { errors: [] }, 'api.missing', 'PUT x: status 404'],
    [405, { errors: ['unsupported operation'] }, 'api.unsupported', 'unsupported operation'],
    [413, { errors: ['request body too large'] }, 'api.too_large', 'too large'],
    [500, { errors: ['internal error'] }, 'api.internal', 'internal error'],
    [502, '<html>bad gateway</html>', 'api.unavailable', 'status 502'],
    [503, { errors: ['Vault is sealed'] }, 'api.sealed', 'Vault is sealed'],
    [503, { errors: ['node is not active'] }, 'api.unavailable', 'node is not active'],
    [418, '[[[', 'api.invalid', 'status 418'],
    [304, '', 'api.invalid', 'status 304'],
  ])('status %i with %j is told as %s', async (status, body, code, message) => {
    const { client } = await serve((_, response) => json(response, status, body));
    const error = await failureOf(client.request('PUT', 'x', { body: {} }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(problemOf(error)?.status).toBe(status);
  });

  test('a deleted version is a secret without data, an unknown key is none', async () => {
    const { client } = await serve((request, response) =>
      request.url?.includes('gone')
        ? json(response, 404, {
            data: { data: null, metadata: { version: 2, deletion_time: '2026-01-01T00:00:00Z' } },
          })
        : json(response, 404, { errors: [] }),
    );
    expect(await kvRead(client, 'secret', 'gone')).toMatchObject({ data: null, metadata: { version: 2 } });
    expect(await kvRead(client, 'secret', 'none')).toBeUndefined();
  });

  test('control characters of a server do not reach the message', async () => {
    const { client } = await serve((_, response) =>
      json(response, 400, { errors: ['a\u001b[31mred\nline', 'x'.repeat(5000)] }),
    );
    const error = await failureOf(client.request('GET', 'x'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
    expect(error.message.length).toBeLessThan(700);
  });

  test('429 waits as long as the server asks and no request is lost', async () => {
    let asked = 0;
    const { client } = await serve(
      (_, response) =>
        ++asked < 3
          ? json(response, 429, { errors: ['quota'] }, { 'retry-after': '0' })
          : json(response, 200, { data: { ok: true } }),
      { retries: 2 },
    );
    expect((await client.request('PUT', 'x', { body: {} })).status).toBe(200);
    expect(asked).toBe(3);
  });

  test('a server that asks for minutes is not waited for, and the time is handed on', async () => {
    const { client } = await serve((_, response) => json(response, 429, {}, { 'retry-after': '120' }), {
      retries: 5,
    });
    expect((await failureOf(client.request('GET', 'x'))).retryAfterMs).toBe(120_000);
  });

  test('a write that met a 500 is not sent twice, a read is', async () => {
    const { client, seen } = await serve((_, response) => json(response, 500, {}), { retries: 2 });
    await failureOf(client.request('PUT', 'x', { body: {} }));
    expect(seen).toHaveLength(1);
    await failureOf(client.request('GET', 'x'));
    expect(seen).toHaveLength(4);
  });

  test('a write that was cut after it waited for a busy connection is not sent twice', async () => {
    // More requests than connections: most are given a socket that another has just finished with, and are cut on it.
    const reused = new Set<net.Socket>();
    const { client, seen } = await serve(
      (request, response) => {
        if (reused.has(request.socket)) return void request.socket.destroy();
        reused.add(request.socket);
        json(response, 200, {});
      },
      { retries: 3 },
    );
    const writes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, at) => client.request('PUT', `x/${at}`, { body: {} })),
    );
    const cut = writes.filter((write) => write.status === 'rejected').length;
    expect(cut).toBeGreaterThan(0);
    expect(new Set(seen.map(({ url }) => url)).size).toBe(seen.length);
  });

  test('a connection that serves many requests gathers no listeners', async () => {
    const warnings: string[] = [];
    const warned = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', warned);
    try {
      const { client, seen } = await serve((_, response) => json(response, 200, {}));
      await Promise.all(Array.from({ length: 1000 }, () => client.request('GET', 'x')));
      expect(seen).toHaveLength(1000);
      await new Promise(setImmediate);
      expect(warnings).toEqual([]);
    } finally {
      process.off('warning', warned);
    }
  });
});

describe('hostile servers', () => {
  test.each([
    ['not JSON', `${CANARY} {`],
    ['an array', `["${CANARY}"]`],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['JSON nested without end', '['.repeat(100_000)],
  ])('%s as a body is garbage, and is not quoted', async (_, body) => {
    const { client } = await serve((_, response) => response.end(body));
    const answer = await client.request('GET', 'x');
    let thrown: unknown;
    try {
      void answer.envelope;
    } catch (error) {
      thrown = error;
    }
    expect(isFailure(thrown, 'api.garbage')).toBe(true);
    const error = thrown as Error;
    expect(`${error.message}${error.stack}${String(error.cause)}`).not.toContain(CANARY);
  });

  test('an endless answer is cut at the limit', async () => {
    const { client } = await serve(
      (_, response) => {
        const chunk = Buffer.alloc(1024 * 1024, 0x20);
        const push = (): void => {
          while (!response.destroyed && response.write(chunk));
          if (!response.destroyed) response.once('drain', push);
        };
        push();
      },
      { timeoutMs: 30_000 },
    );
    const error = await failureOf(client.request('GET', 'x'));
    expect(error.code).toBe('api.garbage');
    expect(error.message).toContain('larger than');
  });

  test('a server that drips bytes for ever meets the time limit', async () => {
    const { client } = await serve(
      (_, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      },
      { timeoutMs: 200 },
    );
    expect((await failureOf(client.request('GET', 'x'))).message).toContain('no answer within 200 ms');
  });

  test('a body cut short is a failure, not a short value', async () => {
    const { client } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"data":');
      setTimeout(() => response.destroy(), 20);
    });
    expect((await failureOf(client.request('GET', 'x'))).code).toBe('api.unreachable');
  });

  test('something that does not speak HTTP is named as such', async () => {
    const server = net.createServer((socket) => socket.end(`SSH-2.0-${CANARY}\r\n`));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    closing.push(() => server.close());
    const port = (server.address() as AddressInfo).port;
    const client = new VaultClient({ address: `http://127.0.0.1:${port}`, retries: 0 });
    const error = await failureOf(client.request('GET', 'x'));
    expect(error.code).toBe('api.garbage');
    expect(`${error.message}${String(error.cause)}`).not.toContain(CANARY);
  });

  test('nobody at home is told with the address and the class of the cause', async () => {
    const server = net.createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const port = (server.address() as AddressInfo).port;
    await new Promise<void>((done) => server.close(() => done()));
    const client = new VaultClient({ address: `http://127.0.0.1:${port}`, retries: 1, retryWaitMs: 1 });
    const error = await failureOf(client.request('PUT', 'x', { body: {} }));
    expect(error.code).toBe('api.unreachable');
    expect(error.message).toBe(`cannot reach http://127.0.0.1:${port}: connection refused`);
  });

  test('an aborted request rejects with the reason and stops', async () => {
    const { client } = await serve(() => {});
    const controller = new AbortController();
    const call = client.request('GET', 'x', { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(call).rejects.toThrow('enough');
    await expect(client.request('GET', 'x', { signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('redirects', () => {
  test('one redirect within the host keeps the token and the body', async () => {
    const other = await serve((_, response, body) => json(response, 200, { data: { body } }));
    const { client } = await serve((request, response) =>
      json(response, 307, '', { location: `http://127.0.0.1:${other.port}${request.url}` }),
    );
    const answer = await client.with({ token: 'hvs.x' }).request('PUT', 'a/b', { body: { k: 1 } });
    expect(answer.status).toBe(200);
    expect(other.seen[0]).toMatchObject({ url: '/v1/a/b', method: 'PUT', body: '{"k":1}' });
    expect(other.seen[0]?.headers['x-vault-token']).toBe('hvs.x');
  });

  test('a token is never carried to another host', async () => {
    const other = await serve((_, response) => json(response, 200, {}));
    const { client } = await serve((_, response) =>
      json(response, 307, '', { location: `http://localhost:${other.port}/v1/x` }),
    );
    const error = await failureOf(client.with({ token: 'hvs.x' }).request('GET', 'x'));
    expect(error.code).toBe('api.redirected');
    expect(other.seen).toHaveLength(0);
  });

  test.each(['', 'javascript:alert(1)', 'file:///etc/passwd', 'http://['])(
    'a redirect to %j goes nowhere',
    async (location) => {
      const { client } = await serve((_, response) =>
        json(response, 307, '', location === '' ? {} : { location }),
      );
      expect((await failureOf(client.request('GET', 'x'))).code).toBe('api.garbage');
    },
  );

  test('a loop ends at the second redirect', async () => {
    const { client, seen } = await serve((request, response) =>
      json(response, 307, '', { location: request.url ?? '' }),
    );
    expect((await failureOf(client.request('GET', 'x'))).message).toContain('redirects twice');
    expect(seen).toHaveLength(2);
  });
});

describe('addresses', () => {
  test.each(['', 'vault:8200', 'ftp://vault', `http://user:${CANARY}@vault`, 'http://vault?x=1'])(
    '%j is refused',
    (address) => {
      let thrown: unknown;
      try {
        new VaultClient({ address });
      } catch (error) {
        thrown = error;
      }
      expect(isFailure(thrown, 'api.address')).toBe(true);
      expect(String(thrown)).not.toContain(CANARY);
    },
  );

  test('a host of the manifests is found where `resolve` says, under its own name', async () => {
    const { port, seen } = await serve((_, response) => json(response, 200, { data: {} }));
    const client = new VaultClient({
      address: 'http://vault.vault.svc.cluster.local:8200',
      retries: 0,
      resolve: (host, at) =>
        host === 'vault.vault.svc.cluster.local' && at === 8200
          ? { host: '127.0.0.1', port }
          : { host, port: at },
    });
    closing.push(() => client.close());
    await client.request('GET', 'x');
    expect(seen[0]?.headers.host).toBe('vault.vault.svc.cluster.local:8200');
  });
});
