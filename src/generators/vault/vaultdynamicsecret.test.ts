import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { NO_WAY_OUT } from '../../provider/egress.ts';
import type { Reserved, State } from '../../provider/generator.ts';
import { testEnv } from '../../provider/testing.ts';
import { createVaultDynamicSecret } from './vaultdynamicsecret.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const NOW = 1_780_000_000_000;
const HOUR = 3_600_000;
const generator = createVaultDynamicSecret({ now: () => NOW });

/** A server of the Vault API that writes down what it was asked, and by whom. */
async function vault(answers: Readonly<Record<string, object | number>> = {}) {
  const asked: string[] = [];
  const bodies = new Map<string, unknown>();
  const known: Readonly<Record<string, object | number>> = {
    'POST auth/token/create': { auth: { client_token: 'own', lease_duration: 3600, renewable: true } },
    'PUT auth/token/revoke-self': {},
    'PUT auth/token/renew-self': { auth: { client_token: 'own', lease_duration: 3600, renewable: true } },
    'PUT sys/leases/renew': { lease_id: 'l/1', lease_duration: 3600, renewable: true },
    'GET database/creds/app': {
      lease_id: 'l/1',
      lease_duration: 3600,
      renewable: true,
      data: { username: 'u', password: 'p', n: 1.5, more: { a: [1] } },
    },
    ...answers,
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = decodeURIComponent((request.url ?? '').replace('/v1/', ''));
      const verb =
        request.method === 'POST' && !path.startsWith('auth/token/create') ? 'PUT' : request.method;
      const line = `${verb} ${path}`;
      asked.push(`${line} by ${String(request.headers['x-vault-token'])}`);
      bodies.set(line, JSON.parse(Buffer.concat(chunks).toString() || 'null'));
      const answer = known[line] ?? 404;
      const status = typeof answer === 'number' ? answer : 200;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof answer === 'number' ? '{"errors":["no"]}' : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const env = testEnv({
    store: 'VaultDynamicSecret team/db',
    wayOut: { ...NO_WAY_OUT, mayReach: () => true },
    secretKey: async () => utf8('given'),
  });
  const spec = (more: object = {}) =>
    generator.spec.parse({
      path: 'database/creds/app',
      provider: {
        server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        auth: { tokenSecretRef: { name: 'vault', key: 'token' } },
      },
      ...more,
    });
  return { asked, bodies, env, spec };
}

/** What is kept of a generation, and in which order it came about. */
function shelf(order: string[]) {
  let state: State = {};
  let secret: Uint8Array | undefined;
  const reserved: Reserved = {
    get state() {
      return state;
    },
    async update(next) {
      state = { ...state, ...next };
    },
    secret: async () => secret,
    async keepSecret(value) {
      order.push('the login is kept');
      secret = value;
    },
  };
  const reserve = async (given: State): Promise<Reserved> => {
    order.push('reserved');
    state = given;
    return reserved;
  };
  return { reserved, reserve };
}

test('the login is kept before anything is asked for under it, and what was issued is known by its lease', async () => {
  const { asked, env, spec } = await vault();
  const { reserved, reserve } = shelf(asked);
  const fields = await generator.generate(spec(), env, reserve);
  expect(asked).toEqual([
    'reserved',
    'POST auth/token/create by given',
    'the login is kept',
    'GET database/creds/app by own',
  ]);
  expect(Object.fromEntries([...fields].map(([key, bytes]) => [key, textOf(bytes)]))).toEqual({
    username: 'u',
    password: 'p',
    n: '1.5',
    more: '{"a":[1]}',
  });
  expect(reserved.state).toMatchObject({ leaseId: 'l/1', lease: { from: NOW, endsAt: NOW + HOUR } });
  expect(JSON.stringify(reserved.state)).not.toContain('own');
});

test('lease and login are renewed at two thirds and not before, and taken back together', async () => {
  const { asked, env, spec } = await vault();
  const { reserved, reserve } = shelf([]);
  await generator.generate(spec(), env, reserve);
  asked.length = 0;
  const keep = (at: number) => generator.keeper?.keep(spec(), reserved, env, new Date(at));
  const due = NOW + (HOUR * 2) / 3;
  expect(await keep(NOW + 1000)).toMatchObject({ again: new Date(due) });
  expect(asked).toEqual([]);
  expect(await keep(due)).toMatchObject({ again: new Date(due + (HOUR * 2) / 3) });
  expect(asked).toEqual(['PUT auth/token/renew-self by own', 'PUT sys/leases/renew by own']);
  await generator.cleaner?.cleanup(spec(), reserved, env);
  expect(asked.at(-1)).toBe('PUT auth/token/revoke-self by own');
});

test('what is not renewed any more is to be replaced now; a server that is away is asked again', async () => {
  const refused = await vault({ 'PUT sys/leases/renew': 400 });
  const one = shelf([]);
  await generator.generate(refused.spec(), refused.env, one.reserve);
  const due = new Date(NOW + HOUR * 0.7);
  expect(await generator.keeper?.keep(refused.spec(), one.reserved, refused.env, due)).toEqual({
    replaceAt: due,
  });
  const away = await vault({ 'PUT sys/leases/renew': 503 });
  const other = shelf([]);
  await generator.generate(away.spec(), away.env, other.reserve);
  await expect(generator.keeper?.keep(away.spec(), other.reserved, away.env, due)).rejects.toThrow();
});

test('where nothing hangs on the login it is taken back at once', async () => {
  const { asked, env, spec } = await vault({ 'GET secret/data/app': { data: { data: { a: 'b' } } } });
  const { reserve } = shelf([]);
  const fields = await generator.generate(spec({ path: 'secret/data/app' }), env, reserve);
  expect(textOf(fields.get('data') ?? new Uint8Array())).toBe('{"a":"b"}');
  expect(asked.at(-1)).toBe('PUT auth/token/revoke-self by own');
});

test('other methods write their parameters, and a query goes with a GET alone', async () => {
  const { asked, bodies, env, spec } = await vault({
    'PUT sys/wrap': { data: { x: 'y' } },
    'GET database/creds/app?a=1&a=2': { data: { x: 'y' } },
    'DELETE thing': { data: { x: 'y' } },
  });
  const run = (more: object) => generator.generate(spec(more), env, shelf([]).reserve);
  await run({ path: 'sys/wrap', method: 'POST', parameters: { n: 1 }, getParameters: { a: ['1'] } });
  expect(bodies.get('PUT sys/wrap')).toEqual({ n: 1 });
  await run({ getParameters: { a: ['1', '2'] } });
  await run({ path: 'thing', method: 'DELETE' });
  expect(asked).toContain('GET database/creds/app?a=1&a=2 by own');
  expect(asked).toContain('DELETE thing by own');
});

test('an answer without anything in it is a failure unless that is expected, and a refusal says what to grant', async () => {
  const { env, spec } = await vault({ 'GET denied': 403 });
  const run = (more: object) => generator.generate(spec(more), env, shelf([]).reserve);
  await expect(run({ path: 'absent' })).rejects.toThrow('empty response from Vault');
  expect(await run({ path: 'absent', allowEmptyResponse: true })).toEqual(new Map());
  await expect(run({ path: 'denied' })).rejects.toMatchObject({
    code: 'provider.denied',
    hint: expect.stringContaining('path "denied" { capabilities = ["read"] }'),
  });
  await expect(run({ resultType: 'Auth' })).rejects.toThrow('empty response from Vault');
});

test('a token that may have no child issues by itself, and its lease alone is renewed and taken back', async () => {
  const lookup = { 'GET auth/token/lookup-self': { data: { ttl: 0 } } };
  const { asked, env, spec } = await vault({
    'POST auth/token/create': 403,
    'PUT sys/leases/revoke': {},
    ...lookup,
  });
  const { reserved, reserve } = shelf(asked);
  await generator.generate(spec(), env, reserve);
  expect(asked).toEqual([
    'reserved',
    'POST auth/token/create by given',
    'GET auth/token/lookup-self by given',
    'the login is kept',
    'GET database/creds/app by given',
  ]);
  expect(reserved.state).toMatchObject({ leaseId: 'l/1', lease: { endsAt: NOW + HOUR }, login: null });
  asked.length = 0;
  const due = new Date(NOW + (HOUR * 2) / 3);
  expect(await generator.keeper?.keep(spec(), reserved, env, due)).toHaveProperty('again');
  await generator.cleaner?.cleanup(spec(), reserved, env);
  expect(asked).toEqual(['PUT sys/leases/renew by given', 'PUT sys/leases/revoke by given']);
});

test('what a given token issued and nobody gets is taken back by its lease: nobody would know of it later', async () => {
  const refusing = { 'POST auth/token/create': 403, 'PUT sys/leases/revoke': {} };
  const { asked, bodies, env, spec } = await vault(refusing);
  const run = (reserve: ReturnType<typeof shelf>['reserve'], more: object = {}) =>
    generator.generate(spec(more), env, reserve);
  const unwritten = async (state: State): Promise<Reserved> => ({
    ...(await shelf([]).reserve(state)),
    update: async () => {
      throw new Error('the cluster is away');
    },
  });
  await expect(run(unwritten)).rejects.toThrow('the cluster is away');
  expect(asked.at(-1)).toBe('PUT sys/leases/revoke by given');
  asked.length = 0;
  await expect(run(shelf([]).reserve, { resultType: 'Auth' })).rejects.toThrow('empty response');
  expect(asked.at(-1)).toBe('PUT sys/leases/revoke by given');
  expect(bodies.get('PUT sys/leases/revoke')).toEqual({ lease_id: 'l/1' });
  expect(asked.filter((line) => line.includes('revoke-self'))).toEqual([]);
});

test('a login is renewed alone where its lease is not to be renewed: asked for both, a server refuses both', async () => {
  const fixed = { lease_id: 'l/1', lease_duration: 86_400, renewable: false, data: { username: 'u' } };
  const { asked, env, spec } = await vault({ 'GET database/creds/app': fixed });
  const { reserved, reserve } = shelf([]);
  await generator.generate(spec(), env, reserve);
  asked.length = 0;
  const due = new Date(NOW + (HOUR * 2) / 3);
  expect(await generator.keeper?.keep(spec(), reserved, env, due)).toHaveProperty('again');
  expect(asked).toEqual(['PUT auth/token/renew-self by own']);
});
