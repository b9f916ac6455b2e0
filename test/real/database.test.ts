/** The database engine against a PostgreSQL of this machine: who may log in, and who no longer may. */

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locator } from '../../src/bin/databases.ts';
import type { Connect } from '../../src/engines/database/driver.ts';
import { postgresql } from '../../src/engines/database/drivers/postgresql.ts';
import { database } from '../../src/engines/database/index.ts';
import { startServer, type TestServer } from '../../src/server/testing.ts';
import { hasPostgresql, KEEPER, ROOT, type Started, startPostgresql } from './database-servers.ts';

const found = hasPostgresql();
if (!found) console.warn('SKIPPED test/real/database: no initdb on the PATH, or no user postgres');

const URL = (port: number) =>
  `postgresql://{{username}}:{{password}}@localhost:${port}/postgres?sslmode=disable`;
/** As the second seed document has it, with the database of its own. */
const CREATION = `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \\
    GRANT CONNECT ON DATABASE dev_userdb TO "{{name}}"; \\
    GRANT USAGE ON SCHEMA public TO "{{name}}"; \\
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{{name}}"; \\
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "{{name}}";`.replaceAll('\\\n', '\n');

describe.skipIf(!found)('the database engine on PostgreSQL', () => {
  let postgres: Started;
  let port: number;
  let server: TestServer;
  const locate = locator({ target: (host, at) => ({ host, port: at }), allow: () => true });
  let between: (() => Promise<void>) | undefined;
  /** The driver itself, with a place to fail at: between the lease and the account. */
  const connect: Connect = (...given) => {
    const made = postgresql(locate)(...given);
    return {
      close: () => made.close(),
      async transaction(work) {
        await between?.();
        return made.transaction(work);
      },
    };
  };

  const login = async (user: string, password: string, name = 'postgres'): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: name, ssl: false });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const canLogIn = async (user: string, password: string, name?: string): Promise<boolean> => {
    try {
      await (await login(user, password, name)).end();
      return true;
    } catch {
      return false;
    }
  };
  let admin: pg.Client;
  const isThere = async (user: string): Promise<boolean> =>
    (await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [user])).rowCount === 1;
  const gone = async (user: string): Promise<void> => {
    for (let tries = 0; (await isThere(user)) && tries < 300; tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await isThere(user)).toBe(false);
  };
  const accounts = async (): Promise<string[]> =>
    (await admin.query(`SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'`)).rows.map(
      (row) => row.rolname,
    );

  beforeAll(async () => {
    postgres = await startPostgresql();
    port = postgres.port;
    admin = await login(KEEPER, ROOT);
    await admin.query('CREATE DATABASE dev_userdb');
    await admin.query(`CREATE ROLE vault WITH LOGIN SUPERUSER PASSWORD '${ROOT}'`);
    await admin.query(`CREATE TABLE things (id int)`);
    await admin.query('INSERT INTO things VALUES (7)');

    server = await startServer([database(connect)]);
    await server.ask('POST', 'sys/mounts/database', { type: 'database' });
    const written = await server.ask('POST', 'database/config/postgres', {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: 'dev-*,staging-*',
      connection_url: URL(port),
      username: 'vault',
      password: ROOT,
    });
    expect(written).toMatchObject({ status: 204 });
    for (const [name, ttl] of [
      ['dev-userservice', '1h'],
      ['dev-brief', '2s'],
      ['other', '1h'],
    ])
      expect(
        (
          await server.ask('POST', `database/roles/${name}`, {
            db_name: 'postgres',
            creation_statements: CREATION,
            default_ttl: ttl,
            max_ttl: '24h',
          })
        ).status,
      ).toBe(204);
  });

  afterAll(async () => {
    await server?.close();
    await admin?.end();
    await postgres?.stop();
  });

  const creds = (role: string) => server.ask('GET', `database/creds/${role}`);

  test('an account logs in with what it was granted, and is gone with its sessions once its lease is revoked', async () => {
    const { status, json } = await creds('dev-userservice');
    expect(status).toBe(200);
    const { username, password } = json.data;
    expect(username).toMatch(/^v-root-dev-user-[A-Za-z0-9]{20}-\d{10}$/);
    expect(json).toMatchObject({ renewable: true, lease_duration: 3600 });
    expect(json.lease_id).toMatch(/^database\/creds\/dev-userservice\/[A-Za-z0-9]{24}$/);

    const session = await login(username, password);
    expect((await session.query('SELECT id FROM things')).rows).toEqual([{ id: 7 }]);
    expect(await canLogIn(username, password, 'dev_userdb')).toBe(true);
    const until = (
      await admin.query('SELECT rolvaliduntil AS at FROM pg_roles WHERE rolname = $1', [username])
    ).rows[0].at;
    expect(Math.abs(until.getTime() - Date.now() - 3_605_000)).toBeLessThan(60_000);

    expect(
      (await server.ask('POST', 'sys/leases/renew', { lease_id: json.lease_id, increment: 7200 })).json
        .lease_duration,
    ).toBe(7200);
    const later = (
      await admin.query('SELECT rolvaliduntil AS at FROM pg_roles WHERE rolname = $1', [username])
    ).rows[0].at;
    expect(later.getTime() - until.getTime()).toBeGreaterThan(3_500_000);

    expect(
      (await server.ask('POST', 'sys/leases/revoke', { lease_id: json.lease_id, sync: true })).status,
    ).toBe(204);
    expect(await isThere(username)).toBe(false);
    expect(await canLogIn(username, password)).toBe(false);
    await expect(session.query('SELECT id FROM things')).rejects.toThrow();
  });

  test('an account is gone when its lease ends', async () => {
    const { username, password } = (await creds('dev-brief')).json.data;
    expect(await canLogIn(username, password)).toBe(true);
    await gone(username);
    expect(await canLogIn(username, password)).toBe(false);
  });

  test('what an account made stays, and is ours, when the account goes', async () => {
    await admin.query('GRANT CREATE ON SCHEMA public TO PUBLIC');
    const { json } = await creds('dev-userservice');
    const session = await login(json.data.username, json.data.password);
    await session.query('CREATE TABLE kept (id int)');
    await session.end();
    expect(
      (await server.ask('POST', 'sys/leases/revoke', { lease_id: json.lease_id, sync: true })).status,
    ).toBe(204);
    expect((await admin.query(`SELECT tableowner FROM pg_tables WHERE tablename = 'kept'`)).rows).toEqual([
      { tableowner: 'vault' },
    ]);
  });

  test('a role that fails half way leaves no account, and no word of its password', async () => {
    const before = await accounts();
    await server.ask('POST', 'database/roles/dev-broken', {
      db_name: 'postgres',
      creation_statements: [CREATION, 'GRANT nothing_of_the_kind TO "{{name}}"'],
    });
    const { status, json } = await creds('dev-broken');
    expect({ status, errors: json.errors }).toEqual({
      status: 500,
      errors: ['the database did not do it: there is no such role or object (SQLSTATE 42704)'],
    });
    expect(await accounts()).toEqual(before);
  });

  test('an account whose making was cut short after its lease was written is taken away with the lease', async () => {
    const first = await startServer([database(connect)]);
    let reached = (): void => {};
    const atCreation = new Promise<void>((resolve) => {
      reached = resolve;
    });
    try {
      await first.ask('POST', 'sys/mounts/database', { type: 'database' });
      await first.ask('POST', 'database/config/postgres', {
        plugin_name: 'postgresql-database-plugin',
        allowed_roles: '*',
        connection_url: URL(port),
        username: 'vault',
        password: ROOT,
      });
      await first.ask('POST', 'database/roles/cut', {
        db_name: 'postgres',
        creation_statements: CREATION,
        default_ttl: '2s',
      });
      let asked = 0;
      between = () => {
        // Whether the name is free is asked before there is a lease.
        if (asked++ === 0) return Promise.resolve();
        reached();
        return new Promise<never>(() => {});
      };
      first.ask('GET', 'database/creds/cut').catch(() => undefined);
      await atCreation;
      const listed = await first.ask('LIST', 'sys/leases/lookup/database/creds/cut');
      expect(listed.json.data.keys).toHaveLength(1);
      between = undefined;
      const [id] = listed.json.data.keys;
      for (let tries = 0; tries < 300; tries++) {
        const left = await first.ask('POST', 'sys/leases/lookup', { lease_id: `database/creds/cut/${id}` });
        if (left.status !== 200) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect((await first.ask('LIST', 'sys/leases/lookup/database/creds/cut')).status).toBe(404);
    } finally {
      between = undefined;
      await first.close();
    }
    expect((await accounts()).filter((name) => name.includes('-cut-'))).toEqual([]);
  });

  test('a role that the database does not allow, or that there is none of, gets no account', async () => {
    expect((await creds('other')).json).toEqual({ errors: ['"other" is not an allowed role'] });
    expect(await creds('none')).toMatchObject({ status: 400, json: { errors: ['unknown role: none'] } });
  });

  test('a hostile name in an account that is rotated is quoted, and nothing else happens', async () => {
    const hostile = `ev"il'; DROP TABLE things; --$$`;
    await admin.query(`CREATE ROLE "${hostile.replaceAll('"', '""')}" WITH LOGIN PASSWORD 'old'`);
    const written = await server.ask('POST', 'database/static-roles/staging-app', {
      db_name: 'postgres',
      username: hostile,
      rotation_period: '1h',
    });
    expect(written).toMatchObject({ status: 204 });
    const first = (await server.ask('GET', 'database/static-creds/staging-app')).json.data;
    expect(first).toMatchObject({ username: hostile, rotation_period: 3600 });
    expect(await canLogIn(hostile, 'old')).toBe(false);
    expect(await canLogIn(hostile, first.password)).toBe(true);

    expect((await server.ask('POST', 'database/rotate-role/staging-app')).status).toBe(204);
    const second = (await server.ask('GET', 'database/static-creds/staging-app')).json.data;
    expect(second.password).not.toBe(first.password);
    expect(await canLogIn(hostile, first.password)).toBe(false);
    expect(await canLogIn(hostile, second.password)).toBe(true);
    expect((await admin.query('SELECT id FROM things')).rows).toEqual([{ id: 7 }]);
  });

  test('the root password is rotated away from whoever wrote it, and accounts are still made', async () => {
    expect((await server.ask('POST', 'database/rotate-root/postgres')).status).toBe(204);
    expect(await canLogIn('vault', ROOT)).toBe(false);
    const { username, password } = (await creds('dev-userservice')).json.data;
    expect(await canLogIn(username, password)).toBe(true);
    const read = await server.ask('GET', 'database/config/postgres');
    expect(read.json.data.connection_details).toMatchObject({ connection_url: URL(port), username: 'vault' });
    expect(read.text).not.toContain(ROOT);
    expect(read.text).not.toContain('"password"');
  });

  test('a wrong password, port or TLS mode is told without what was sent', async () => {
    for (const [changed, reason] of [
      [{ password: 'canary-wrong' }, 'password authentication failed (SQLSTATE 28P01)'],
      [{ connection_url: URL(1) }, 'ECONNREFUSED'],
      [{ connection_url: URL(port).replace('disable', 'verify-full') }, 'the server does not speak TLS'],
    ] as const) {
      const { status, json, text } = await server.ask('POST', 'database/config/wrong', {
        plugin_name: 'postgresql-database-plugin',
        allowed_roles: '*',
        connection_url: URL(port),
        username: 'vault',
        password: ROOT,
        ...changed,
      });
      expect(status).toBe(400);
      expect(json.errors[0]).toBe(
        `error creating database object: error verifying connection: the database cannot be reached: ${reason}`,
      );
      expect(text).not.toContain('canary');
    }
    expect((await server.ask('GET', 'database/config/wrong')).status).toBe(404);
  });
});
