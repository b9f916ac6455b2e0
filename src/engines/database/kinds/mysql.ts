/**
 * MySQL and MariaDB: an account is a name and the host that it comes from. Statements are not part of a transaction here, so
 * that each step can be done again.
 */

import type { Query } from '../driver.ts';
import { MYSQL as DIALECT } from '../sql-mysql.ts';
import { parseMysqlDsn } from '../target-mysql.ts';
import type { DatabaseKind } from './kind.ts';
import { inSql } from './statements.ts';

const USUAL = `{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 10) (.RoleName | truncate 10) (random 20) (unix_time) | truncate 32 }}`;
/** Before 5.7 a name could have sixteen characters. */
const LEGACY = `{{ printf "v-%s-%s" (.RoleName | truncate 4) (random 20) | truncate 16 }}`;

const quoted = (text: string): string => `'${DIALECT.escape(text, 'escaped')}'`;

/** The account with every host that it exists for: statements of a role may name others than "%". */
async function accountsOf(query: Query, username: string): Promise<string[]> {
  const rows = await query('SELECT host AS place FROM mysql.user WHERE user = ?', [username]);
  return rows.map((row) => `${quoted(username)}@${quoted(String(row['place']))}`);
}

/**
 * A session outlives its account, and keeps the privileges that it began with. To see and end those of others takes PROCESS and
 * CONNECTION ADMIN (or SUPER), which whoever set up the connection may have withheld: then they live on, as they do upstream.
 */
async function endSessions(query: Query, username: string): Promise<void> {
  const rows = await query('SELECT id AS thread FROM information_schema.processlist WHERE user = ?', [
    username,
  ]);
  for (const row of rows) await query(`KILL CONNECTION ${Number(row['thread'])}`).catch(() => {});
}

const kind = (usernameTemplate: string): DatabaseKind => ({
  usernameTemplate,
  ...inSql(DIALECT, { rotation: `ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'` }),
  address: (config) =>
    parseMysqlDsn(config.url, {
      ...config.tls,
      serverName: config.tlsServerName,
      skipVerify: config.tlsSkipVerify,
    }),
  exists: async (query, username) => (await accountsOf(query, username)).length > 0,

  async shut(query, username) {
    for (const account of await accountsOf(query, username)) {
      // Servers before MySQL 5.7.6 and MariaDB 10.4.2 cannot lock; to take the privileges away is enough for them.
      await query(`ALTER USER ${account} ACCOUNT LOCK`).catch(() => {});
      await query(`REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${account}`);
    }
    await endSessions(query, username);
  },

  async drop(query, username) {
    for (const account of await accountsOf(query, username)) await query(`DROP USER ${account}`);
    await endSessions(query, username);
  },
});

export const MYSQL = kind(USUAL);
export const MYSQL_LEGACY = kind(LEGACY);
