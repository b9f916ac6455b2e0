import { describe, expect, it } from 'vitest';
import { checkTls, parseConnectionUrl, shownUrl } from './target.ts';

const CANARY = 'canary-in-url';

describe('a connection URL', () => {
  it('names one host, a database and how TLS is spoken', () => {
    expect(
      parseConnectionUrl(
        'postgresql://{{username}}:{{password}}@db.svc:6432/app%20one?sslmode=verify-full&connect_timeout=3',
      ),
    ).toEqual({
      target: { host: 'db.svc', port: 6432, database: 'app one', tls: 'verify-full', connectTimeoutMs: 3000 },
      inline: undefined,
    });
    expect(parseConnectionUrl('postgres://{{ username }}:{{ password }}@[::1]').target).toEqual({
      host: '::1',
      port: 5432,
      database: '',
      tls: 'prefer',
      connectTimeoutMs: 10_000,
    });
  });

  it('may hold a user and a password, with all the characters that passwords have', () => {
    expect(parseConnectionUrl(`postgresql://bob:p%40ss:w@rd@h/d`).inline).toEqual({
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
    expect(() => parseConnectionUrl(url)).toThrow(/^error creating database object: (?!.*canary)/);
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

it.each([
  [{ ca: CANARY, certificate: '', key: '' }, 'is not PEM'],
  [{ ca: '', certificate: CANARY, key: CANARY }, 'is not PEM'],
  [{ ca: '', certificate: CANARY, key: '' }, 'belong together'],
])('TLS material that is none is refused, and not repeated', (material, reason) => {
  expect(() => checkTls(material)).toThrow(reason);
  expect(() => checkTls(material)).toThrow(/^(?!.*canary)/);
});
