/**
 * The tables of the store in PostgreSQL, and how an older schema becomes the present one: numbered steps, each run once,
 * under a lock of the database, because several nodes start at the same time.
 */

import { failure } from '../base/errors.ts';
import type { Link } from './postgres-link.ts';

/** Names of the tables, quoted for SQL. */
export interface Tables {
  readonly entries: string;
  readonly state: string;
  readonly changes: string;
  readonly schema: string;
  /** What NOTIFY calls the feed of this store. */
  readonly channel: string;
}

/** What a table may be called: the longest derived name fits the 63 bytes of an identifier. */
export const TABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,47}$/;

/** @param table of TABLE_NAME's shape: the name of the entries, from which the others follow */
export const tablesOf = (table: string): Tables => ({
  entries: `"${table}"`,
  state: `"${table}_state"`,
  changes: `"${table}_changes"`,
  schema: `"${table}_schema"`,
  channel: `${table}_feed`,
});

/** Step n leads from version n to n + 1. Never change one that was released: add another. */
const STEPS: readonly ((tables: Tables) => string)[] = [
  ({ entries, state, changes }) => `
    CREATE TABLE ${entries} (
      key bytea PRIMARY KEY,
      revision bigint NOT NULL,
      value bytea NOT NULL
    ) WITH (fillfactor = 85);
    -- What is sealed does not shrink: trying to costs time on each write.
    ALTER TABLE ${entries} ALTER COLUMN value SET STORAGE EXTERNAL;
    CREATE TABLE ${state} (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      head bigint NOT NULL DEFAULT 0,
      since bigint NOT NULL DEFAULT 0,
      turn bigint NOT NULL DEFAULT 0,
      batch uuid,
      epoch bigint NOT NULL DEFAULT 0,
      leader_id text,
      leader_address text,
      leader_until timestamptz
    ) WITH (fillfactor = 20);
    INSERT INTO ${state} DEFAULT VALUES;
    CREATE TABLE ${changes} (
      last bigint PRIMARY KEY,
      batch uuid NOT NULL,
      revisions bigint[],
      keys bytea[]
    );`,
];

/** The version that this program reads and writes. */
export const SCHEMA_VERSION = STEPS.length;

/**
 * Brings the tables to the present version, making them where there are none. Without anything to do it needs no right
 * to make tables.
 * @param named whether somebody chose the name of the tables
 * @throws Failure storage.database where the schema is newer than this program, or what the database refused
 */
export async function migrate(link: Link, tables: Tables, named: boolean): Promise<void> {
  const found = await versionOf(link, tables);
  if (found === SCHEMA_VERSION) return;
  if (found === 0 && !named) await refuseBesideVault(link);
  await link.transaction('BEGIN', async (query) => {
    // hashtext is stable within a database, and a lock that two stores share by chance only makes one wait.
    await query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`holdfast/${tables.schema}`]);
    await query(
      `CREATE TABLE IF NOT EXISTS ${tables.schema} (version int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`,
    );
    const [row] = await query(`SELECT coalesce(max(version), 0) AS version FROM ${tables.schema}`);
    const version = known(Number(row?.['version']));
    for (const [index, step] of STEPS.slice(version).entries()) {
      await query(step(tables));
      await query(`INSERT INTO ${tables.schema} (version) VALUES ($1)`, [version + index + 1]);
    }
  });
}

async function versionOf(link: Link, { schema }: Tables): Promise<number> {
  const [there] = await link.read({ text: 'SELECT to_regclass($1) IS NOT NULL AS there', values: [schema] });
  if (there?.['there'] !== true) return 0;
  const [row] = await link.read({ text: `SELECT coalesce(max(version), 0) AS version FROM ${schema}` });
  return known(Number(row?.['version']));
}

/** An empty store beside the data of a Vault would look to its clients as if everything were lost. */
async function refuseBesideVault(link: Link): Promise<void> {
  for (const table of ['vault_kv_store', 'openbao_kv_store']) {
    const [row] = await link.read({ text: 'SELECT to_regclass($1) IS NOT NULL AS there', values: [table] });
    if (row?.['there'] === true)
      throw failure('storage.database', {
        reason: `it holds the data of a Vault (${table}), which this server does not read; to begin an empty store beside it, write table = "holdfast_store"`,
      });
  }
}

/** A program that writes tables it does not know would break what the newer one keeps there. */
function known(version: number): number {
  if (version <= SCHEMA_VERSION) return version;
  throw failure('storage.database', {
    reason: `its tables have version ${version}, and this program knows them up to ${SCHEMA_VERSION}`,
  });
}
