import { describe, expect, it } from 'vitest';
import { checkTls, shownUrl } from './target.ts';
import { parseMysqlDsn } from './target-mysql.ts';
import { parsePostgresqlUrl } from './target-postgresql.ts';
import { parseRedisAddress } from './target-redis.ts';

const CANARY = 'canary-in-url';

describe('a connection URL', () => {
  it('names one host, a database and how TLS is spoken', () => {
    expect(
      parsePostgresqlUrl(
        'postgresql://{{username}}:{{password}}@db.svc:6432/app%20one?sslmode=verify-full&connect_timeout=3',
      ),
    ).toEqual({
      target: {
        protocol: 'postgresql',
        serverName: 'db.svc',
        host: 'db.svc',
        port: 6432,
        database: 'app one',
        tls: 'verify-full',
        connectTimeoutMs: 3000,
      },
      inline: undefined,
    });
    expect(parsePostgresqlUrl('postgres://{{ username }}:{{ password }}@[::1]').target).toEqual({
      protocol: 'postgresql',
      serverName: '::1',
      host: '::1',
      port: 5432,
      database: '',
      tls: 'prefer',
      connectTimeoutMs: 10_000,
    });
  });

  it('may hold a user and a password, with all the characters that passwords have', () => {
    expect(parsePostgresqlUrl(`postgresql://bob:p%40ss:w@rd@h/d`).inline).toEqual({
      username: 'bob',
      password: 'p@ss:w@rd',
    });
  });

  it.each([
    `mysql://${CANARY}@h/d`,
    `postgresql://u:${CANARY}@a,b/d`,
    `postgresql://u:${CANARY}@/d`,
    `postgresql://u:${CANARY}@h:0/d`,
    `postgresql://u:${CANARY}@h:70000/d`,
    `postgresql://u:${CANARY}%@h/d`,
    `postgresql://u:${CANARY}@h/d?sslmode=none`,
    `postgresql://u:${CANARY}@h/d?sslmode=constructor`,
    `postgresql://u:${CANARY}@h/d?sslrootcert=/etc/passwd`,
    `postgresql://u:${CANARY}@h/d?host=other`,
    `postgresql://u:${CANARY}@h/d?connect_timeout=0`,
    `postgresql://{{username}}:${CANARY}@h/d`,
    `host=h password=${CANARY}`,
    'postgresql://%2Fvar%2Frun/d',
    '',
    `postgresql://u:${CANARY}@${'h'.repeat(5000)}/d`,
  ])('%s is refused, and its password is not repeated', (url) => {
    expect(() => parsePostgresqlUrl(url)).toThrow(/^error creating database object: (?!.*canary)/);
  });

  it('is shown without its password', () => {
    for (const url of [
      `postgresql://bob:${CANARY}@h/d`,
      `postgresql://bob:a@${CANARY}:b@h/d`,
      `postgres://:${CANARY}@h`,
    ]) {
      expect(shownUrl(url)).not.toContain(CANARY);
      expect(shownUrl(url)).toContain('*****@h');
    }
    const template = 'postgresql://{{username}}:{{password}}@h/d';
    expect(shownUrl(template)).toBe(template);
  });
});

const NO_TLS = { ca: '', certificate: '', key: '', serverName: '', skipVerify: false };

describe('a DSN of MySQL', () => {
  it.each([
    [
      '{{username}}:{{password}}@tcp(db.svc:3307)/app?tls=true&timeout=3s&parseTime=true',
      ['db.svc', 3307, 'app', 'verify-full', 3000],
    ],
    ['{{ username }}:{{ password }}@tcp(db)/', ['db', 3306, '', 'disable', 10_000]],
    [
      '{{username}}:{{password}}@tcp([::1]:3306)/a%2Fb?tls=skip-verify',
      ['::1', 3306, 'a/b', 'require', 10_000],
    ],
    ['{{username}}:{{password}}@/app?tls=preferred', ['127.0.0.1', 3306, 'app', 'prefer', 10_000]],
  ])(
    '%s names a host, a database and how TLS is spoken',
    (dsn, [host, port, database, tls, connectTimeoutMs]) => {
      expect(parseMysqlDsn(dsn, NO_TLS)).toEqual({
        target: { protocol: 'mysql', host, port, database, tls, serverName: host, connectTimeoutMs },
        inline: undefined,
      });
    },
  );

  it('may hold a user and a password, which may have slashes, colons and "@" in it', () => {
    expect(parseMysqlDsn('bob:p@ss:w/rd%40@tcp(h:1)/d', NO_TLS).inline).toEqual({
      username: 'bob',
      password: 'p@ss:w/rd%40',
    });
  });

  it.each([
    ['?', NO_TLS, 'disable'],
    ['?tls=false', { ...NO_TLS, skipVerify: true }, 'disable'],
    ['?tls=true', { ...NO_TLS, skipVerify: true }, 'require'],
    ['', { ...NO_TLS, ca: 'x' }, 'verify-full'],
    ['?tls=skip-verify', { ...NO_TLS, ca: 'x' }, 'verify-full'],
    ['', { ...NO_TLS, ca: 'x', skipVerify: true }, 'require'],
  ])('%s with %j: TLS is %3$s', (query, tls, mode) => {
    expect(parseMysqlDsn(`u:p@tcp(h)/${query}`, tls).target.tls).toBe(mode);
  });

  it('verifies another name where one is given, and never the address alone', () => {
    const tls = { ...NO_TLS, ca: 'x' };
    expect(parseMysqlDsn('u:p@tcp(10.0.0.1)/', { ...tls, serverName: 'db.svc' }).target.serverName).toBe(
      'db.svc',
    );
    expect(() => parseMysqlDsn('u:p@tcp(10.0.0.1)/', tls)).toThrow('tls_server_name');
  });

  it.each([
    `u:${CANARY}@tcp(h:3306)`,
    `u:${CANARY}@unix(/run/mysqld.sock)/d`,
    `u:${CANARY}@tcp(a:1,b:2)/d`,
    `u:${CANARY}@tcp(h:0)/d`,
    `u:${CANARY}@tcp(h:99999)/d`,
    `u:${CANARY}@tcp(h h)/d`,
    `u:${CANARY}@udp(h)/d`,
    `u:${CANARY}@tcp(h)/d?tls=custom`,
    `u:${CANARY}@tcp(h)/d?tls=constructor`,
    `u:${CANARY}@tcp(h)/d?allowAllFiles=true`,
    `u:${CANARY}@tcp(h)/d?allowCleartextPasswords=true`,
    `u:${CANARY}@tcp(h)/d?sql_mode=ANSI`,
    `u:${CANARY}@tcp(h)/d?timeout=1h`,
    `u:${CANARY}@tcp(h)/%`,
    `{{username}}:${CANARY}@tcp(h)/d`,
    `mysql://u:${CANARY}@h:3306/d`,
    '',
    `u:${CANARY}@tcp(${'h'.repeat(5000)})/d`,
  ])('%s is refused, and its password is not repeated', (dsn) => {
    expect(() => parseMysqlDsn(dsn, NO_TLS)).toThrow(/^error creating database object: (?!.*canary)/);
  });

  it('is shown without its password', () => {
    for (const dsn of [`bob:${CANARY}@tcp(h)/d`, `bob:a@${CANARY}/:@tcp(h)/d`, `:${CANARY}@/`]) {
      expect(shownUrl(dsn)).not.toContain(CANARY);
      expect(shownUrl(dsn)).toContain('*****@');
    }
    const template = '{{username}}:{{password}}@tcp(h:3306)/';
    expect(shownUrl(template)).toBe(template);
  });
});

describe('the address of a Redis', () => {
  const fields = {
    url: '',
    host: 'cache.svc',
    port: 6379,
    username: 'keeper',
    password: CANARY,
    tls: false,
    insecureTls: false,
  };

  it.each([
    [{}, 'disable'],
    [{ tls: true }, 'verify-full'],
    [{ tls: true, insecureTls: true }, 'require'],
  ])('with %j is spoken to with TLS %s', (changed, tls) => {
    expect(parseRedisAddress({ ...fields, ...changed })).toEqual({
      target: {
        protocol: 'redis',
        host: 'cache.svc',
        port: 6379,
        database: '',
        tls,
        serverName: 'cache.svc',
        connectTimeoutMs: 10_000,
      },
      inline: undefined,
    });
  });

  it('may be a URL, with the login in it', () => {
    const none = { ...fields, host: '', port: 0, username: '', password: '' };
    const read = parseRedisAddress({ ...none, url: 'rediss://bob:p%40ss@cache.svc:6380' });
    expect(read.target).toMatchObject({ host: 'cache.svc', port: 6380, tls: 'verify-full' });
    expect(read.inline).toEqual({ username: 'bob', password: 'p@ss' });
    expect(() => parseRedisAddress({ ...fields, url: 'redis://h' })).toThrow('cannot specify both');
    for (const url of [`http://u:${CANARY}@h`, `redis://u:${CANARY}@h/1`, `redis://u:${CANARY}@a,b`, 'x'])
      expect(() => parseRedisAddress({ ...none, url })).toThrow(
        /^error creating database object: (?!.*canary)/,
      );
  });

  it.each([
    [{ host: '' }, 'host cannot be empty'],
    [{ host: 'h:6379/' }, 'host must be'],
    [{ host: 'a b' }, 'host must be'],
    [{ port: 0 }, 'port cannot be empty'],
    [{ port: -1 }, 'out of range'],
    [{ port: 65_536 }, 'out of range'],
    [{ username: '' }, 'username cannot be empty'],
    [{ password: '' }, 'password cannot be empty'],
  ])('with %j is refused: %s', (changed, reason) => {
    expect(() => parseRedisAddress({ ...fields, ...changed })).toThrow(reason);
  });
});

it.each([
  [{ ca: CANARY, certificate: '', key: '' }, 'is not PEM'],
  [{ ca: '', certificate: CANARY, key: CANARY }, 'is not PEM'],
  [{ ca: '', certificate: CANARY, key: '' }, 'belong together'],
])('TLS material that is none is refused, and not repeated', (material, reason) => {
  expect(() => checkTls(material)).toThrow(reason);
  expect(() => checkTls(material)).toThrow(/^(?!.*canary)/);
});
