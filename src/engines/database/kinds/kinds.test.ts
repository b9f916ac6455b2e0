import { describe, expect, it } from 'vitest';
import { failure } from '../../../base/errors.ts';
import type { Query } from '../driver.ts';
import { MYSQL } from './mysql.ts';
import { REDIS } from './redis.ts';

/** Answers by the first pattern that fits what is asked, and remembers it. */
function asked(answers: readonly (readonly [RegExp, readonly Record<string, unknown>[] | Error])[]) {
  const log: string[] = [];
  const query: Query = async (statement, values = []) => {
    const text = [statement, ...values].join(' ');
    log.push(text);
    const answer = answers.find(([pattern]) => pattern.test(text))?.[1] ?? [];
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { log, query };
}

const hostile = `a'b\\c"d`;

describe('MySQL', () => {
  it('takes an account away for every host that it has, with its privileges first and its sessions last', async () => {
    const { log, query } = asked([
      [/^SELECT host/, [{ place: '%' }, { place: `x'y` }]],
      [/^SELECT id/, [{ thread: 7 }, { thread: '8' }]],
      [/^KILL CONNECTION 7/, new Error('it is gone')],
      [/ACCOUNT LOCK/, new Error('too old to lock')],
    ]);
    await MYSQL.shut(query, hostile);
    await MYSQL.drop(query, hostile);
    const name = `'a\\'b\\\\c\\"d'`;
    expect(log.filter((line) => !line.startsWith('SELECT'))).toEqual([
      `ALTER USER ${name}@'%' ACCOUNT LOCK`,
      `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${name}@'%'`,
      `ALTER USER ${name}@'x\\'y' ACCOUNT LOCK`,
      `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${name}@'x\\'y'`,
      'KILL CONNECTION 7',
      'KILL CONNECTION 8',
      `DROP USER ${name}@'%'`,
      `DROP USER ${name}@'x\\'y'`,
      'KILL CONNECTION 7',
      'KILL CONNECTION 8',
    ]);
  });

  it('has nothing to do where there is no account, however often it is asked', async () => {
    const { log, query } = asked([]);
    await MYSQL.shut(query, 'v-none');
    await MYSQL.drop(query, 'v-none');
    expect(log.every((line) => line.startsWith('SELECT'))).toBe(true);
  });

  it('renews nothing where no statements say so, and rotates as upstream does', async () => {
    const { log, query } = asked([]);
    const values = { name: 'u', username: 'u', password: `p'w`, expiration: 'later' };
    await MYSQL.perform(query, 'renewal', [], values);
    expect(log).toEqual([]);
    await MYSQL.perform(query, 'rotation', [], values);
    await MYSQL.perform(query, 'renewal', [`ALTER USER '{{name}}'@'%' COMMENT '{{expiration}}'`], values);
    expect(log).toEqual([`ALTER USER 'u'@'%' IDENTIFIED BY 'p\\'w'`, `ALTER USER 'u'@'%' COMMENT 'later'`]);
    await expect(MYSQL.perform(query, 'creation', [], values)).rejects.toThrow('empty creation statements');
  });
});

describe('Redis', () => {
  const values = { name: 'U', username: 'U', password: 'p w' };

  it('sets the rules before the password, and keeps what it did', async () => {
    const { log, query } = asked([]);
    await REDIS.perform(query, 'creation', ['["~app:*","(+@read ~x)"]'], values);
    expect(log).toEqual(['ACL SETUSER U reset ~app:* (+@read ~x) resetpass on >p w', 'ACL SAVE']);
  });

  it('needs no file of users, nor the right to save it; but a file that cannot be written is a failure', async () => {
    for (const message of [
      'ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command',
      "NOPERM User keeper has no permissions to run the 'acl|save' command",
      "ERR unknown command 'ACL'",
    ]) {
      const { query } = asked([[/SAVE/, new Error(message)]]);
      await REDIS.perform(query, 'creation', [], values);
    }
    const { query } = asked([[/SAVE/, new Error('ERR There was an error trying to save the ACLs.')]]);
    await expect(REDIS.perform(query, 'creation', [], values)).rejects.toThrow('There was an error');
    const lost = asked([[/SAVE/, failure('database.failed', { reason: 'lost' })]]);
    await expect(REDIS.drop(lost.query, 'U')).rejects.toMatchObject({ code: 'database.failed' });
  });

  it('makes no account by changing the password of one that is not there', async () => {
    const { log, query } = asked([]);
    await expect(REDIS.perform(query, 'rotation', [], values)).rejects.toThrow('there is no such user');
    expect(log).toEqual(['ACL GETUSER U']);
  });

  it('deletes whatever statements of a role written before its connection say', async () => {
    const { log, query } = asked([]);
    await REDIS.perform(query, 'revocation', ['ignored'], values);
    expect(log).toEqual(['ACL DELUSER U', 'ACL SAVE']);
  });
});
