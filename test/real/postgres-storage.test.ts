/** The store on a PostgreSQL of this machine: the conformance suite, the lead, lost connections, and what a person is told. */

import { afterAll, beforeAll, describe } from 'vitest';
import { describeBackend } from '../../src/storage/conformance.ts';
import { openPostgres, type PostgresBackend, type PostgresOptions } from '../../src/storage/postgres.ts';
import type { PostgresTarget } from '../../src/storage/postgres-target.ts';
import { hasPostgresql, KEEPER, ROOT, type Started, startPostgresql } from './database-servers.ts';

const found = hasPostgresql();
if (!found) console.warn('SKIPPED test/real/postgres-storage: no initdb on the PATH, or no user postgres');

const LONG_MS = 600_000;

describe.skipIf(!found)('the store on PostgreSQL', () => {
  let postgres: Started;
  let count = 0;
  beforeAll(async () => {
    postgres = await startPostgresql();
  });
  afterAll(async () => {
    await postgres?.stop();
  });

  const target = (over: Partial<PostgresTarget> = {}): PostgresTarget => ({
    host: '127.0.0.1',
    port: postgres.port,
    database: 'postgres',
    user: KEEPER,
    password: ROOT,
    tls: { mode: 'disable' },
    connectTimeoutMs: 5000,
    ...over,
  });
  const fresh = () => `store${++count}`;
  const leading = async (table: string, over: Partial<PostgresOptions> = {}): Promise<PostgresBackend> => {
    const backend = await openPostgres({ target: target(), table, ...over });
    await backend.leadership.campaign({ id: `node of ${table}`, address: '' }, LONG_MS);
    return backend;
  };

  describeBackend('postgresql', async () => {
    const table = fresh();
    let current = await leading(table);
    const reopen = async () => {
      await current.close();
      current = await leading(table);
      return current;
    };
    return { backend: current, reopen, remembers: true };
  });
});
