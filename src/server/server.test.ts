import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { hex } from '../base/bytes.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { cubbyhole } from '../engines/cubbyhole/index.ts';
import { kv } from '../engines/kv/index.ts';
import { operation, type PluginType, type Reply } from '../plugin/plugin.ts';
import { envelopeText } from './core/envelope.ts';
import { createServer } from './server.ts';
import { rawRequest, startServer, type TestServer } from './testing.ts';

const CANARY = 'canary-4f1d9b';
let it_: TestServer;

beforeAll(async () => {
  it_ = await startServer([kv, cubbyhole]);
  await it_.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
});
afterAll(() => it_.close());

const as = (token: string) => ({ 'x-vault-token': token });
async function tokenWith(policy: string, extra: object = {}): Promise<string> {
  const name = `p${Math.random().toString(36).slice(2)}`;
  expect((await it_.ask('PUT', `sys/policies/acl/${name}`, { policy })).status).toBe(204);
  const made = await it_.ask('POST', 'auth/token/create', { policies: [name], ...extra });
  expect(made.status).toBe(200);
  return made.json.auth.client_token;
}

describe('the envelope', () => {
  it('carries every key, null where there is nothing, around a secret that comes back to the digit', async () => {
    const data = '{"10":12345678901234567890,"2":1.0,"a":"x"}';
    expect((await it_.ask('POST', 'secret/data/digits', `{"data":${data}}`)).status).toBe(200);
    const read = await it_.ask('GET', 'secret/data/digits');
    expect(read.status).toBe(200);
    expect(read.text).toContain(`"data":${data}`);
    expect(read.json).toMatchObject({
      lease_id: '',
      renewable: false,
      lease_duration: 0,
      wrap_info: null,
      warnings: null,
      auth: null,
      mount_type: 'kv',
    });
    expect(read.json.request_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(read.headers.get('cache-control')).toBe('no-store');
  });

  it('answers 404 with no errors where nothing lies, and for a list of nothing', async () => {
    for (const path of ['secret/data/nothing', 'secret/metadata/nothing?list=true']) {
      const reply = await it_.ask('GET', path);
      expect([reply.status, reply.text]).toEqual([404, '{"errors":[]}']);
    }
  });

  it('gives HEAD the status of GET and no body', async () => {
    const reply = await it_.ask('HEAD', 'secret/data/digits');
    expect([reply.status, reply.text]).toEqual([200, '']);
  });

  it('repeats the mounts at the top for clients older than the envelope', async () => {
    const { json } = await it_.ask('GET', 'sys/mounts');
    expect(json['secret/']).toEqual(json.data['secret/']);
    expect(json.data['secret/']).toMatchObject({ type: 'kv', options: { version: '2' } });
    expect(json.data['secret/'].accessor).toMatch(/^kv_[0-9a-f]{8}$/);
    expect(Object.keys(json.data)).toEqual(['cubbyhole/', 'identity/', 'secret/', 'sys/']);
  });

  it('says 404 with the words of the API for a path that nothing is mounted at', async () => {
    const reply = await it_.ask('GET', 'nowhere/x');
    expect([reply.status, reply.json.errors]).toEqual([
      404,
      ['no handler for route "nowhere/x". route entry not found.'],
    ]);
  });

  it('tells nobody without the right to ask what is mounted and what is not', async () => {
    for (const path of ['nowhere/x', 'secret/data/digits', 'secret/nonsense', 'sys/nonsense', 'auth/none/x'])
      for (const method of ['GET', 'POST', 'DELETE', 'LIST']) {
        const reply = await it_.ask(method, path, undefined, as('nobody'));
        expect([path, reply.status, reply.text]).toEqual([path, 403, '{"errors":["permission denied"]}']);
      }
    expect((await it_.ask('GET', 'sys/nonsense')).json.errors).toEqual(['unsupported path']);
  });

  it('says 405 for an operation that the path does not have, and only to who may ask', async () => {
    expect(
      (await it_.ask('PATCH', 'sys/mounts', '{}', { 'content-type': 'application/merge-patch+json' })).status,
    ).toBe(405);
    expect((await it_.ask('POST', 'sys/mounts', {}, as('no'))).status).toBe(403);
  });

  it('tells what a path is for with help=1', async () => {
    const { json } = await it_.ask('GET', 'sys/tools/hash?help=1');
    expect(json).toEqual({
      help: expect.stringContaining('hash'),
      see_also: null,
      openapi: expect.anything(),
    });
  });
});

describe('policies', () => {
  it('let a token read what they name and nothing else, however it is spelled', async () => {
    const token = await tokenWith('path "secret/data/app" { capabilities = ["read"] }');
    await it_.ask('POST', 'secret/data/app', { data: { a: CANARY } });
    await it_.ask('POST', 'secret/data/other', { data: { a: CANARY } });
    expect((await it_.ask('GET', 'secret/data/app', undefined, as(token))).status).toBe(200);
    for (const path of ['secret/data/other', 'secret/data/app/x', 'secret/metadata/app', 'sys/mounts']) {
      const reply = await it_.ask('GET', path, undefined, as(token));
      expect([path, reply.status, reply.text]).toEqual([path, 403, '{"errors":["permission denied"]}']);
    }
    for (const path of [
      'secret/data/%6fther/../app',
      'secret//data/other',
      'secret/data/app%2f..%2fother',
      'secret/data/oth%00er',
      'secret/data/%252e%252e/other',
    ]) {
      const raw = await rawRequest(
        it_.listener.address.port,
        `GET /v1/${path} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: ${token}\r\nConnection: close\r\n\r\n`,
      );
      expect([path, raw.split('\r\n')[0]]).toEqual([path, 'HTTP/1.1 400 Bad Request']);
      expect(raw).not.toContain(CANARY);
    }
  });

  it('tell create from update', async () => {
    const token = await tokenWith('path "secret/data/*" { capabilities = ["create"] }');
    expect((await it_.ask('POST', 'secret/data/fresh', { data: {} }, as(token))).status).toBe(200);
    expect((await it_.ask('POST', 'secret/data/fresh', { data: {} }, as(token))).status).toBe(403);
  });

  it('take effect on tokens that are already out', async () => {
    await it_.ask('PUT', 'sys/policies/acl/moving', {
      policy: 'path "secret/data/app" { capabilities = ["read"] }',
    });
    const { json } = await it_.ask('POST', 'auth/token/create', { policies: ['moving'] });
    const token = json.auth.client_token;
    expect((await it_.ask('GET', 'secret/data/app', undefined, as(token))).status).toBe(200);
    await it_.ask('DELETE', 'sys/policies/acl/moving');
    expect((await it_.ask('GET', 'secret/data/app', undefined, as(token))).status).toBe(403);
  });

  it('have names without case, a root that cannot change and a default that cannot go', async () => {
    const text = '# kept to the byte\npath "a" { capabilities = ["read"] }\n\n';
    await it_.ask('PUT', 'sys/policies/acl/MiXed', { policy: text });
    expect((await it_.ask('GET', 'sys/policies/acl/mixed')).json.data).toEqual({
      name: 'mixed',
      policy: text,
    });
    expect((await it_.ask('GET', 'sys/policy/MIXED')).json.rules).toBe(text);
    expect((await it_.ask('LIST', 'sys/policies/acl')).json.data.keys).toContain('root');
    expect((await it_.ask('PUT', 'sys/policies/acl/root', { policy: text })).json.errors).toEqual([
      'cannot update "root" policy',
    ]);
    expect((await it_.ask('DELETE', 'sys/policies/acl/root')).json.errors).toEqual([
      'cannot delete "root" policy',
    ]);
    expect((await it_.ask('DELETE', 'sys/policies/acl/default')).json.errors).toEqual([
      'cannot delete default policy',
    ]);
  });

  it('bound the members that a KV v1 write may have', async () => {
    await it_.ask('POST', 'sys/mounts/plain', { type: 'kv' });
    const token = await tokenWith(
      'path "plain/*" { capabilities = ["create","update"]\n denied_parameters = { "admin" = [] } }',
    );
    expect((await it_.ask('POST', 'plain/a', { user: 'x' }, as(token))).status).toBe(204);
    expect((await it_.ask('POST', 'plain/a', { admin: 'x' }, as(token))).status).toBe(403);
  });
});

describe('mounts', () => {
  it('refuse a path in use, one below or above it, and what is reserved', async () => {
    for (const [path, text] of [
      ['secret', 'path is already in use at secret/'],
      ['secret/below', 'path is already in use at secret/'],
      ['sys/x', 'cannot mount or unmount sys/x/'],
    ] as const) {
      const reply = await it_.ask('POST', `sys/mounts/${path}`, { type: 'kv' });
      expect([reply.status, reply.json.errors]).toEqual([400, [text]]);
    }
    await it_.ask('POST', 'sys/mounts/team/a', { type: 'kv' });
    expect((await it_.ask('POST', 'sys/mounts/team', { type: 'kv' })).json.errors).toEqual([
      'path is already in use at team/a/',
    ]);
    expect((await it_.ask('POST', 'sys/mounts/z', { type: 'nope' })).json.errors).toEqual([
      'plugin not found in the catalog: nope',
    ]);
  });

  it('forget everything when they are disabled, so that the path starts empty', async () => {
    await it_.ask('POST', 'sys/mounts/brief', { type: 'kv-v2' });
    await it_.ask('POST', 'brief/data/x', { data: { a: 1 } });
    expect((await it_.ask('DELETE', 'sys/mounts/brief')).status).toBe(204);
    expect((await it_.ask('GET', 'brief/data/x')).status).toBe(404);
    await it_.ask('POST', 'sys/mounts/brief', { type: 'kv-v2' });
    expect((await it_.ask('GET', 'brief/data/x')).text).toBe('{"errors":[]}');
    expect((await it_.ask('DELETE', 'sys/mounts/never')).status).toBe(204);
  });

  it('are tuned, and asked for one by one', async () => {
    expect(
      (await it_.ask('POST', 'sys/mounts/secret/tune', { max_lease_ttl: '10h', description: 'd' })).status,
    ).toBe(204);
    expect((await it_.ask('GET', 'sys/mounts/secret/tune')).json.data).toMatchObject({
      max_lease_ttl: 36000,
      description: 'd',
    });
    expect((await it_.ask('GET', 'sys/mounts/secret')).json.data).toMatchObject({
      type: 'kv',
      description: 'd',
    });
    expect((await it_.ask('GET', 'sys/mounts/none')).json.errors).toEqual([
      'No secret engine mount at none/',
    ]);
    expect((await it_.ask('GET', 'sys/mounts/auth/token/tune')).json.data).toMatchObject({
      token_type: 'default-service',
    });
    expect((await it_.ask('GET', 'secret/data/digits')).status).toBe(200);
  });

  it('are shown to a client only where it may reach into them', async () => {
    const token = await tokenWith('path "secret/data/app" { capabilities = ["read"] }');
    const seen = await it_.ask('GET', 'sys/internal/ui/mounts/secret/app', undefined, as(token));
    expect(seen.json.data).toMatchObject({ path: 'secret/', options: { version: '2' }, type: 'kv' });
    for (const path of ['plain/x', 'not-there/x']) {
      const reply = await it_.ask('GET', `sys/internal/ui/mounts/${path}`, undefined, as(token));
      expect([reply.status, reply.json.errors]).toEqual([
        403,
        [
          `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`,
        ],
      ]);
    }
    expect((await it_.ask('GET', 'sys/internal/ui/mounts/secret', undefined, as('nobody'))).status).toBe(403);
  });
});

describe('tokens', () => {
  it('look themselves up with all that clients read', async () => {
    const { json } = await it_.ask('GET', 'auth/token/lookup-self');
    expect(json.data).toMatchObject({
      id: it_.root,
      policies: ['root'],
      path: 'auth/token/root',
      display_name: 'root',
      ttl: 0,
      expire_time: null,
      type: 'service',
      orphan: true,
    });
  });

  it('give children no more than they have themselves', async () => {
    const parent = await tokenWith('path "auth/token/create" { capabilities = ["update"] }');
    const asked = (body: object) => it_.ask('POST', 'auth/token/create', body, as(parent));
    expect((await asked({ policies: ['root'] })).status).toBe(400);
    expect((await asked({ policies: ['other'] })).json.errors).toEqual([
      'child policies must be subset of parent',
    ]);
    expect((await asked({ no_parent: true })).json.errors).toEqual([
      'root or sudo privileges required to create orphan token',
    ]);
    expect((await asked({ period: '1h' })).status).toBe(400);
    expect((await asked({ id: 'chosen' })).status).toBe(400);
    expect((await asked({ policies: ['response-wrapping'] })).status).toBe(400);
    expect((await asked({})).status).toBe(200);
    expect((await it_.ask('POST', 'auth/token/create-orphan', {}, as(parent))).status).toBe(403);
  });

  it('do not let sudo become root', async () => {
    const token = await tokenWith('path "auth/token/*" { capabilities = ["create","update","sudo"] }');
    const reply = await it_.ask('POST', 'auth/token/create', { policies: ['root'] }, as(token));
    expect(reply.status).toBe(400);
    expect(reply.json.auth).toBeUndefined();
  });

  it('end with their parent, and take what they stored along', async () => {
    const parent = await tokenWith('path "auth/token/create" { capabilities = ["update"] }');
    const child = (await it_.ask('POST', 'auth/token/create', {}, as(parent))).json.auth.client_token;
    expect((await it_.ask('POST', 'cubbyhole/mine', { a: CANARY }, as(child))).status).toBe(204);
    expect((await it_.ask('GET', 'cubbyhole/mine', undefined, as(parent))).status).toBe(404);
    expect((await it_.ask('POST', 'auth/token/revoke', { token: parent })).status).toBe(204);
    expect((await it_.ask('GET', 'cubbyhole/mine', undefined, as(child))).status).toBe(403);
  });

  it('count uses exactly, also when all come at once', async () => {
    const { json } = await it_.ask('POST', 'auth/token/create', { num_uses: 3, policies: ['default'] });
    const token = json.auth.client_token;
    const all = await Promise.all(
      Array.from({ length: 12 }, () => it_.ask('GET', 'auth/token/lookup-self', undefined, as(token))),
    );
    expect(all.filter((reply) => reply.status === 200)).toHaveLength(3);
    expect(all.filter((reply) => reply.status === 403)).toHaveLength(9);
  });

  it('are found by accessor, which never gives the token back', async () => {
    const { json } = await it_.ask('POST', 'auth/token/create', { policies: ['default'], ttl: '1h' });
    const { accessor, client_token } = json.auth;
    const found = await it_.ask('POST', 'auth/token/lookup-accessor', { accessor });
    expect(found.json.data).toMatchObject({ accessor, id: '' });
    expect(found.text).not.toContain(client_token);
    expect((await it_.ask('LIST', 'auth/token/accessors')).json.data.keys).toContain(accessor);
    expect((await it_.ask('POST', 'auth/token/revoke-accessor', { accessor })).status).toBe(204);
    expect((await it_.ask('GET', 'auth/token/lookup-self', undefined, as(client_token))).status).toBe(403);
    expect((await it_.ask('POST', 'auth/token/lookup', { token: client_token })).json.errors).toEqual([
      'bad token',
    ]);
  });

  it('say what their caller may do', async () => {
    const token = await tokenWith('path "secret/data/app" { capabilities = ["read","list"] }');
    const self = await it_.ask('POST', 'sys/capabilities-self', { paths: ['secret/data/app'] }, as(token));
    expect(self.json.data).toEqual({ 'secret/data/app': ['list', 'read'], capabilities: ['list', 'read'] });
    const other = await it_.ask('POST', 'sys/capabilities', { token, path: 'secret/data/nope' });
    expect(other.json.data.capabilities).toEqual(['deny']);
  });
});

describe('wrapping', () => {
  it('opens once, for one of all who try', async () => {
    const wrapped = await it_.ask('GET', 'secret/data/app', undefined, { 'x-vault-wrap-ttl': '60' });
    expect(wrapped.json).toMatchObject({ request_id: '', data: null, auth: null });
    expect(wrapped.text).not.toContain(CANARY);
    const { token, ttl, creation_path } = wrapped.json.wrap_info;
    expect([ttl, creation_path]).toEqual([60, 'secret/data/app']);
    const about = await it_.ask('POST', 'sys/wrapping/lookup', { token });
    expect(about.json.data).toMatchObject({ creation_path: 'secret/data/app', creation_ttl: 60 });
    const all = await Promise.all(
      Array.from({ length: 8 }, () => it_.ask('POST', 'sys/wrapping/unwrap', undefined, as(token))),
    );
    const opened = all.filter((reply) => reply.status === 200);
    expect(opened).toHaveLength(1);
    expect(opened[0]?.json.data.data).toEqual({ a: CANARY });
    for (const reply of all.filter((one) => one.status !== 200))
      expect([reply.status, reply.json.errors]).toEqual([
        400,
        ['wrapping token is not valid or does not exist'],
      ]);
  });

  it('wraps a login and any data, rewraps, and is read from the cubbyhole by older clients', async () => {
    const made = await it_.ask(
      'POST',
      'auth/token/create',
      { policies: ['default'] },
      { 'x-vault-wrap-ttl': '5m' },
    );
    const { token, wrapped_accessor } = made.json.wrap_info;
    const own = await it_.ask('POST', 'sys/wrapping/rewrap', {}, as(token));
    expect([own.status, own.json.errors]).toEqual([403, ['permission denied']]);
    const again = await it_.ask('POST', 'sys/wrapping/rewrap', { token });
    const next = again.json.wrap_info.token;
    expect((await it_.ask('POST', 'sys/wrapping/unwrap', { token })).status).toBe(400);
    const opened = await it_.ask('POST', 'sys/wrapping/unwrap', { token: next });
    expect(opened.json.auth.accessor).toBe(wrapped_accessor);
    const open = await it_.ask('POST', 'sys/wrapping/wrap', { a: 1 });
    expect([open.status, open.json.errors]).toEqual([
      400,
      ['endpoint requires response wrapping to be used'],
    ]);
    const any = await it_.ask('POST', 'sys/wrapping/wrap', { a: 1 }, { 'x-vault-wrap-ttl': '5m' });
    const old = await it_.ask('GET', 'cubbyhole/response', undefined, as(any.json.wrap_info.token));
    expect(JSON.parse(old.json.data.response).data).toEqual({ a: 1 });
  });

  it('is not done to what failed', async () => {
    await it_.ask('POST', 'secret/data/deleted', { data: { a: 1 } });
    await it_.ask('DELETE', 'secret/data/deleted');
    const reply = await it_.ask('GET', 'secret/data/deleted', undefined, { 'x-vault-wrap-ttl': '60' });
    expect([reply.status, reply.json.wrap_info]).toEqual([404, null]);
  });

  it('refuses ordinary tokens, strangers with a token in the body, and a negative time', async () => {
    expect((await it_.ask('POST', 'sys/wrapping/unwrap')).status).toBe(400);
    const { json } = await it_.ask('GET', 'secret/data/app', undefined, { 'x-vault-wrap-ttl': '60' });
    expect(
      (await it_.ask('POST', 'sys/wrapping/unwrap', { token: json.wrap_info.token }, as('nobody'))).status,
    ).toBe(403);
    const negative = await it_.ask('GET', 'secret/data/app', undefined, { 'x-vault-wrap-ttl': '-1' });
    expect([negative.status, negative.json.errors[0]]).toEqual([
      400,
      expect.stringContaining('error parsing X-Vault-Wrap-TTL header'),
    ]);
    const wrapped = json.wrap_info.token;
    expect((await it_.ask('GET', 'secret/data/app', undefined, as(wrapped))).status).toBe(403);
  });
});

describe('the audit trail', () => {
  it('has a request and a response for what was allowed, denied and invalid', async () => {
    it_.seen.lines.length = 0;
    await it_.ask('GET', 'secret/data/app');
    await it_.ask('GET', 'secret/data/app', undefined, as('nobody'));
    await it_.ask('GET', 'nowhere/x');
    expect(it_.seen.lines.map((line) => [line.type, line.request.path, line.error])).toEqual([
      ['request', 'secret/data/app', undefined],
      ['response', 'secret/data/app', undefined],
      ['request', 'secret/data/app', 'permission denied'],
      ['response', 'secret/data/app', 'permission denied'],
      ['request', 'nowhere/x', 'no handler for route "nowhere/x". route entry not found.'],
      ['response', 'nowhere/x', 'no handler for route "nowhere/x". route entry not found.'],
    ]);
  });

  it('says what a read asks before it waits for anything', async () => {
    let go = (): void => undefined;
    const slow: PluginType = {
      name: 'slow',
      kind: 'secret',
      create: () => ({
        routes: [
          {
            path: 'x',
            operations: {
              read: operation({
                summary: 'Waits.',
                input: z.object({}),
                output: z.object({}),
                effect: 'none',
                run: () =>
                  new Promise<Reply<Record<string, never>>>((resolve) => {
                    go = () => resolve({ data: {} });
                  }),
              }),
            },
          },
        ],
      }),
    };
    const one = await startServer([slow]);
    await one.ask('POST', 'sys/mounts/slow', { type: 'slow' });
    one.seen.lines.length = 0;
    const answered = one.ask('GET', 'slow/x');
    await expect.poll(() => one.seen.lines.map(({ type }) => type)).toEqual(['request']);
    go();
    expect((await answered).status).toBe(200);
    expect(one.seen.lines.map(({ type }) => type)).toEqual(['request', 'response']);
    await one.close();
  });

  it('stops the request that it cannot record, and the answer', async () => {
    it_.seen.failing = 'request';
    expect((await it_.ask('POST', 'secret/data/unheard', { data: { a: 1 } })).status).toBe(500);
    it_.seen.failing = 'response';
    const withheld = await it_.ask('GET', 'secret/data/app');
    it_.seen.failing = 'none';
    expect([withheld.status, withheld.text]).toEqual([500, '{"errors":["internal error"]}']);
    expect((await it_.ask('GET', 'secret/data/unheard')).status).toBe(404);
  });
});

describe('sealing', () => {
  it('leaves only what must answer, and everything is there again afterwards', async () => {
    const one = await startServer([kv, cubbyhole]);
    await one.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
    await one.ask('POST', 'secret/data/x', { data: { a: CANARY } });
    expect((await one.ask('GET', 'sys/health')).status).toBe(200);
    expect((await one.ask('PUT', 'sys/seal')).status).toBe(204);
    await expect.poll(async () => (await one.ask('GET', 'sys/seal-status')).json.sealed).toBe(true);
    const refused = await one.ask('GET', 'secret/data/x');
    expect([refused.status, refused.json.errors]).toEqual([503, ['Vault is sealed']]);
    expect((await one.ask('GET', 'sys/health')).status).toBe(503);
    expect((await one.ask('GET', 'sys/health?sealedcode=299')).status).toBe(299);
    expect((await one.ask('GET', 'sys/health?sealedcode=x')).status).toBe(400);
    expect((await one.ask('GET', 'sys/seal-status')).json).toMatchObject({
      t: 1,
      n: 1,
      version: '1.19.0',
      initialized: true,
    });
    expect((await one.ask('PUT', 'sys/unseal', {})).status).toBe(400);
    expect((await one.ask('PUT', 'sys/unseal', { key: hex(new Uint8Array(32)) })).status).toBe(400);
    expect(
      (await one.ask('PUT', 'sys/unseal', { key: hex(one.keys[0] ?? new Uint8Array()) })).json.sealed,
    ).toBe(false);
    expect((await one.ask('GET', 'secret/data/x')).json.data.data).toEqual({ a: CANARY });
    expect((await one.ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })).json.errors).toEqual(
      ['Vault is already initialized'],
    );
    await one.close();
  });
});

describe('a restart', () => {
  it('finds mounts, policies, tokens and what they stored as they were, and nothing while still sealed', async () => {
    const first = await startServer([kv, cubbyhole]);
    await first.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
    await first.ask('POST', 'secret/data/x', { data: { a: CANARY } });
    const made = await first.ask('POST', 'auth/token/create', { policies: ['default'], ttl: '1h' });
    const token = made.json.auth.client_token;
    await first.ask('POST', 'cubbyhole/mine', { b: 2 }, as(token));
    const accessor = (await first.ask('GET', 'sys/mounts')).json.data['sys/'].accessor;
    await first.close();

    const second = await createServer({
      backend: first.backend,
      plugins: [kv, cubbyhole],
      clock: systemClock,
      log: silentLog,
      dial: async () => ({ status: 599, body: new Uint8Array() }),
    });
    const sealed = await second.call({ verb: 'read', path: 'secret/data/x', token: first.root });
    expect(sealed).toMatchObject({ kind: 'failed', failure: { code: 'server.sealed' } });
    for (const key of first.keys) await second.seal.submit(key);
    const dataOf = async (path: string, by: string) => {
      const answer = await second.call({ verb: 'read', path, token: by });
      return answer.kind === 'envelope' ? JSON.parse(envelopeText(answer.envelope)).data : answer;
    };
    expect((await dataOf('secret/data/x', first.root)).data).toEqual({ a: CANARY });
    expect(await dataOf('cubbyhole/mine', token)).toEqual({ b: 2 });
    expect((await dataOf('sys/mounts', first.root))['sys/'].accessor).toBe(accessor);
    await second.close();
  });
});

describe('bad input', () => {
  it('is refused with its place and never repeated', async () => {
    for (const [body, status] of [
      [`{"data":{"a":"${CANARY}"`, 400],
      [`{"data":${'['.repeat(200)}${']'.repeat(200)}}`, 400],
      ['[]', 400],
      [`"${CANARY}"`, 400],
    ] as const) {
      const reply = await it_.ask('POST', 'secret/data/bad', body);
      expect([reply.status, reply.json.errors?.length]).toEqual([status, 1]);
      expect(reply.text).not.toContain(CANARY);
    }
    const typed = await it_.ask('POST', 'sys/mounts/odd', { type: { a: CANARY } });
    expect(typed.status).toBe(400);
    expect(typed.text).not.toContain(CANARY);
  });

  it('takes JSON that curl calls a form, and a form that is one', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(
      (await it_.ask('POST', 'sys/tools/random', '{"bytes":4,"format":"hex"}', form)).json.data.random_bytes,
    ).toHaveLength(8);
    expect(
      (await it_.ask('POST', 'sys/tools/random', 'bytes=2&format=hex', form)).json.data.random_bytes,
    ).toHaveLength(4);
    const patch = await it_.ask('PATCH', 'secret/data/app', '{"data":{}}');
    expect([patch.status, patch.json.errors[0]]).toEqual([
      415,
      expect.stringContaining('application/merge-patch+json'),
    ]);
  });
});
