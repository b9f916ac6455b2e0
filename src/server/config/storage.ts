/** `storage`: where the data lives. What Vault's files name is brought to what there is, and the person is told. */

import { blocksOf } from '../../base/hcl.ts';
import { TABLE_NAME } from '../../storage/postgres-schema.ts';
import { BadTarget, type PostgresTarget, parsePostgresTarget } from '../../storage/postgres-target.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

export type StorageSettings =
  | { readonly kind: 'lmdb'; readonly path: string }
  /** Gone when the process ends. */
  | { readonly kind: 'inmem' }
  | PostgresSettings;

export interface PostgresSettings {
  readonly kind: 'postgresql';
  /** Holds a password: never shown. */
  readonly target: PostgresTarget;
  readonly table: string | undefined;
  readonly maxParallel: number | undefined;
}

const ONE_NODE = 'Write storage "lmdb" { path = "..." }: one node, in a folder of its own.';
const A_URL = 'Write connection_url = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full".';
/** How many connections a database is asked for at most; PostgreSQL's own default takes 100 from all. */
const MOST_PARALLEL = 1000;

/**
 * @param env VAULT_PG_CONNECTION_URL (or BAO_...) stands above the file, so that the password need not lie in it
 * @throws Failure config.invalid
 */
export function readStorage(
  placed: Placed,
  notes: string[],
  env: Readonly<Record<string, string | undefined>>,
): StorageSettings {
  const { file } = placed;
  const at = { file, line: placed.item.line };
  const [block, second] = blocksOf(placed.item);
  if (block === undefined || second !== undefined)
    throw refusal(at, 'the storage is not one block', ONE_NODE);
  const items = block.items.map((item) => ({ file, item }));
  const path = (stanza: Stanza): string => {
    const text = stanza.text('path');
    if (text === undefined || text === '')
      throw refusal(
        at,
        `storage "${block.label}" has no path`,
        'Name the folder: path = "/var/lib/holdfast".',
      );
    return text;
  };
  switch (block.label) {
    case 'lmdb':
      return { kind: 'lmdb', path: path(new Stanza('storage "lmdb"', items, ['path'])) };
    case 'inmem':
      new Stanza('storage "inmem"', items, []);
      notes.push('storage "inmem" keeps everything in memory: it is gone when this process ends.');
      return { kind: 'inmem' };
    case 'file': {
      const folder = path(new Stanza('storage "file"', items, ['path']));
      notes.push(`storage "file" is kept as storage "lmdb" in ${folder}, which holds one file.`);
      return { kind: 'lmdb', path: folder };
    }
    case 'raft': {
      const join = items.find(({ item }) => item.keys[0] === 'retry_join');
      if (join !== undefined)
        throw refusal(
          { file, line: join.item.line },
          'storage "raft" with retry_join is a cluster of Vault\'s own making, which this server does not join',
          'For one node, remove retry_join; what several nodes share is storage "postgresql".',
        );
      const known = ['path', 'node_id', 'performance_multiplier', 'trailing_logs', 'snapshot_threshold'];
      const folder = path(new Stanza('storage "raft"', items, [...known, 'max_entry_size']));
      notes.push(`storage "raft" with one node is kept as storage "lmdb" in ${folder}.`);
      return { kind: 'lmdb', path: folder };
    }
    case 'postgresql':
      return readPostgres(new Stanza('storage "postgresql"', items, POSTGRES_KEYS), at, notes, env);
    default:
      throw refusal(at, `there is no storage ${JSON.stringify(block.label.slice(0, 40))}`, ONE_NODE);
  }
}

const POSTGRES_KEYS = [
  'connection_url',
  'table',
  'max_parallel',
  'ha_enabled',
  'ha_table',
  'haTable',
  'max_idle_connections',
  'max_connect_retries',
  'skip_create_table',
  'transaction_max_parallel',
];

function readPostgres(
  stanza: Stanza,
  at: { readonly file: string; readonly line: number },
  notes: string[],
  env: Readonly<Record<string, string | undefined>>,
): PostgresSettings {
  const url =
    env['VAULT_PG_CONNECTION_URL'] || env['BAO_PG_CONNECTION_URL'] || stanza.text('connection_url') || '';
  if (url === '') throw refusal(at, 'storage "postgresql" has no connection_url', A_URL);
  const table = stanza.text('table');
  if (table !== undefined && !TABLE_NAME.test(table))
    throw refusal(
      at,
      'the table of storage "postgresql" is not named by letters, digits and _, 48 of them at most',
      'Write table = "holdfast_store".',
    );
  if (stanza.truth('ha_enabled') === false)
    notes.push('ha_enabled = false is not used: nodes that share the tables always agree on who leads.');
  for (const key of POSTGRES_KEYS.slice(POSTGRES_KEYS.indexOf('ha_table')))
    if (stanza.has(key)) notes.push(`${key} of storage "postgresql" is not used.`);
  const target = targetOf(url, at);
  if (target.tls.mode !== 'verify-full' && target.tls.mode !== 'verify-ca')
    notes.push(
      'the connection to the database of the store is not verified: give connection_url sslmode=verify-full and, for an authority of your own, sslrootcert=FILE.',
    );
  return { kind: 'postgresql', target, table, maxParallel: parallelOf(stanza, at) };
}

/** The parser's own words hold no part of the URL, and nothing of it is quoted here. */
function targetOf(url: string, at: { readonly file: string; readonly line: number }): PostgresTarget {
  try {
    return parsePostgresTarget(url);
  } catch (error) {
    if (error instanceof BadTarget)
      throw refusal(at, `the connection_url cannot be used: ${error.message}`, A_URL);
    throw error;
  }
}

function parallelOf(
  stanza: Stanza,
  at: { readonly file: string; readonly line: number },
): number | undefined {
  const text = stanza.text('max_parallel');
  if (text === undefined) return undefined;
  const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MOST_PARALLEL) return number;
  throw refusal(at, `max_parallel is not a number from 1 to ${MOST_PARALLEL}`, 'Write max_parallel = "16".');
}
