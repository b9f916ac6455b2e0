/** A dynamic credential in an ordinary ExternalSecret, of a real PostgreSQL: the pair logs in, and is gone when it should be. */

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noKubectl } from '../support/kubectl.ts';
import { eventually, startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { entry, makeTeam, type Team, textsOf } from '../support/team.ts';
import { hasPostgresql, KEEPER, ROOT, type Started, startPostgresql } from './database-servers.ts';

const skipped = noKubectl ?? (hasPostgresql() ? undefined : 'there is no PostgreSQL on this machine');
if (skipped !== undefined) console.warn(`SKIPPED test/real/dynamic: ${skipped}`);

const KEY = 'database/creds/dev-userservice';
const CREATION = `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`;

describe.skipIf(skipped !== undefined)('a pair from PostgreSQL', () => {
  let postgres: Started;
  let platform: TestPlatform;
  let team: Team;

  beforeAll(async () => {
    postgres = await startPostgresql();
    platform = await startTestPlatform();
    team = await makeTeam(platform, 'shop');
    const write = (path: string, body: object) => platform.root.request('PUT', path, { body });
    await write('sys/mounts/database', { type: 'database' });
    await write('database/config/postgres', {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: 'dev-*',
      connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${postgres.port}/postgres?sslmode=disable`,
      username: KEEPER,
      password: ROOT,
    });
    await write('database/roles/dev-userservice', {
      db_name: 'postgres',
      creation_statements: CREATION,
      default_ttl: '1h',
      max_ttl: '24h',
    });
  }, 60_000);
  afterAll(async () => {
    await platform?.stop();
    await postgres?.stop();
  });

  const query = async (user: string, password: string, text: string): Promise<pg.QueryResult> => {
    const connection = { host: '127.0.0.1', port: postgres.port, database: 'postgres', user, password };
    const client = new pg.Client(connection);
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  const roles = async (): Promise<string[]> =>
    (await query(KEEPER, ROOT, `SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'`)).rows.map(
      (row: { rolname: string }) => row.rolname,
    );
  const pair = (): Promise<Record<string, string>> =>
    eventually('the Secret', async () => {
      const secret = await team.secret('db');
      return secret === undefined ? undefined : textsOf(secret);
    });

  test('logs in; a new one takes its place by force-sync, and both are gone with the ExternalSecret', async () => {
    await team.externalSecret('db', {
      refreshInterval: '30m',
      data: [entry('username', KEY, 'username'), entry('password', KEY, 'password')],
    });
    const { username = '', password = '' } = await pair();
    const who = await query(username, password, 'SELECT current_user AS name');
    expect(who.rows).toEqual([{ name: username }]);
    expect(await roles()).toEqual([username]);
    await team.kubectl.ok('annotate es db -n shop force-sync=1');
    const next = await eventually('another pair', async () => {
      const found = await pair();
      return found['username'] === username ? undefined : found;
    });
    for (const [user, secret] of [
      [username, password],
      [next['username'] ?? '', next['password'] ?? ''],
    ] as const)
      expect((await query(user, secret, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await team.kubectl.ok('delete es db -n shop');
    await eventually('no account is left', async () => (await roles()).length === 0 || undefined);
    const refused = query(next['username'] ?? '', next['password'] ?? '', 'SELECT 1');
    await expect(refused).rejects.toThrow(/authentication failed/);
  }, 60_000);
});
