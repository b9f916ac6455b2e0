/**
 * The database commands of the documents that the project began with, run by a shell as they are typed there, `vault` being our
 * own command line, against the whole platform and a PostgreSQL of this machine. What had to be mended in them:
 *
 * - VAULT_ADDR and the way to the token name a cluster; here they come from the platform.
 * - The guide writes all roles over one connection to the database "postgres", whose tables are not those of dev_userdb: the
 *   commands work, and grant nothing there. The connection of dev_userdb is a second one below.
 * - The overview writes a connection without username and password, which no database lets in; it is refused, and told why.
 */

import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REQUIRE } from '../support/bundle.ts';
import { startTestPlatform, type TestPlatform } from '../support/platform.ts';
import { hasPostgresql, ROOT, type Started, startPostgresql } from './database-servers.ts';

const found = hasPostgresql();
if (!found) console.warn('SKIPPED test/real/database-commands: no initdb on the PATH, or no user postgres');

const root = fileURLToPath(new URL('../..', import.meta.url));
const HOST = 'postgres.shared-services.svc.cluster.local';

/** The guide, "Enable Database Secrets Engine". */
const GUIDE = String.raw`
# Enable database secrets engine
vault secrets enable database

# Configure PostgreSQL connection
POSTGRES_PASSWORD=$(vault kv get -field=admin-password secret/shared-services/postgres)

vault write database/config/postgres \
  plugin_name=postgresql-database-plugin \
  allowed_roles="dev-*,staging-*,production-*" \
  connection_url="postgresql://{{username}}:{{password}}@postgres.shared-services.svc.cluster.local:5432/postgres?sslmode=disable" \
  username="postgres" \
  password="$POSTGRES_PASSWORD"

# Create dynamic roles for each environment and service
vault write database/roles/dev-userservice \
  db_name=postgres \
  creation_statements="CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
    GRANT CONNECT ON DATABASE dev_userdb TO \"{{name}}\"; \
    GRANT USAGE ON SCHEMA public TO \"{{name}}\"; \
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{{name}}\"; \
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO \"{{name}}\";" \
  default_ttl="1h" \
  max_ttl="24h"

vault write database/roles/production-userservice \
  db_name=postgres \
  creation_statements="CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
    GRANT CONNECT ON DATABASE production_userdb TO \"{{name}}\"; \
    GRANT USAGE ON SCHEMA public TO \"{{name}}\"; \
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{{name}}\"; \
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO \"{{name}}\";" \
  default_ttl="1h" \
  max_ttl="8h"
`;

/** The overview, "Automated rotation": the connection as it is written there, and the role. */
const OVERVIEW_CONFIG = String.raw`
vault write database/config/postgresql \
  plugin_name=postgresql-database-plugin \
  connection_url="postgresql://{{username}}:{{password}}@postgres:5432/mydb" \
  allowed_roles="readonly,readwrite"`;
const OVERVIEW_ROLE = String.raw`
vault write database/roles/readonly \
  db_name=postgresql \
  creation_statements="CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\";" \
  default_ttl="1h" \
  max_ttl="24h"
`;

describe.skipIf(!found)('the database commands of the documents', () => {
  let postgres: Started;
  let platform: TestPlatform;
  let admin: pg.Client;
  let folder: string;

  const login = async (user: string, password: string, name: string): Promise<pg.Client> => {
    const at = { host: '127.0.0.1', port: postgres.port, ssl: false, database: name };
    const client = new pg.Client({ ...at, user, password });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const shell = async (script: string): Promise<{ code: number; out: string; err: string }> => {
    const env = { ...platform.env, PATH: `${folder}/bin:${platform.env['PATH'] ?? ''}`, ROOT };
    try {
      const { stdout, stderr } = await promisify(execFile)(
        'bash',
        ['--norc', '-euo', 'pipefail', '-c', script],
        {
          env,
        },
      );
      return { code: 0, out: stdout, err: stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, out: stdout, err: stderr };
    }
  };

  beforeAll(async () => {
    postgres = await startPostgresql('postgres');
    admin = await login('postgres', ROOT, 'postgres');
    for (const name of ['dev_userdb', 'production_userdb', 'mydb'])
      await admin.query(`CREATE DATABASE ${name}`);
    for (const name of ['dev_userdb', 'mydb']) {
      const inside = await login('postgres', ROOT, name);
      await inside.query('CREATE TABLE things (id int)');
      await inside.query('INSERT INTO things VALUES (7)');
      await inside.end();
    }
    const place = { host: '127.0.0.1', port: postgres.port };
    platform = await startTestPlatform({
      resolve: new Map([
        [`${HOST}:5432`, place],
        ['postgres:5432', place],
      ]),
    });
    folder = await mkdtemp(join(root, 'node_modules', '.holdfast-commands-'));
    await build({
      absWorkingDir: root,
      entryPoints: ['src/bin/holdfast.ts'],
      outfile: join(folder, 'holdfast.js'),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      external: ['lmdb'],
      banner: REQUIRE,
      logLevel: 'error',
    });
    await mkdir(join(folder, 'bin'));
    const vault = join(folder, 'bin', 'vault');
    await writeFile(vault, `#!/bin/sh\nexec "${process.execPath}" "${folder}/holdfast.js" "$@"\n`);
    await chmod(vault, 0o755);
  });
  afterAll(async () => {
    await platform?.stop();
    await admin?.end();
    await postgres?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('the guide, as it is typed: accounts log in and are gone with their leases', async () => {
    expect(await shell(`vault kv put secret/shared-services/postgres admin-password="$ROOT"`)).toMatchObject({
      code: 0,
    });
    const ran = await shell(GUIDE);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('Success! Enabled the database secrets engine at: database/');
    expect(ran.out).toContain('Success! Data written to: database/config/postgres');
    expect(ran.out).toContain('Success! Data written to: database/roles/production-userservice');

    for (const [role, name] of [
      ['dev-userservice', 'dev_userdb'],
      ['production-userservice', 'production_userdb'],
    ] as const) {
      const shown = await shell(`vault read database/creds/${role}`);
      expect(shown.code).toBe(0);
      const field = (key: string): string => new RegExp(`^${key} +(\\S+)$`, 'm').exec(shown.out)?.[1] ?? '';
      expect(field('lease_id')).toMatch(new RegExp(`^database/creds/${role}/[A-Za-z0-9]{24}$`));
      expect(field('lease_duration')).toBe('1h');
      const session = await login(field('username'), field('password'), name);
      expect((await session.query('SELECT current_user AS me')).rows).toEqual([{ me: field('username') }]);
      expect(await shell(`vault lease revoke -sync ${field('lease_id')}`)).toMatchObject({ code: 0 });
      await expect(session.query('SELECT 1')).rejects.toThrow();
      await expect(login(field('username'), field('password'), name)).rejects.toThrow();
    }
  });

  test('mended so that it reaches the tables of the service: a connection to the database of the service', async () => {
    const mended = GUIDE.replace('vault secrets enable database', '')
      .replaceAll('config/postgres', 'config/dev-userdb')
      .replaceAll('db_name=postgres', 'db_name=dev-userdb')
      .replace(':5432/postgres?', ':5432/dev_userdb?');
    expect(await shell(mended)).toMatchObject({ code: 0, err: '' });
    const { out } = await shell('vault read -format=json database/creds/dev-userservice');
    const { data } = JSON.parse(out);
    const session = await login(data.username, data.password, 'dev_userdb');
    expect((await session.query('SELECT id FROM things')).rows).toEqual([{ id: 7 }]);
    await session.query('INSERT INTO things VALUES (8)');
    await expect(session.query('DROP TABLE things')).rejects.toThrow();
    await session.end();
  });

  test('the overview: refused without a login, with the reason, and good with one', async () => {
    const refused = await shell(OVERVIEW_CONFIG);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('username is required');
    expect(await shell(`${OVERVIEW_CONFIG} \\\n  username=postgres password="$ROOT"`)).toMatchObject({
      code: 0,
    });
    expect(await shell(OVERVIEW_ROLE)).toMatchObject({ code: 0 });
    const { out } = await shell('vault read -format=json database/creds/readonly');
    const { data } = JSON.parse(out);
    const session = await login(data.username, data.password, 'mydb');
    expect((await session.query('SELECT id FROM things')).rows).toEqual([{ id: 7 }]);
    await expect(session.query('INSERT INTO things VALUES (8)')).rejects.toThrow();
    await session.end();
    const { out: shown } = await shell('vault read database/config/postgresql');
    expect(shown).not.toContain(ROOT);
    expect(await platform.logged()).not.toContain(ROOT);
    expect(await platform.audited()).not.toContain(ROOT);
  });
});
