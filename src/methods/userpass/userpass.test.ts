import bcrypt from 'bcryptjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import { startServer, type TestServer } from '../../server/testing.ts';
import { failureOf } from '../testing.ts';
import { userpass } from './index.ts';
import { hashPassword, isPassword, NOBODY } from './password.ts';

const CANARY = 'canary-CorrectHorse';
const MINUTE = 60_000;

describe('a user', () => {
  let method: TestMount;
  const login = (name: string, password: unknown, remote?: string) =>
    method.call('write', `login/${name}`, { password }, remote === undefined ? {} : { remote });
  beforeEach(async () => {
    method = mountForTest(userpass);
    await method.call('write', 'users/Bob', { password: CANARY, token_policies: 'b,A', token_ttl: '1h' });
  });

  it('logs in with the password, in every spelling of the name, and gets what was set', async () => {
    for (const name of ['bob', 'BOB', 'bOb'])
      expect((await login(name, CANARY)).auth).toMatchObject({
        displayName: 'userpass-bob',
        policies: ['a', 'b'],
        metadata: { username: 'bob' },
        alias: { name: 'bob' },
        token: { ttlMs: 3_600_000 },
      });
    expect((await method.call('list', 'users')).data).toEqual({ keys: ['bob'] });
  });

  it.each([
    ['bob', 'wrong', 'login.refused', 'invalid username or password'],
    ['bob', `${CANARY} `, 'login.refused', 'invalid username or password'],
    ['nobody', CANARY, 'login.refused', 'invalid username or password'],
    ['__proto__', CANARY, 'login.refused', 'invalid username or password'],
    ['bob', '', 'userpass.missing_password', 'missing password'],
    ['bob', undefined, 'userpass.missing_password', 'missing password'],
    ['nobody', '', 'userpass.missing_password', 'missing password'],
  ])('%s with %j is refused: %s', async (name, password, code, message) => {
    expect(await failureOf(login(name, password))).toEqual({ code, message });
  });

  it('is never shown with its password or hash, and neither lies in the store in clear', async () => {
    const read = await method.call('read', 'users/bob');
    expect(read.data).toEqual({
      token_bound_cidrs: [],
      token_explicit_max_ttl: 0,
      token_max_ttl: 0,
      token_no_default_policy: false,
      token_num_uses: 0,
      token_period: 0,
      token_policies: ['a', 'b'],
      token_ttl: 3600,
      token_type: 'default',
    });
    for await (const { value } of method.storage.scan('', new AbortController().signal))
      expect(Buffer.from(value).toString()).not.toContain(CANARY);
    expect(JSON.stringify(method.logged)).not.toContain(CANARY);
  });

  it('keeps what is not sent, and changes password and policies alone by their own paths', async () => {
    await method.call('write', 'users/bob', { token_ttl: '2h' });
    expect((await login('bob', CANARY)).auth?.token.ttlMs).toBe(7_200_000);
    await method.call('write', 'users/BOB/password', { password: 'another' });
    expect(await failureOf(login('bob', CANARY))).toMatchObject({ code: 'login.refused' });
    await method.call('write', 'users/bob/policies', { policies: ['c'] });
    expect((await login('bob', 'another')).auth).toMatchObject({
      policies: ['c'],
      token: { ttlMs: 7_200_000 },
    });
  });

  it.each([
    ['users/new', { token_policies: 'a' }, 'userpass.missing_password'],
    ['users/new', { password: 'x'.repeat(73) }, 'userpass.invalid'],
    ['users/new', { password: 'ü'.repeat(37) }, 'userpass.invalid'],
    ['users/new', { password: 'a', password_hash: '$2a$10$x' }, 'userpass.invalid'],
    ['users/new', { password_hash: 'plain' }, 'userpass.invalid'],
    ['users/new', { password_hash: `$2b$31$${'a'.repeat(53)}` }, 'userpass.invalid'],
    ['users/new', { password: 'a', token_ttl: '-1s' }, 'method.token_fields'],
    ['users/new', { password: 'a', token_type: 'batch', token_num_uses: 1 }, 'method.token_fields'],
    ['users/none/password', { password: 'a' }, 'userpass.unknown_user'],
    ['users/bob/password', {}, 'userpass.missing_password'],
    ['users/none/policies', { policies: 'a' }, 'userpass.unknown_user'],
  ])('%s is not written with %j: %s', async (path, data, code) => {
    expect(await failureOf(method.call('write', path, data))).toMatchObject({ code });
    expect(await method.exists('users/new')).toBe(false);
  });

  it('may come with a hash that was made elsewhere', async () => {
    await method.call('write', 'users/moved', { password_hash: await bcrypt.hash('old', 4) });
    expect((await login('moved', 'old')).auth).toBeDefined();
    expect(await failureOf(login('moved', 'new'))).toMatchObject({ code: 'login.refused' });
  });

  it('is held to its networks', async () => {
    await method.call('write', 'users/bob', { token_bound_cidrs: '10.0.0.0/8' });
    expect((await login('bob', CANARY, '10.1.2.3')).auth?.token.boundCidrs).toEqual(['10.0.0.0/8']);
    expect(await failureOf(login('bob', CANARY, '11.0.0.1'))).toMatchObject({ code: 'request.denied' });
  });

  it('of two passwords that begin with the same 72 bytes, takes neither for the other', async () => {
    await method.call('write', 'users/long', { password: 'y'.repeat(72) });
    expect((await login('long', 'y'.repeat(72))).auth).toBeDefined();
    expect(await failureOf(login('long', 'y'.repeat(73)))).toMatchObject({ code: 'login.refused' });
  });
});

it('one who does not exist costs a comparison of as many rounds as one who does', async () => {
  expect([NOBODY.length, bcrypt.getRounds(NOBODY)]).toEqual([60, bcrypt.getRounds(await hashPassword('x'))]);
  expect(await isPassword('x', undefined)).toBe(false);
});

describe('guessing at the server', () => {
  let server: TestServer;
  let clock: ManualClock;
  const login = (name: string, password: string, mount = 'userpass') =>
    server.ask('POST', `auth/${mount}/login/${name}`, { password }, { 'x-vault-token': '' });
  const guess = async (name: string, times: number) => {
    const statuses: number[] = [];
    for (let n = 0; n < times; n++) statuses.push((await login(name, `guess ${n}`)).status);
    return statuses;
  };
  beforeEach(async () => {
    clock = new ManualClock();
    server = await startServer([userpass], { clock });
    for (const path of ['userpass', 'other'])
      await server.ask('POST', `sys/auth/${path}`, { type: 'userpass' });
    // The cheapest rounds: these tests log in dozens of times.
    const password_hash = await bcrypt.hash('right', 4);
    for (const path of ['userpass', 'other'])
      await server.ask('POST', `auth/${path}/users/bob`, { password_hash });
  });
  afterEach(() => server.close());

  it('locks a name on that mount after five wrong passwords, and opens it after fifteen minutes', async () => {
    expect(await guess('BOB', 5)).toEqual([400, 400, 400, 400, 400]);
    const locked = await login('bob', 'right');
    expect([locked.status, locked.json]).toEqual([403, { errors: ['permission denied'] }]);
    expect((await login('bob', 'right', 'other')).status).toBe(200);
    clock.advance(15 * MINUTE - 1);
    expect((await login('bob', 'right')).status).toBe(403);
    clock.advance(1);
    const free = await login('bob', 'right');
    expect([free.status, free.json.auth]).toEqual([
      200,
      expect.objectContaining({
        policies: ['default'],
        token_type: 'service',
        metadata: { username: 'bob' },
      }),
    ]);
  });

  it('tells nothing of which names there are, neither before the lock nor behind it', async () => {
    for (let n = 0; n < 7; n++) {
      const real = await login('bob', `guess ${n}`);
      const none = await login('nobody', `guess ${n}`);
      expect([none.status, none.text]).toEqual([real.status, real.text]);
    }
  });

  it('lets no more than five of a hundred guesses through that come at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => login('bob', n === 60 ? 'right' : `guess ${n}`)),
    );
    expect(answers.filter(({ status }) => status === 200)).toEqual([]);
    expect(answers.filter(({ json }) => json?.auth)).toEqual([]);
  });

  it('is forgiven by a success, listed for administrators, and undone by them', async () => {
    await guess('bob', 4);
    expect((await login('bob', 'right')).status).toBe(200);
    await guess('bob', 4);
    expect((await login('bob', 'right')).status).toBe(200);
    await guess('bob', 5);
    const { json } = await server.ask('GET', 'sys/locked-users');
    expect(json.data).toMatchObject({ total: 1 });
    const [mount] = json.data.by_namespace[0].mount_accessors;
    expect(mount).toMatchObject({ counts: 1, alias_identifiers: ['bob'] });
    expect(mount.mount_accessor).toMatch(/^auth_userpass_/);
    const opened = await server.ask('POST', `sys/locked-users/${mount.mount_accessor}/unlock/bob`);
    expect(opened.status).toBe(204);
    expect((await login('bob', 'right')).status).toBe(200);
  });

  it('does not count a login without a password', async () => {
    for (let n = 0; n < 9; n++) await login('bob', '');
    expect((await login('bob', 'right')).status).toBe(200);
  });
});

describe('a token of a login', () => {
  let server: TestServer;
  let clock: ManualClock;
  beforeEach(async () => {
    clock = new ManualClock();
    server = await startServer([userpass], { clock });
    await server.ask('POST', 'sys/auth/userpass', { type: 'userpass' });
    const password_hash = await bcrypt.hash('right', 4);
    await server.ask('POST', 'auth/userpass/users/bob', {
      password_hash,
      token_policies: 'p',
      token_ttl: '1h',
    });
  });
  afterEach(() => server.close());
  const token = async (): Promise<string> =>
    (await server.ask('POST', 'auth/userpass/login/bob', { password: 'right' })).json.auth.client_token;
  const as = (client: string, method: string, path: string, body?: unknown) =>
    server.ask(method, path, body, { 'x-vault-token': client });

  it('is renewed with the times the user has now, and not at all once the policies or the user changed', async () => {
    const client = await token();
    await server.ask('POST', 'auth/userpass/users/bob', { token_ttl: '3h' });
    expect((await as(client, 'POST', 'auth/token/renew-self')).json.auth.lease_duration).toBe(10_800);
    await server.ask('POST', 'auth/userpass/users/bob/policies', { policies: 'q' });
    const changed = await as(client, 'POST', 'auth/token/renew-self');
    expect([changed.status, changed.json.errors]).toEqual([400, ['policies have changed, not renewing']]);
    await server.ask('DELETE', 'auth/userpass/users/bob');
    expect((await as(client, 'POST', 'auth/token/renew-self')).status).toBe(400);
  });

  it('ends with the method that let its holder in, batch tokens too', async () => {
    const service = await token();
    await server.ask('POST', 'auth/userpass/users/bob', { token_type: 'batch' });
    const batch = await token();
    expect(batch).toMatch(/^hvb\./);
    for (const client of [service, batch])
      expect((await as(client, 'GET', 'auth/token/lookup-self')).status).toBe(200);
    expect((await server.ask('DELETE', 'sys/auth/userpass')).status).toBe(204);
    for (const client of [service, batch])
      expect((await as(client, 'GET', 'auth/token/lookup-self')).status).toBe(403);
  });
});
