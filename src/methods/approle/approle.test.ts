import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { inCidrs } from '../../base/cidr.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { startServer } from '../../server/testing.ts';
import { failureOf } from '../testing.ts';
import { within } from './cidrs.ts';
import { approle } from './index.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INVALID = { code: 'login.refused', message: 'invalid role or secret ID' };
let method: TestMount;
const write = (path: string, data: object = {}) => method.call('write', path, data);
const login = (role_id: unknown, secret_id?: unknown, remote = '127.0.0.1') =>
  method.call('write', 'login', { role_id, ...(secret_id === undefined ? {} : { secret_id }) }, { remote });
const roleId = async (name = 'app'): Promise<string> =>
  (await method.call('read', `role/${name}/role-id`)).data.role_id;
const secretId = async (data: object = {}, name = 'app') =>
  (await write(`role/${name}/secret-id`, data)).data;
const everything = async (): Promise<string> => {
  let text = '';
  for await (const { key, value } of method.storage.scan('', new AbortController().signal))
    text += `${key} ${Buffer.from(value).toString('latin1')}\n`;
  return text;
};

beforeEach(async () => {
  method = mountForTest(approle);
  await write('role/App', { token_policies: 'p', token_ttl: '10m' });
});

describe('a login', () => {
  it('takes the role id and a secret id, and gives what the role and the secret id say', async () => {
    const made = await secretId({ metadata: '{"host":"a","role_name":"forged"}' });
    expect(made).toEqual({
      secret_id: expect.stringMatching(UUID),
      secret_id_accessor: expect.stringMatching(UUID),
      secret_id_num_uses: 0,
      secret_id_ttl: 0,
    });
    const id = await roleId('APP');
    expect((await login(id, made.secret_id)).auth).toMatchObject({
      displayName: 'approle',
      policies: ['p'],
      metadata: { host: 'a', role_name: 'app' },
      alias: { name: id },
      token: { ttlMs: 600_000 },
    });
  });

  it("answers alike whether the role id, the secret id or both are wrong, and where it is another role's", async () => {
    const { secret_id: secret } = await secretId();
    await write('role/other');
    const other = await roleId('other');
    for (const [role, given] of [
      ['none', secret],
      [await roleId(), 'wrong'],
      ['none', 'wrong'],
      [other, secret],
      ['__proto__', secret],
      ['app', secret],
    ])
      expect(await failureOf(login(role, given))).toEqual(INVALID);
    for (const role of [await roleId(), 'none'])
      for (const none of ['', undefined])
        expect(await failureOf(login(role, none))).toMatchObject({ message: 'missing secret_id' });
    expect(await failureOf(login('', secret))).toMatchObject({ message: 'missing role_id' });
  });

  it('reads as much of the store for a role id that stands for nothing', async () => {
    let reads = 0;
    method = mountForTest(approle, {
      wrap: (storage) => ({
        get: (key) => {
          reads++;
          return storage.get(key);
        },
        list: (prefix, page) => storage.list(prefix, page),
        scan: (prefix, signal) => storage.scan(prefix, signal),
        commit: (writes, checks) => storage.commit(writes, checks),
      }),
    });
    await write('role/app');
    await secretId();
    const id = await roleId();
    const counted = async (call: Promise<unknown>): Promise<number> => {
      reads = 0;
      await failureOf(call);
      return reads;
    };
    const real = await counted(login(id, 'wrong'));
    expect(real).toBeGreaterThan(2);
    expect(await counted(login('none', 'wrong'))).toBe(real);
  });

  it('without a secret id works where the role binds none, from the networks that it must name then', async () => {
    expect(await failureOf(write('role/open', { bind_secret_id: false }))).toMatchObject({
      message: 'at least one constraint should be enabled on the role',
    });
    await write('role/open', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' });
    const id = await roleId('open');
    expect((await login(id, undefined, '10.1.1.1')).auth).toBeDefined();
    expect(await failureOf(login(id, undefined, '11.1.1.1'))).toMatchObject({ code: 'approle.address' });
    expect(await failureOf(write('role/open/secret-id'))).toMatchObject({
      message: 'bind_secret_id is not set on the role',
    });
    expect(await failureOf(method.call('delete', 'role/open/bound-cidr-list'))).toMatchObject({
      message: 'at least one constraint should be enabled on the role',
    });
  });

  it('is held to the networks of the secret id and of the token', async () => {
    const bound = await secretId({ cidr_list: '10.0.0.0/8', token_bound_cidrs: '10.1.0.0/16' });
    const id = await roleId();
    expect(await failureOf(login(id, bound.secret_id, '11.0.0.1'))).toMatchObject({
      code: 'approle.address',
    });
    expect(await failureOf(login(id, bound.secret_id, '10.2.0.1'))).toMatchObject({ code: 'request.denied' });
    expect((await login(id, bound.secret_id, '10.1.0.1')).auth?.token.boundCidrs).toEqual(['10.1.0.0/16']);
  });
});

describe('a secret id', () => {
  it('is nowhere in the store, nor is the role id a key of it', async () => {
    const made = await secretId({ metadata: { a: 'b' } });
    const custom = 'my-own-secret-id';
    await write('role/app/custom-secret-id', { secret_id: custom });
    await login(await roleId(), made.secret_id);
    const all = await everything();
    expect(all).toContain('secret/');
    for (const secret of [made.secret_id, custom]) expect(all).not.toContain(secret);
  });

  it('is used exactly as often as it may be, also when all come at once', async () => {
    await write('role/app', { secret_id_num_uses: 3 });
    const made = await secretId();
    expect(made.secret_id_num_uses).toBe(3);
    const id = await roleId();
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => login(id, made.secret_id)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(await failureOf(login(id, made.secret_id))).toEqual(INVALID);
    expect((await method.call('list', 'role/app/secret-id')).data).toEqual({ keys: [] });
  });

  it('loses no use to a login that its networks refuse', async () => {
    const made = await secretId({ num_uses: 1, cidr_list: '10.0.0.1' });
    await failureOf(login(await roleId(), made.secret_id, '10.0.0.2'));
    expect((await login(await roleId(), made.secret_id, '10.0.0.1')).auth).toBeDefined();
  });

  it('ends to the millisecond, and is cleared away by the hour', async () => {
    await write('role/app/secret-id-ttl', { secret_id_ttl: '5m' });
    const made = await secretId();
    const id = await roleId();
    method.clock.advance(299_999);
    expect((await login(id, made.secret_id)).auth).toBeDefined();
    method.clock.advance(1);
    expect(await failureOf(login(id, made.secret_id))).toEqual(INVALID);
    expect((await write('role/app/secret-id/lookup', { secret_id: made.secret_id })).status).toBe(204);
    expect(await everything()).toContain('secret/');
    method.clock.advance(3_600_000);
    await method.plugin.tick?.();
    expect(await everything()).not.toMatch(/secret\/|accessor\//);
  });

  it('is looked up and destroyed by itself or its accessor, of its own role alone', async () => {
    await write('role/other');
    for (const by of ['secret-id', 'secret-id-accessor']) {
      const made = await secretId({
        metadata: '{"a":"b"}',
        cidr_list: ['10.0.0.0/8'],
        num_uses: 2,
        ttl: '1h',
      });
      const body =
        by === 'secret-id' ? { secret_id: made.secret_id } : { secret_id_accessor: made.secret_id_accessor };
      const { data, text } = await write(`role/app/${by}/lookup`, body);
      expect(data).toMatchObject({
        cidr_list: ['10.0.0.0/8'],
        metadata: { a: 'b' },
        secret_id_accessor: made.secret_id_accessor,
        secret_id_num_uses: 2,
        secret_id_ttl: 3600,
        token_bound_cidrs: [],
      });
      expect(text).not.toContain(made.secret_id);
      expect((await method.call('list', 'role/app/secret-id')).data.keys).toEqual([made.secret_id_accessor]);
      if (by === 'secret-id') await write(`role/other/${by}/destroy`, body);
      else
        expect(await failureOf(write(`role/other/${by}/destroy`, body))).toMatchObject({
          code: 'approle.unknown_accessor',
        });
      expect((await method.call('list', 'role/app/secret-id')).data.keys).toHaveLength(1);
      await write(`role/app/${by}/destroy`, body);
      expect((await method.call('list', 'role/app/secret-id')).data.keys).toEqual([]);
      expect(await failureOf(login(await roleId(), made.secret_id, '10.0.0.1'))).toEqual(INVALID);
    }
    expect(
      await failureOf(write('role/app/secret-id-accessor/lookup', { secret_id_accessor: 'x' })),
    ).toMatchObject({
      message: 'failed to find accessor entry for secret_id_accessor: "x"',
    });
  });

  it.each([
    [{ num_uses: 0 }, "num_uses cannot be higher than the role's secret_id_num_uses"],
    [{ num_uses: 6 }, "num_uses cannot be higher than the role's secret_id_num_uses"],
    [{ num_uses: -1 }, 'num_uses cannot be negative'],
    [{ ttl: 0 }, "ttl cannot be longer than the role's secret_id_ttl"],
    [{ ttl: '2h' }, "ttl cannot be longer than the role's secret_id_ttl"],
    [{ ttl: -1 }, 'ttl cannot be negative'],
    [{ cidr_list: '11.0.0.0/8' }, 'cidr_list must lie within the address blocks of the role'],
    [{ cidr_list: '10.0.0.0/7' }, 'cidr_list must lie within the address blocks of the role'],
    [{ cidr_list: '::ffff:10.0.0.0/8' }, 'cidr_list must lie within the address blocks of the role'],
    [{ cidr_list: 'x' }, 'cidr_list holds what is no address block'],
    [{ metadata: '{"a":' }, 'metadata must be a JSON object of texts, within bounds'],
    [{ metadata: '[1]' }, 'metadata must be a JSON object of texts, within bounds'],
    [{ metadata: '{"a":1}' }, 'metadata must be a JSON object of texts, within bounds'],
  ])('is not made wider than its role: %j', async (data, message) => {
    await write('role/app', {
      secret_id_num_uses: 5,
      secret_id_ttl: '1h',
      secret_id_bound_cidrs: '10.0.0.0/8',
    });
    expect(await failureOf(write('role/app/secret-id', data))).toMatchObject({ message });
    expect((await method.call('list', 'role/app/secret-id')).data.keys).toEqual([]);
  });

  it("of one's own choosing is taken once", async () => {
    await write('role/app/custom-secret-id', { secret_id: 'mine' });
    expect((await login(await roleId(), 'mine')).auth).toBeDefined();
    expect(await failureOf(write('role/app/custom-secret-id', { secret_id: 'mine' }))).toMatchObject({
      message: 'SecretID is already registered',
    });
  });
});

describe('a role', () => {
  it('takes its secret ids with it, and one made again under its name does not bring them back', async () => {
    const id = await roleId();
    const made = await secretId();
    await method.call('delete', 'role/app');
    expect(await failureOf(login(id, made.secret_id))).toEqual(INVALID);
    await write('role/app', { role_id: id });
    expect(await failureOf(login(id, made.secret_id))).toEqual(INVALID);
    expect(await everything()).not.toMatch(/secret\//);
  });

  it('has a role id that nobody else has', async () => {
    await write('role/app/role-id', { role_id: 'chosen' });
    expect(await roleId()).toBe('chosen');
    expect(await failureOf(write('role/b', { role_id: 'chosen' }))).toMatchObject({
      message: 'role_id already in use',
    });
    const made = await secretId();
    expect((await login('chosen', made.secret_id)).auth).toBeDefined();
    await write('role/app', { role_id: 'next' });
    expect(await failureOf(login('chosen', made.secret_id))).toEqual(INVALID);
    await write('role/b', { role_id: 'chosen' });
    const race = await Promise.allSettled(
      ['c', 'd', 'e'].map((name) => write(`role/${name}`, { role_id: 'raced' })),
    );
    expect(race.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each([
    ['policies', 'token_policies', 'a,B', ['a', 'b'], []],
    ['bind-secret-id', 'bind_secret_id', 'true', true, true],
    ['secret-id-bound-cidrs', 'secret_id_bound_cidrs', '10.0.0.0/8', ['10.0.0.0/8'], null],
    ['secret-id-num-uses', 'secret_id_num_uses', 4, 4, 0],
    ['secret-id-ttl', 'secret_id_ttl', '1m', 60, 0],
    ['token-bound-cidrs', 'token_bound_cidrs', ['10.0.0.1'], ['10.0.0.1'], []],
    ['token-num-uses', 'token_num_uses', '7', 7, 0],
    ['token-ttl', 'token_ttl', 90, 90, 0],
    ['token-max-ttl', 'token_max_ttl', '1h', 3600, 0],
    ['period', 'token_period', '30s', 30, 0],
  ])('is read, set and set back by the path of one field: %s', async (path, field, sent, got, reset) => {
    await write(`role/app/${path}`, { [field]: sent });
    expect((await method.call('read', `role/app/${path}`)).data).toEqual({ [field]: got });
    expect((await method.call('read', 'role/app')).data[field]).toEqual(got);
    await method.call('delete', `role/app/${path}`);
    expect((await method.call('read', `role/app/${path}`)).data).toEqual({ [field]: reset });
    expect(await failureOf(write(`role/app/${path}`, {}))).toMatchObject({ message: `missing ${field}` });
    expect(await failureOf(write(`role/none/${path}`, { [field]: sent }))).toMatchObject({
      code: 'approle.unknown_role',
    });
    expect((await method.call('read', `role/none/${path}`)).status).toBe(404);
  });

  it('does not become local later, and says 404 where there is none', async () => {
    expect(await failureOf(write('role/app', { local_secret_ids: true }))).toMatchObject({
      message: 'local_secret_ids can only be modified during role creation',
    });
    for (const path of ['role/none', 'role/none/role-id'])
      expect((await method.call('read', path)).status).toBe(404);
    expect(await failureOf(write('role/none/secret-id'))).toMatchObject({
      message: 'role "none" does not exist',
    });
  });
});

it('tidying takes nothing of a role that is made meanwhile', async () => {
  const made = await secretId();
  await Promise.all([
    write('tidy/secret-id'),
    ...['x', 'y', 'z'].map(async (name) => {
      await write(`role/${name}`);
      await secretId({}, name);
    }),
  ]);
  expect((await write('tidy/secret-id')).status).toBe(202);
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const name of ['app', 'x', 'y', 'z'])
    expect((await method.call('list', `role/${name}/secret-id`)).data.keys).toHaveLength(1);
  expect((await login(await roleId(), made.secret_id)).auth).toBeDefined();
});

it('a network that lies within another holds no address that the other does not', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const address = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
  const network = fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([host, bits]) => `${host}/${bits}`);
  fc.assert(
    fc.property(network, network, address, (inner, outer, host) => {
      if (within([inner], [outer]) && inCidrs(host, [inner])) expect(inCidrs(host, [outer])).toBe(true);
    }),
  );
  expect(within(['10.1.0.0/16'], ['10.0.0.0/8'])).toBe(true);
});

it('at the server, guesses lock a role id, and a token is not renewed once its role is gone', async () => {
  const server = await startServer([approle]);
  try {
    await server.ask('POST', 'sys/auth/approle', { type: 'approle' });
    await server.ask('POST', 'auth/approle/role/app', { token_ttl: '1h' });
    const { role_id } = (await server.ask('GET', 'auth/approle/role/app/role-id')).json.data;
    const { secret_id } = (await server.ask('POST', 'auth/approle/role/app/secret-id')).json.data;
    const enter = (secret: string) =>
      server.ask('POST', 'auth/approle/login', { role_id, secret_id: secret });
    const { client_token } = (await enter(secret_id)).json.auth;
    const renew = () => server.ask('POST', 'auth/token/renew-self', {}, { 'x-vault-token': client_token });
    expect((await renew()).status).toBe(200);
    for (let n = 0; n < 5; n++) expect((await enter(`guess ${n}`)).status).toBe(400);
    expect((await enter(secret_id)).status).toBe(403);
    await server.ask('DELETE', 'auth/approle/role/app');
    expect((await renew()).json.errors).toEqual(['role "app" does not exist during renewal']);
  } finally {
    await server.close();
  }
});
