import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BadTarget, parsePostgresTarget, shownTarget } from './postgres-target.ts';

const refusedAs = (url: string): string => {
  try {
    parsePostgresTarget(url);
  } catch (error) {
    if (error instanceof BadTarget) return error.message;
    throw error;
  }
  return 'taken';
};

describe('a connection string', () => {
  test('is read whole: user, password, host, port, database, TLS and timeout', () => {
    expect(
      parsePostgresTarget(
        'postgres://hold%40fast:p%2Fw%3A%25@db.example.com:6432/se%20crets?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=/etc/c.pem&sslkey=/etc/k.pem&connect_timeout=9&application_name=x',
      ),
    ).toEqual({
      host: 'db.example.com',
      port: 6432,
      database: 'se crets',
      user: 'hold@fast',
      password: 'p/w:%',
      tls: { mode: 'verify-full', caFile: '/etc/ca.pem', certFile: '/etc/c.pem', keyFile: '/etc/k.pem' },
      connectTimeoutMs: 9000,
    });
  });

  test('takes what it leaves out from nobody: port 5432, no password, TLS where the server has it', () => {
    expect(parsePostgresTarget('postgresql://u@[fd00::1]/d')).toEqual({
      host: 'fd00::1',
      port: 5432,
      database: 'd',
      user: 'u',
      password: '',
      tls: { mode: 'prefer' },
      connectTimeoutMs: 5000,
    });
  });

  test.each([
    ['has no user', 'postgres://db/x', /does not read/],
    ['has no database', 'postgres://u:p@db', /does not read/],
    ['names two hosts', 'postgres://u:p@a,b/x', /does not read/],
    ['is written as words', 'host=db user=u password=p dbname=x', /does not read/],
    ['has a password with a raw slash', 'postgres://u:p/q@db/x', /does not read/],
    ['has a port that is none', 'postgres://u:p@db:70000/x', /port is none/],
    ['has a % that stands alone', 'postgres://u:p%q@db/x', /two digits/],
    ['has a NUL in its database', 'postgres://u:p@db/x%00', /two digits/],
    ['has a mode that there is not', 'postgres://u:p@db/x?sslmode=no', /sslmode is none of disable/],
    ['has settings for the session', 'postgres://u:p@db/x?options=-csearch_path%3Dz', /parameter other than/],
    ['names another host behind the first', 'postgres://u:p@db/x?host=evil', /parameter other than/],
    ['gives a parameter twice', 'postgres://u:p@db/x?sslmode=require&sslmode=disable', /twice/],
    ['has a certificate without its key', 'postgres://u:p@db/x?sslcert=/a', /both are needed/],
    [
      'names an authority and turns TLS off',
      'postgres://u:p@db/x?sslmode=disable&sslrootcert=/a',
      /turns off/,
    ],
    ['waits for ever', 'postgres://u:p@db/x?connect_timeout=0', /from 1 to 60/],
    ['is longer than any is', `postgres://u:p@db/${'x'.repeat(5000)}`, /does not read/],
  ])('that %s is refused', (_, url, wanted) => {
    expect(refusedAs(url)).toMatch(wanted);
  });

  test('never shows up in what is said of it, whatever it is', () => {
    const secret = 'c4n4ry';
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (before, after) => {
        expect(
          refusedAs(`postgres://u:${before}${secret}${after}@db/x?sslmode=${secret}&${secret}=1`),
        ).not.toContain(secret);
      }),
    );
    expect(shownTarget(parsePostgresTarget(`postgres://u:${secret}@[::1]/x`))).toBe('[::1]:5432/x');
  });

  test('gives back any user, password and database that was written into it', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((t) => !t.includes('\0'));
    fc.assert(
      fc.property(text, text, text, (user, password, database) => {
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db/${encodeURIComponent(database)}`;
        expect(parsePostgresTarget(url)).toMatchObject({ user, password, database });
      }),
    );
  });
});
