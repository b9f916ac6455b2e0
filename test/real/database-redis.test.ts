/** The database engine against a Redis of this machine: who may log in, and who no longer may. */

import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locator, openSocket } from '../../src/bin/databases.ts';
import { createAuthority } from '../../src/crypto/certificate.ts';
import { drivers } from '../../src/engines/database/drivers/index.ts';
import { database } from '../../src/engines/database/index.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { isHere, KEEPER, ROOT, type Started, startRedis, TLS_NAME } from './database-servers.ts';

const found = isHere('redis-server');
if (!found) console.warn('SKIPPED test/real/database-redis: no redis-server on the PATH');

const locate = locator({
  target: (host, port) => ({ host: host === TLS_NAME ? '127.0.0.1' : host, port }),
  allow: () => true,
});

describe.skipIf(!found)('the database engine on Redis', () => {
  let redis: Started;
  let server: TestServer;

  const login = async (username: string, password: string) => {
    const client = createClient({
      username,
      password,
      RESP: 2,
      disableClientInfo: true,
      socket: { host: '127.0.0.1', port: redis.port, reconnectStrategy: false },
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const canLogIn = async (username: string, password: string): Promise<boolean> => {
    try {
      (await login(username, password)).destroy();
      return true;
    } catch {
      return false;
    }
  };
  const asKeeper = async (...words: string[]): Promise<unknown> => {
    const client = await login(KEEPER, ROOT);
    try {
      return await client.sendCommand(words);
    } finally {
      client.destroy();
    }
  };
  const users = async (): Promise<string[]> => (await asKeeper('ACL', 'USERS')) as string[];
  const write = (path: string, body: unknown = {}) => server.ask('POST', `database/${path}`, body);
  const read = (path: string) => server.ask('GET', `database/${path}`);
  const revoke = (id: string) => server.ask('POST', 'sys/leases/revoke', { lease_id: id, sync: true });
  const config = (more: object = {}) => ({
    plugin_name: 'redis-database-plugin',
    allowed_roles: '*',
    host: '127.0.0.1',
    port: redis.port,
    username: KEEPER,
    password: ROOT,
    ...more,
  });

  beforeAll(async () => {
    redis = await startRedis();
    server = await startServer([database(drivers(locate, openSocket))]);
    await server.ask('POST', 'sys/mounts/database', { type: 'database' });
    expect(await write('config/redis', config())).toMatchObject({ status: 204 });
    expect(
      await write('roles/app', {
        db_name: 'redis',
        creation_statements: '["~app:*", "+get", "+set", "+acl|whoami"]',
        default_ttl: '1h',
        max_ttl: '2h',
      }),
    ).toMatchObject({ status: 204 });
    await asKeeper('SET', 'app:one', 'first');
    await asKeeper('SET', 'other', 'second');
  });
  afterAll(async () => {
    await server?.close();
    await redis?.stop();
  });

  test('an account logs in with its rules alone, and is gone with its connections once its lease is revoked', async () => {
    const { status, json } = await read('creds/app');
    expect(status).toBe(200);
    const { username, password } = json.data;
    expect(username).toMatch(/^V_ROOT_APP_[A-Z0-9]{20}_\d{10}$/);
    expect(json).toMatchObject({ renewable: true, lease_duration: 3600 });
    const session = await login(username, password);
    expect(await session.get('app:one')).toBe('first');
    await expect(session.get('other')).rejects.toThrow('NOPERM');
    await expect(session.sendCommand(['ACL', 'LIST'])).rejects.toThrow('NOPERM');

    const renewed = await server.ask('POST', 'sys/leases/renew', {
      lease_id: json.lease_id,
      increment: 5400,
    });
    expect(renewed.json.lease_duration).toBe(5400);
    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(await users()).not.toContain(username);
    expect(await canLogIn(username, password)).toBe(false);
    await expect(session.get('app:one')).rejects.toThrow();
    session.destroy();
  });

  test('what a role asks for when it says nothing is to read everything, under either name of the plugin', async () => {
    await write('config/valkey', config({ plugin_name: 'valkey-database-plugin' }));
    await write('roles/reader', { db_name: 'valkey', default_ttl: '2s' });
    const { username, password } = (await read('creds/reader')).json.data;
    const session = await login(username, password);
    expect(await session.get('other')).toBe('second');
    await expect(session.set('other', 'x')).rejects.toThrow('NOPERM');
    session.destroy();
    for (let tries = 0; (await users()).includes(username) && tries < 300; tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await canLogIn(username, password)).toBe(false);
  });

  test('no rule of a role leaves an account with another password, without one, or closed', async () => {
    const rules = ['nopass', '>shared-by-all', '~*', '+@read', 'off'];
    await write('roles/lax', { db_name: 'redis', creation_statements: JSON.stringify(rules) });
    const { json } = await read('creds/lax');
    expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
    expect(await canLogIn(json.data.username, 'shared-by-all')).toBe(false);
    expect(await canLogIn(json.data.username, 'anything')).toBe(false);
    await revoke(json.lease_id);
  });

  test.each([[['["~*","+@read"]']], [['~*', '+@read']], [btoa('["~*","+@read"]')], ['["~*","+@read"]']])(
    'rules may come as %j',
    async (creation_statements) => {
      await write('roles/packed', { db_name: 'redis', creation_statements });
      const { json } = await read('creds/packed');
      const session = await login(json.data.username, json.data.password);
      expect(await session.get('other')).toBe('second');
      session.destroy();
      await revoke(json.lease_id);
    },
  );

  test('a rule that Redis refuses leaves no account, and no word of its password', async () => {
    const before = await users();
    await write('roles/broken', {
      db_name: 'redis',
      creation_statements: '["+@read", "+nothing_of_the_kind"]',
    });
    const { status, json } = await read('creds/broken');
    expect({ status, errors: json.errors }).toEqual({
      status: 500,
      errors: ['the database did not do it: the command or a rule of the ACL was refused (ERR)'],
    });
    expect(await users()).toEqual(before);
  });

  test.each([
    ['roles/x', { db_name: 'redis', revocation_statements: 'DELUSER' }, 'creation_statements alone'],
    ['roles/x', { db_name: 'redis', creation_statements: '["~{{name}}:*"]' }, 'without placeholders'],
    ['config/x', { host: '' }, 'host cannot be empty'],
    ['config/x', { port: 0 }, 'port cannot be empty'],
    ['config/x', { password: 'canary-wrong' }, 'password authentication failed (WRONGPASS)'],
    ['config/x', { port: 1 }, 'ECONNREFUSED'],
    ['config/x', { root_rotation_statements: ['x'] }, 'creation_statements alone'],
  ])('%s is refused with %j: %s', async (path, body, reason) => {
    const { status, json, text } = await write(path, path === 'config/x' ? config(body) : body);
    expect({ status, error: json?.errors?.[0] }).toEqual({
      status: 400,
      error: expect.stringContaining(reason),
    });
    expect(text).not.toContain('canary');
  });

  test('a hostile name of an account that is rotated is an argument, and nothing else happens', async () => {
    const hostile = `ev"il';$(x)--+@all`;
    await asKeeper('ACL', 'SETUSER', hostile, 'on', '>old', '~*', '+@read');
    const role = { db_name: 'redis', username: hostile, rotation_period: '1h' };
    expect(await write('static-roles/app', role)).toMatchObject({ status: 204 });
    const first = (await read('static-creds/app')).json.data;
    expect(await canLogIn(hostile, 'old')).toBe(false);
    expect(await canLogIn(hostile, first.password)).toBe(true);
    expect((await write('rotate-role/app')).status).toBe(204);
    const second = (await read('static-creds/app')).json.data;
    expect(await canLogIn(hostile, first.password)).toBe(false);
    expect(await canLogIn(hostile, second.password)).toBe(true);
    // What it may do is as it was.
    const session = await login(hostile, second.password);
    await expect(session.set('other', 'x')).rejects.toThrow('NOPERM');
    session.destroy();
  });

  test('an account that is not there is not made by taking it over', async () => {
    const { status, json } = await write('static-roles/none', {
      db_name: 'redis',
      username: 'nobody',
      rotation_period: '1h',
    });
    expect({ status, errors: json.errors }).toEqual({
      status: 500,
      errors: ['the database did not do it: there is no such user'],
    });
    expect(await users()).not.toContain('nobody');
    expect((await read('static-roles/none')).status).toBe(404);
  });

  test('what was done holds after a restart: who was taken away does not come back, a new password stays', async () => {
    const gone = (await read('creds/app')).json;
    const kept = (await read('creds/app')).json;
    expect((await revoke(gone.lease_id)).status).toBe(204);
    const held = (await read('static-creds/app')).json.data;
    await redis.restart();
    expect(await canLogIn(gone.data.username, gone.data.password)).toBe(false);
    expect(await canLogIn(kept.data.username, kept.data.password)).toBe(true);
    expect(await canLogIn(held.username, held.password)).toBe(true);
    // The engine connects anew.
    let status = 0;
    for (let tries = 0; tries < 3 && status !== 200; tries++) status = (await read('creds/app')).status;
    expect(status).toBe(200);
  });

  test('the root password is rotated away from whoever wrote it, and accounts are still made', async () => {
    await asKeeper('ACL', 'SETUSER', 'rooty', 'on', `>${ROOT}`, '~*', '&*', '+@all');
    await write('config/rooty', config({ username: 'rooty' }));
    await write('roles/rooty', { db_name: 'rooty' });
    expect((await write('rotate-root/rooty')).status).toBe(204);
    expect(await canLogIn('rooty', ROOT)).toBe(false);
    const { json } = await read('creds/rooty');
    expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
    await revoke(json.lease_id);
    const shown = await read('config/rooty');
    expect(shown.json.data.connection_details).toEqual({
      host: '127.0.0.1',
      port: redis.port,
      tls: false,
      username: 'rooty',
      username_template: '',
      insecure_tls: false,
      ca_cert: '',
    });
    expect(shown.text).not.toContain(ROOT);
  });

  test('TLS is verified against the authority and the name, or asked for without', async () => {
    const other = await createAuthority('somebody else');
    const tls = { port: redis.tlsPort, tls: true };
    for (const more of [
      { ...tls, host: TLS_NAME },
      { ...tls, host: TLS_NAME, ca_cert: other.certificate },
      { ...tls, host: 'localhost', ca_cert: redis.ca },
      { ...tls, host: '127.0.0.1', ca_cert: redis.ca },
      { host: TLS_NAME, port: redis.tlsPort },
    ]) {
      const { status, text } = await write('config/tls', config(more));
      expect({ more, status }).toEqual({ more, status: 400 });
      expect(text).toContain('error verifying connection');
      expect(text).not.toContain('canary');
    }
    for (const more of [
      { ...tls, host: TLS_NAME, ca_cert: redis.ca },
      { ...tls, host: '127.0.0.1', insecure_tls: true },
    ])
      expect({ more, status: (await write('config/tls', config(more))).status }).toEqual({
        more,
        status: 204,
      });
    await write('roles/tls', { db_name: 'tls' });
    expect((await read('creds/tls')).status).toBe(200);
  });

  test('a URL may hold the login, which is not shown and not rotated', async () => {
    const { status, json } = await write('config/url', {
      plugin_name: 'redis-database-plugin',
      allowed_roles: '*',
      connection_url: `redis://${KEEPER}:${ROOT}@127.0.0.1:${redis.port}`,
    });
    expect(status).toBe(200);
    expect(json.warnings).toEqual([expect.stringContaining('Password found')]);
    expect((await read('config/url')).text).not.toContain(ROOT);
    expect((await write('rotate-root/url')).status).toBe(400);
  });
});
