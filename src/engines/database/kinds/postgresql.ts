/** PostgreSQL: accounts are roles. */

import type { Query } from '../driver.ts';
import { POSTGRESQL as DIALECT } from '../sql-postgresql.ts';
import { parsePostgresqlUrl } from '../target-postgresql.ts';
import type { DatabaseKind } from './kind.ts';
import { inSql } from './statements.ts';

const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const exists = async (query: Query, username: string): Promise<boolean> =>
  (await query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [username])).length > 0;

export const POSTGRESQL: DatabaseKind = {
  usernameTemplate:
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}',
  ...inSql(DIALECT, {
    renewal: `ALTER ROLE "{{username}}" VALID UNTIL '{{expiration}}'`,
    rotation: `ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}'`,
  }),
  address: (config) => parsePostgresqlUrl(config.url),
  exists,

  async shut(query, username) {
    if (!(await exists(query, username))) return;
    await query(`ALTER ROLE ${name(username)} NOLOGIN`);
    // A session outlives its role otherwise, and reads on.
    await query(
      'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = $1',
      [username],
    );
  },

  async drop(query, username) {
    if (!(await exists(query, username))) return;
    // Who is no superuser must be a member of a role to take over what it owns.
    const [self] = await query(
      'SELECT rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = current_user',
    );
    if (self?.['super'] !== true) await query(`GRANT ${name(username)} TO CURRENT_USER`);
    // DROP OWNED alone would drop the tables that an application made with this account.
    await query(`REASSIGN OWNED BY ${name(username)} TO CURRENT_USER`);
    await query(`DROP OWNED BY ${name(username)}`);
    await query(`DROP ROLE ${name(username)}`);
  },
};
