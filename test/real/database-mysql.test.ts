/** The database engine against a MariaDB of this machine: who may log in, and who no longer may. */

import mysql, { type Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locator, openSocket } from '../../src/bin/databases.ts';
import { createAuthority } from '../../src/crypto/certificate.ts';
import { drivers } from '../../src/engines/database/drivers/index.ts';
import { database } from '../../src/engines/database/index.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { isHere, KEEPER, ROOT, type Started, startMariadb, TLS_NAME } from './database-servers.ts';

const found = isHere('mariadbd') && isHere('mariadb-install-db');
if (!found)
  console.warn('SKIPPED test/real/database-mysql: no mariadbd, or no mariadb-install-db, on the PATH');

const CREATION = `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; # who reads; and writes
GRANT SELECT, INSERT ON app.* TO '{{name}}'@'%';`;

const locate = locator({
  target: (host, port) => ({ host: host === TLS_NAME ? '127.0.0.1' : host, port }),
  allow: () => true,
});

describe.skipIf(!found).each([
  ['as it is delivered', []],
  // Backslashes escape nothing here and double quotes stand for names, so that a value escaped for the default would break out.
  ['with the quoting of ANSI', ['--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES']],
])('the database engine on MariaDB, %s', (_, settings) => {
  let db: Started;
  let server: TestServer;
  let admin: Connection;
  const dsn = (): string => `{{username}}:{{password}}@tcp(127.0.0.1:${db.port})/`;

  const login = async (user: string, password: string): Promise<Connection> => {
    const connection = await mysql.createConnection({ host: '127.0.0.1', port: db.port, user, password });
    connection.on('error', () => {});
    return connection;
  };
  const canLogIn = async (user: string, password: string): Promise<boolean> => {
    try {
      await (await login(user, password)).end();
      return true;
    } catch {
      return false;
    }
  };
  const accounts = async (): Promise<string[]> => {
    const [rows] = await admin.query(`SELECT user AS name FROM mysql.user WHERE user LIKE 'v-%'`);
    return (rows as { name: string }[]).map((row) => row.name);
  };
  const write = (path: string, body: unknown = {}) => server.ask('POST', `database/${path}`, body);
  const read = (path: string) => server.ask('GET', `database/${path}`);
  const revoke = (id: string) => server.ask('POST', 'sys/leases/revoke', { lease_id: id, sync: true });
  const config = (more: object = {}) => ({
    plugin_name: 'mysql-database-plugin',
    allowed_roles: 'app-*',
    connection_url: dsn(),
    username: KEEPER,
    password: ROOT,
    ...more,
  });

  beforeAll(async () => {
    db = await startMariadb(settings);
    admin = await login(KEEPER, ROOT);
    await admin.query('CREATE DATABASE app');
    await admin.query('CREATE TABLE app.things (id int)');
    await admin.query('INSERT INTO app.things VALUES (7)');
    server = await startServer([database(drivers(locate, openSocket))]);
    await server.ask('POST', 'sys/mounts/database', { type: 'database' });
    expect(await write('config/mysql', config())).toMatchObject({ status: 204 });
    for (const [name, more] of [
      ['app-reader', {}],
      ['app-brief', { default_ttl: '2s' }],
      ['other', {}],
    ] as const)
      expect(
        (
          await write(`roles/${name}`, {
            db_name: 'mysql',
            creation_statements: CREATION,
            default_ttl: '1h',
            max_ttl: '24h',
            ...more,
          })
        ).status,
      ).toBe(204);
  });
  afterAll(async () => {
    await server?.close();
    await admin?.end();
    await db?.stop();
  });

  test('an account logs in with what it was granted, and is gone with its sessions once its lease is revoked', async () => {
    const { status, json } = await read('creds/app-reader');
    expect(status).toBe(200);
    const { username, password } = json.data;
    expect(username).toMatch(/^v-root-app-reader-[A-Za-z0-9]{14,16}$/);
    expect(username).toHaveLength(32);
    const session = await login(username, password);
    expect((await session.query('SELECT id FROM app.things'))[0]).toEqual([{ id: 7 }]);
    await expect(session.query('SELECT 1 FROM mysql.user')).rejects.toThrow();

    const renewed = await server.ask('POST', 'sys/leases/renew', {
      lease_id: json.lease_id,
      increment: 7200,
    });
    expect(renewed.json.lease_duration).toBe(7200);

    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(await accounts()).not.toContain(username);
    expect(await canLogIn(username, password)).toBe(false);
    await expect(session.query('SELECT id FROM app.things')).rejects.toThrow();
    session.destroy();
  });

  test('an account is gone when its lease ends, and its lease as well', async () => {
    const { username, password } = (await read('creds/app-brief')).json.data;
    expect(await canLogIn(username, password)).toBe(true);
    for (let tries = 0; (await accounts()).includes(username) && tries < 300; tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await canLogIn(username, password)).toBe(false);
  });

  test('an account for another host than % is taken away too, and statements of a role are used where it has any', async () => {
    await write('roles/app-local', {
      db_name: 'mysql',
      creation_statements: [`CREATE USER '{{name}}'@'127.0.0.1' IDENTIFIED BY '{{password}}'`],
    });
    const local = (await read('creds/app-local')).json;
    expect(await canLogIn(local.data.username, local.data.password)).toBe(true);
    expect((await revoke(local.lease_id)).status).toBe(204);
    expect(await accounts()).not.toContain(local.data.username);

    await write('roles/app-own', {
      db_name: 'mysql',
      creation_statements: CREATION,
      revocation_statements: [`INSERT INTO app.things VALUES (8); DROP USER '{{username}}'@'%'`],
    });
    const own = (await read('creds/app-own')).json;
    expect((await revoke(own.lease_id)).status).toBe(204);
    expect((await admin.query('SELECT id FROM app.things WHERE id = 8'))[0]).toHaveLength(1);
    expect(await accounts()).not.toContain(own.data.username);
  });

  test('statements may come as JSON, in base64, or in both', async () => {
    const list = JSON.stringify([
      `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`,
      'GRANT SELECT ON `app`.* TO `{{name}}`@`%`',
    ]);
    for (const creation_statements of [list, btoa(list), btoa(CREATION), [btoa(CREATION)]]) {
      await write('roles/app-packed', { db_name: 'mysql', creation_statements });
      const { json } = await read('creds/app-packed');
      expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
      await revoke(json.lease_id);
    }
    expect((await read('roles/app-packed')).json.data.creation_statements).toEqual([btoa(CREATION)]);
  });

  test('a role that fails half way leaves no account, and no word of its password', async () => {
    const before = await accounts();
    await write('roles/app-broken', {
      db_name: 'mysql',
      creation_statements: [CREATION, `GRANT SELECT ON app.nothing_of_the_kind TO '{{name}}'@'%'`],
    });
    const { status, json } = await read('creds/app-broken');
    expect({ status, errors: json.errors }).toEqual({
      status: 500,
      errors: ['the database did not do it: there is no such table (ER_NO_SUCH_TABLE)'],
    });
    expect(await accounts()).toEqual(before);
    const leases = () => server.ask('LIST', 'sys/leases/lookup/database/creds/app-broken');
    for (let tries = 0; (await leases()).status === 200 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await leases()).status).toBe(404);
  });

  test('names of those who ask, whatever is in them, do nothing but name', async () => {
    const template = `{{.DisplayName}}x'"\\\`; DROP TABLE app.things; -- {{random 4}}`;
    expect(
      (await write('config/hostile', config({ allowed_roles: '*', username_template: template }))).status,
    ).toBe(204);
    await write('roles/hostile', {
      db_name: 'hostile',
      creation_statements: `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON app.* TO \`{{name}}\`@'%'`,
    });
    const { status, json } = await read('creds/hostile');
    expect(status).toBe(200);
    expect(json.data.username).toContain(`'"\\\`; DROP TABLE`);
    expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(await canLogIn(json.data.username, json.data.password)).toBe(false);
    expect((await admin.query('SELECT count(*) AS n FROM app.things'))[0]).toEqual([{ n: 2 }]);
  });

  test('a template that makes a name in use is refused, and the account that has it stays', async () => {
    await admin.query(`CREATE USER 'taken-app'@'%' IDENTIFIED BY 'old'`);
    await write('config/fixed', config({ allowed_roles: '*', username_template: 'taken-{{.RoleName}}' }));
    await write('roles/app', { db_name: 'fixed', creation_statements: CREATION });
    const { status, json } = await read('creds/app');
    expect({ status, errors: json.errors }).toEqual({
      status: 409,
      errors: [expect.stringContaining('"taken-app", which there is already')],
    });
    expect(await canLogIn('taken-app', 'old')).toBe(true);
  });

  test('a hostile name of an account that is rotated is quoted, and nothing else happens', async () => {
    const hostile = `ev'il\\"\`; -- `;
    // The server of this suite may read backslashes or not: a parameter is the same to both.
    await admin.query('SET SESSION sql_mode = ?', ['']);
    await admin.query(`CREATE USER ${mysql.escape(hostile)}@'%' IDENTIFIED BY 'old'`);
    expect(
      await write('static-roles/app-static', { db_name: 'mysql', username: hostile, rotation_period: '1h' }),
    ).toMatchObject({ status: 204 });
    const first = (await read('static-creds/app-static')).json.data;
    expect(first).toMatchObject({ username: hostile, rotation_period: 3600 });
    expect(await canLogIn(hostile, 'old')).toBe(false);
    expect(await canLogIn(hostile, first.password)).toBe(true);
    expect((await write('rotate-role/app-static')).status).toBe(204);
    const second = (await read('static-creds/app-static')).json.data;
    expect(await canLogIn(hostile, first.password)).toBe(false);
    expect(await canLogIn(hostile, second.password)).toBe(true);
    expect((await admin.query('SELECT count(*) AS n FROM app.things'))[0]).toEqual([{ n: 2 }]);
  });

  test('older kinds get names of sixteen characters', async () => {
    await write('config/legacy', config({ plugin_name: 'mysql-legacy-database-plugin', allowed_roles: '*' }));
    await write('roles/app-legacy', { db_name: 'legacy', creation_statements: CREATION });
    const { json } = await read('creds/app-legacy');
    expect(json.data.username).toMatch(/^v-app--[A-Za-z0-9]{9}$/);
    expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
    await revoke(json.lease_id);
  });

  test('TLS is verified against the authority and the name, or asked for without', async () => {
    const url = (host: string, query = '') => `{{username}}:{{password}}@tcp(${host}:${db.port})/${query}`;
    await admin.query(`CREATE USER IF NOT EXISTS 'secure'@'%' IDENTIFIED BY '${ROOT}' REQUIRE SSL`);
    await admin.query(`GRANT ALL PRIVILEGES ON *.* TO 'secure'@'%' WITH GRANT OPTION`);
    const other = await createAuthority('somebody else');
    const secure = (more: object) => config({ username: 'secure', allowed_roles: '*', ...more });
    for (const [more, reason] of [
      [{ connection_url: url(TLS_NAME) }, 'password authentication failed'],
      [{ connection_url: url(TLS_NAME, '?tls=true') }, 'TLS failed'],
      [{ connection_url: url(TLS_NAME), tls_ca: other.certificate }, 'TLS failed'],
      [{ connection_url: url('localhost'), tls_ca: db.ca }, 'TLS failed'],
      [{ connection_url: url('127.0.0.1'), tls_ca: db.ca }, 'tls_server_name'],
    ] as const) {
      const { status, json, text } = await write('config/tls', secure(more));
      expect({ more, status, error: json?.errors?.[0] }).toEqual({
        more,
        status: 400,
        error: expect.stringContaining(reason),
      });
      expect(text).not.toContain('canary');
    }
    for (const more of [
      { connection_url: url(TLS_NAME), tls_ca: db.ca },
      { connection_url: url('127.0.0.1'), tls_ca: db.ca, tls_server_name: TLS_NAME },
      { connection_url: url('127.0.0.1'), tls_ca: other.certificate, tls_skip_verify: true },
      { connection_url: url('127.0.0.1', '?tls=skip-verify') },
      { connection_url: url('127.0.0.1', '?tls=preferred') },
    ]) {
      expect({ more, status: (await write('config/tls', secure(more))).status }).toEqual({
        more,
        status: 204,
      });
      await server.ask('DELETE', 'database/config/tls');
    }
  });

  test('the root password is rotated away from whoever wrote it, and accounts are still made', async () => {
    await admin.query(`CREATE USER 'rooty'@'%' IDENTIFIED BY '${ROOT}'`);
    await admin.query(`GRANT ALL PRIVILEGES ON *.* TO 'rooty'@'%' WITH GRANT OPTION`);
    await write('config/rooty', config({ username: 'rooty', allowed_roles: '*' }));
    await write('roles/app-rooty', { db_name: 'rooty', creation_statements: CREATION });
    expect((await write('rotate-root/rooty')).status).toBe(204);
    expect(await canLogIn('rooty', ROOT)).toBe(false);
    const { json } = await read('creds/app-rooty');
    expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
    await revoke(json.lease_id);
    const shown = await read('config/rooty');
    expect(shown.json.data.connection_details).toMatchObject({ connection_url: dsn(), username: 'rooty' });
    expect(shown.text).not.toContain(ROOT);
    expect(shown.text).not.toContain('"password"');
  });

  test('an account without the right to see others still makes and takes away its own', async () => {
    await admin.query(`CREATE USER 'modest'@'%' IDENTIFIED BY '${ROOT}'`);
    await admin.query(`GRANT CREATE USER ON *.* TO 'modest'@'%'`);
    await admin.query(`GRANT SELECT ON app.* TO 'modest'@'%' WITH GRANT OPTION`);
    await write('config/modest', config({ username: 'modest', allowed_roles: '*' }));
    await write('roles/app-modest', {
      db_name: 'modest',
      creation_statements: `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON app.* TO '{{name}}'@'%'`,
      revocation_statements: `DROP USER IF EXISTS '{{name}}'@'%'`,
    });
    const { json } = await read('creds/app-modest');
    expect(await canLogIn(json.data.username, json.data.password)).toBe(true);
    expect((await revoke(json.lease_id)).status).toBe(204);
    expect(await canLogIn(json.data.username, json.data.password)).toBe(false);
  });

  test('after the server went away and came back, accounts are made again', async () => {
    await db.restart();
    admin = await login(KEEPER, ROOT);
    let status = 0;
    for (let tries = 0; tries < 5 && status !== 200; tries++)
      status = (await read('creds/app-reader')).status;
    expect(status).toBe(200);
  });

  test('a wrong password, port or database is told without what was sent', async () => {
    for (const [changed, reason] of [
      [{ password: 'canary-wrong' }, 'password authentication failed (ER_ACCESS_DENIED_ERROR)'],
      [{ connection_url: '{{username}}:{{password}}@tcp(127.0.0.1:1)/' }, 'ECONNREFUSED'],
      [{ connection_url: `${dsn()}none` }, 'there is no such database (ER_BAD_DB_ERROR)'],
    ] as const) {
      const { status, json, text } = await write('config/wrong', config(changed));
      expect({ status, error: json?.errors?.[0] }).toEqual({
        status: 400,
        error: `error creating database object: error verifying connection: the database cannot be reached: ${reason}`,
      });
      expect(text).not.toContain('canary');
    }
    expect((await read('config/wrong')).status).toBe(404);
  });
});
