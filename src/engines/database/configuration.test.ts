import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import { mountForTest, type TestMount } from '../../plugin/testing.ts';
import type { Connect, Login } from './driver.ts';
import { database } from './index.ts';
import type { Target, TlsMaterial } from './target.ts';

const CANARY = 'canary-password';
const MYSQL = {
  plugin_name: 'mysql-database-plugin',
  connection_url: '{{username}}:{{password}}@tcp(db.svc:3306)/',
  username: 'keeper',
  password: CANARY,
};
const REDIS = {
  plugin_name: 'valkey-database-plugin',
  host: 'cache.svc',
  port: 6379,
  username: 'keeper',
  password: CANARY,
};

describe('a connection', () => {
  let engine: TestMount;
  let opened: { target: Target; login: Login; tls: TlsMaterial }[];
  let ca: string;
  let pair: { certificate: string; key: string };

  beforeAll(async () => {
    const authority = await createAuthority('a test');
    ca = authority.certificate;
    pair = await issueCertificate(authority, { names: ['keeper'], ips: [], client: true });
  });
  beforeEach(() => {
    opened = [];
    const connect: Connect = (target, login, tls) => ({
      close: async () => {},
      async transaction(work) {
        opened.push({ target, login, tls });
        return work(async () => []);
      },
    });
    engine = mountForTest(database(connect));
  });

  it('to MySQL takes certificate and key in one text, and shows neither', async () => {
    const both = pair.certificate + pair.key;
    await engine.call('write', 'config/db', { ...MYSQL, tls_ca: ca, tls_certificate_key: both });
    expect(opened[0]).toMatchObject({
      target: { protocol: 'mysql', host: 'db.svc', port: 3306, tls: 'verify-full', serverName: 'db.svc' },
      login: { username: 'keeper', password: CANARY },
      tls: { ca, certificate: both, key: both },
    });
    const { data, text } = await engine.call('read', 'config/db');
    expect(data.connection_details).toEqual({
      connection_url: MYSQL.connection_url,
      username: 'keeper',
      username_template: '',
      max_open_connections: 4,
      max_idle_connections: 4,
      max_connection_lifetime: '0s',
      disable_escaping: false,
      tls_ca: ca,
      tls_server_name: '',
      tls_skip_verify: false,
    });
    expect(text).not.toMatch(/PRIVATE KEY|canary/);
  });

  it('to Redis is shown by its fields, without the password', async () => {
    await engine.call('write', 'config/cache', { ...REDIS, tls: true, ca_cert: ca });
    expect(opened[0]).toMatchObject({
      target: { protocol: 'redis', host: 'cache.svc', port: 6379, tls: 'verify-full' },
      tls: { ca },
    });
    const { data, text } = await engine.call('read', 'config/cache');
    expect(data).toMatchObject({
      plugin_name: 'valkey-database-plugin',
      connection_details: { host: 'cache.svc', port: 6379, tls: true, insecure_tls: false, ca_cert: ca },
    });
    expect(text).not.toContain(CANARY);
  });

  it.each([
    [{ ...MYSQL, connection_url: `u:${CANARY}@tcp(db)/` }, /u:\*\*\*\*\*@tcp\(db\)\//],
    [
      { plugin_name: 'redis-database-plugin', connection_url: `redis://u:${CANARY}@h` },
      /redis:\/\/u:\*\*\*\*\*@h/,
    ],
  ])('%# with a password in its URL is warned of, and shown without it', async (given, shown) => {
    const { warnings } = await engine.call('write', 'config/inline', given);
    expect(warnings).toEqual([expect.stringContaining('Password found in connection_url')]);
    const { data, text } = await engine.call('read', 'config/inline');
    expect(data.connection_details.connection_url).toMatch(shown);
    expect(text).not.toContain(CANARY);
    await expect(engine.call('write', 'rotate-root/inline')).rejects.toMatchObject({
      code: 'database.no_root',
    });
  });

  it.each([
    [{ ...MYSQL, connection_url: '' }, 'connection_url cannot be empty'],
    [{ ...MYSQL, username: '' }, 'username is required'],
    [{ ...MYSQL, tls_certificate_key: 'x' }, 'is not PEM'],
    [{ ...MYSQL, root_rotation_statements: `SET PASSWORD = '` }, 'does not end'],
    [{ ...REDIS, username_template: '{{nothing}}' }, 'no function nothing'],
    [{ ...REDIS, ca_cert: CANARY }, 'is not PEM'],
    [{ ...REDIS, connection_url: 'redis://h' }, 'cannot specify both'],
  ])('%# is refused: %s', async (given, reason) => {
    await expect(engine.call('write', 'config/x', given)).rejects.toThrow(reason);
    await expect(engine.call('write', 'config/x', given)).rejects.not.toThrow('canary');
    expect(opened).toEqual([]);
    expect((await engine.call('read', 'config/x')).status).toBe(404);
  });

  it('is not opened where it is not to be verified', async () => {
    await engine.call('write', 'config/db', { ...MYSQL, verify_connection: false });
    expect(opened).toEqual([]);
  });

  it('that comes after its roles has their statements looked at when they are used', async () => {
    // Refused by the rules of one kind, good by those of the other.
    const role = { db_name: 'db', creation_statements: `CREATE USER '{{name}}'@'%' COMMENT 'it\\'s'` };
    expect((await engine.call('write', 'roles/early', role)).status).toBe(204);
    await engine.call('write', 'config/db', { ...MYSQL, allowed_roles: '*' });
    expect((await engine.call('write', 'roles/early', role)).status).toBe(204);
    await expect(
      engine.call('write', 'roles/early', { creation_statements: '/*! CREATE */' }),
    ).rejects.toThrow('comments that the server runs');
    await expect(engine.call('write', 'roles/empty', { db_name: 'db' })).rejects.toThrow(
      'creation_statements are required',
    );
    await engine.call('write', 'config/cache', { ...REDIS, allowed_roles: '*' });
    expect((await engine.call('write', 'roles/reader', { db_name: 'cache' })).status).toBe(204);
  });
});
