/** What differs from one kind of database to the next, under the names that clients know. */

import { failure } from '../../base/errors.ts';
import type { Query } from './driver.ts';

export interface DatabaseKind {
  readonly usernameTemplate: string;
  /** What is done where a role or a connection says nothing of its own. */
  readonly renewal: string;
  readonly rotation: string;
  /** Closes the account to new logins and ends its sessions. Nothing to do where there is none. */
  shut(query: Query, username: string): Promise<void>;
  /** Takes the account away with all that it was granted; what it owns goes to ours. Nothing to do where there is none. */
  drop(query: Query, username: string): Promise<void>;
}

const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const exists = async (query: Query, username: string): Promise<boolean> =>
  (await query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [username])).length > 0;

const POSTGRESQL: DatabaseKind = {
  usernameTemplate:
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}',
  renewal: `ALTER ROLE "{{username}}" VALID UNTIL '{{expiration}}'`,
  rotation: `ALTER ROLE "{{username}}" WITH PASSWORD '{{password}}'`,

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

const KINDS: Readonly<Record<string, DatabaseKind>> = { 'postgresql-database-plugin': POSTGRESQL };

/** @throws Failure database.plugin */
export function kindOf(plugin: string): DatabaseKind {
  const kind = Object.hasOwn(KINDS, plugin) ? KINDS[plugin] : undefined;
  if (kind === undefined)
    throw failure('database.plugin', { name: plugin.slice(0, 80), known: Object.keys(KINDS).join(', ') });
  return kind;
}
