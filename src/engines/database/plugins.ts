/** The kinds of database, under the names that clients know. */

import { failure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';
import type { DatabaseKind } from './kinds/kind.ts';
import { MYSQL, MYSQL_LEGACY } from './kinds/mysql.ts';
import { POSTGRESQL } from './kinds/postgresql.ts';
import { REDIS } from './kinds/redis.ts';

const KINDS: Readonly<Record<string, DatabaseKind>> = {
  'mysql-aurora-database-plugin': MYSQL_LEGACY,
  'mysql-database-plugin': MYSQL,
  'mysql-legacy-database-plugin': MYSQL_LEGACY,
  'mysql-rds-database-plugin': MYSQL_LEGACY,
  'postgresql-database-plugin': POSTGRESQL,
  'redis-database-plugin': REDIS,
  'valkey-database-plugin': REDIS,
};

/** @throws Failure database.plugin */
export function kindOf(plugin: string): DatabaseKind {
  const kind = own(KINDS, plugin);
  if (kind === undefined)
    throw failure('database.plugin', { name: plugin.slice(0, 80), known: Object.keys(KINDS).join(', ') });
  return kind;
}
