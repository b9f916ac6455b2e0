/**
 * The connections to a PostgreSQL: pools, TLS, the settings of each session, and what errors mean. Errors of the driver
 * quote statements and addresses; what leaves here is a failure with a reason of ours, the driver's error its cause.
 */

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import pg from 'pg';
import { type Failure, failure, isFailure } from '../base/errors.ts';
import type { PostgresTarget } from './postgres-target.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface Statement {
  /** Prepared once per connection under this name. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  /**
   * It has to be answered within this time, in milliseconds, tries and connecting included: it goes over connections of its
   * own, so that it waits behind nothing, and fails rather than hang.
   */
  readonly withinMs?: number;
}

export type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** A transaction that stays open on a connection of its own until it is ended. */
export interface Session {
  readonly query: Query;
  /** Ends the transaction, rolled back, and gives the connection back or, in doubt, up. Never fails. */
  end(): Promise<void>;
}

export interface Link {
  /** Runs a statement that changes nothing; on a connection that turns out to be dead it is run again on another. */
  read(statement: Statement): Promise<readonly Row[]>;
  /**
   * Runs a statement that changes something, once.
   * @throws Lost when the connection failed: after `sent` the outcome is unknown. Failure storage.database otherwise: nothing was kept
   */
  write(statement: Statement): Promise<readonly Row[]>;
  /** @param begin such as "BEGIN ISOLATION LEVEL REPEATABLE READ" */
  session(begin: string): Promise<Session>;
  transaction(begin: string, work: (query: Query) => Promise<void>): Promise<void>;
  /** Calls `told` for each notification of the channel, until the connection fails, which `ended` tells. */
  listen(channel: string, told: () => void, ended: () => void): Promise<{ close(): void }>;
  /** Breaks the connections that are in use: what waits on them is told that they were lost. */
  cut(): void;
  /** Ends what is idle, and what is in use when it is given back. */
  close(): Promise<void>;
}

/** A connection was lost, or never made. */
export class Lost extends Error {
  override readonly name = 'Lost';
  /** Whether the statement may have reached the database. */
  readonly sent: boolean;
  readonly reason: string;

  constructor(sent: boolean, cause: unknown) {
    super('the connection to the database was lost', { cause });
    this.sent = sent;
    this.reason = reasonOf(cause);
  }

  toFailure(): Failure {
    return failure('storage.database', { reason: this.reason }, { cause: this.cause });
  }
}

export interface LinkOptions {
  /** Connections for reads at most; writes, scans and the feed have a few of their own. */
  readonly maxParallel: number;
  /** How long one statement may take before its connection is given up, in milliseconds. */
  readonly statementTimeoutMs: number;
}

/**
 * Set on each connection. `on` is the least that makes an acknowledged write durable, whatever the role's own setting;
 * the condition on the state row relies on READ COMMITTED; every statement goes by key, and an index that statistics
 * talk the planner out of would make one read cost a whole table.
 */
const SETTINGS = {
  synchronous_commit: 'on',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read\\ committed',
  lock_timeout: '5s',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  jit: 'off',
  plan_cache_mode: 'force_generic_plan',
};
const WRITERS = 2;
const URGENT = 3;
/** A read goes by key, so that one which takes this long hangs on a connection that is dead and does not know it. */
const READ_MS = 5000;
const URGENT_CONNECT_MS = 2000;
const SCANNERS = 4;
const READ_TRIES = 3;
/** PostgreSQL 12: plan_cache_mode, and the oldest that is spoken with in tests is younger. */
const OLDEST = 120_000;

/** @throws Failure storage.database */
export async function connect(target: PostgresTarget, options: LinkOptions): Promise<Link> {
  const wanted = target.tls.mode !== 'disable';
  try {
    return await opened(target, options, wanted);
  } catch (error) {
    if (error instanceof Lost && target.tls.mode === 'prefer' && isWithoutTls(error.cause))
      return await opened(target, options, false).catch(refuse);
    return refuse(error);
  }
}

const refuse = (error: unknown): never => {
  throw error instanceof Lost ? error.toFailure() : error;
};

async function opened(target: PostgresTarget, options: LinkOptions, tls: boolean): Promise<Link> {
  const link = new Links(configOf(target, options, tls), options.maxParallel);
  try {
    await link.probe();
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

function configOf(target: PostgresTarget, options: LinkOptions, tls: boolean): pg.ClientConfig {
  return {
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    // A function, because a text that is empty sends the driver to the environment and to the home of the server.
    password: () => target.password,
    ssl: tls ? tlsOptions(target) : false,
    sslnegotiation: 'postgres',
    application_name: 'holdfast',
    options: Object.entries(SETTINGS)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: target.connectTimeoutMs,
    query_timeout: options.statementTimeoutMs,
  };
}

class Links implements Link {
  readonly #config: pg.ClientConfig;
  readonly #reads: pg.Pool;
  readonly #writes: pg.Pool;
  readonly #scans: pg.Pool;
  readonly #urgent: pg.Pool;
  readonly #inUse = new Set<pg.PoolClient>();
  readonly #listening = new Set<pg.Client>();

  constructor(config: pg.ClientConfig, maxParallel: number) {
    this.#config = config;
    const readMs = Math.min(READ_MS, Number(config.query_timeout));
    const connectMs = Math.min(URGENT_CONNECT_MS, Number(config.connectionTimeoutMillis));
    this.#reads = pool({ ...config, query_timeout: readMs }, maxParallel);
    this.#writes = pool(config, WRITERS);
    this.#scans = pool(config, SCANNERS);
    this.#urgent = pool({ ...config, connectionTimeoutMillis: connectMs }, URGENT);
    for (const one of [this.#reads, this.#writes]) {
      one.on('acquire', (client) => this.#inUse.add(client));
      one.on('release', (_error, client) => this.#inUse.delete(client));
    }
  }

  /** Whether this is a database that a store can lie in. @throws Lost, Failure storage.database */
  async probe(): Promise<void> {
    const text = `SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,
      current_setting('server_encoding') AS encoding`;
    const [row] = await run(this.#writes, { text });
    if (Number(row?.['version']) < OLDEST)
      throw failure('storage.database', { reason: 'it is older than PostgreSQL 12' });
    if (row?.['standby'] === true)
      throw failure('storage.database', { reason: 'it is a standby, which takes no writes' });
  }

  async read(statement: Statement): Promise<readonly Row[]> {
    if (statement.withinMs !== undefined) return this.#readWithin(statement, statement.withinMs);
    const until = performance.now() + READ_MS / 2;
    for (let left = READ_TRIES; ; left--)
      try {
        return await run(this.#reads, statement);
      } catch (error) {
        // Many connections die at once when the database restarts; one that cannot be made is no better on the second try,
        // and where nobody answered for so long, nobody will.
        if (!(error instanceof Lost)) throw error;
        if (!error.sent || left <= 1 || performance.now() > until) throw error.toFailure();
      }
  }

  /** Tries until the time is over; a connection that was idle may have died long ago, and the next is a new one. */
  async #readWithin(statement: Statement, withinMs: number): Promise<readonly Row[]> {
    const until = performance.now() + withinMs;
    for (let left = READ_TRIES; ; left--) {
      const leftMs = Math.max(1, until - performance.now());
      try {
        return await inTime(run(this.#urgent, statement, leftMs), leftMs);
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        if (!error.sent || left <= 1 || performance.now() >= until) throw error.toFailure();
      }
    }
  }

  write(statement: Statement): Promise<readonly Row[]> {
    return run(this.#writes, statement);
  }

  cut(): void {
    for (const client of this.#inUse) streamOf(client)?.destroy(new Error('given up'));
    // What listens may hang on the same dead way; who follows makes a new one.
    for (const client of this.#listening) streamOf(client)?.destroy(new Error('given up'));
  }

  async session(begin: string): Promise<Session> {
    const client = await taken(this.#scans).catch(refuse);
    let open = true;
    let fit = false;
    client.on('error', ignore);
    const query: Query = async (text, values = []) => {
      fit = false;
      try {
        const { rows } = await client.query({ text, values: [...values] });
        fit = true;
        return rows;
      } catch (error) {
        throw meaning(error, true);
      }
    };
    const end = async (): Promise<void> => {
      if (!open) return;
      open = false;
      if (fit) await query('ROLLBACK').catch(ignore);
      client.off('error', ignore);
      client.release(!fit);
    };
    try {
      await query(begin);
    } catch (error) {
      await end();
      return refuse(error);
    }
    return { query: (text, values) => query(text, values).catch(refuse), end };
  }

  async transaction(begin: string, work: (query: Query) => Promise<void>): Promise<void> {
    const session = await this.session(begin);
    try {
      await work(session.query);
      await session.query('COMMIT');
    } finally {
      await session.end();
    }
  }

  async listen(channel: string, told: () => void, ended: () => void): Promise<{ close(): void }> {
    const client = new pg.Client(this.#config);
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      this.#listening.delete(client);
      void client.end().catch(ignore);
      ended();
    };
    client.on('error', close);
    client.on('end', close);
    client.on('notification', told);
    this.#listening.add(client);
    try {
      await client.connect();
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
    } catch (error) {
      close();
      throw meaning(error, true);
    }
    return { close };
  }

  async close(): Promise<void> {
    for (const client of this.#listening) void client.end().catch(ignore);
    await Promise.all(
      [this.#reads, this.#writes, this.#scans, this.#urgent].map((one) => one.end().catch(ignore)),
    );
  }
}

function pool(config: pg.ClientConfig, max: number): pg.Pool {
  const made = new pg.Pool({ ...config, max, min: 0, idleTimeoutMillis: 60_000, allowExitOnIdle: true });
  // An idle connection that breaks is replaced by the next; unheard, the event would end the process.
  made.on('error', ignore);
  return made;
}

async function taken(from: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await from.connect();
  } catch (error) {
    throw meaning(error, false);
  }
}

/** The promise, or Lost once the time is over; it is not waited for then, and its connection ends by its own time limit. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Lost(true, undefined)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The socket of a connection: `pg` has no way of its own to let go of one whose other side does not answer. */
function streamOf(client: pg.Client | pg.PoolClient): { destroy(error: Error): void } | undefined {
  const { connection } = client as { connection?: { stream?: { destroy(error: Error): void } } };
  return connection?.stream;
}

async function run(
  from: pg.Pool,
  { name, text, values = [] }: Statement,
  timeoutMs?: number,
): Promise<readonly Row[]> {
  const client = await taken(from);
  client.on('error', ignore);
  let broken = true;
  try {
    const { rows } = await client.query({
      text,
      values: [...values],
      ...(name === undefined ? {} : { name }),
      ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
    });
    broken = false;
    return rows;
  } catch (error) {
    const meant = meaning(error, true);
    broken = meant instanceof Lost;
    throw meant;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

const ignore = (): void => {};

const sqlStateOf = (error: unknown): string | undefined => {
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
};

/** Connection exceptions, and what a server says that shuts down or starts up (PostgreSQL manual, appendix A). */
const isGoodbye = (state: string): boolean => state.startsWith('08') || state.startsWith('57P');

function meaning(error: unknown, sent: boolean): Lost | Failure {
  if (error instanceof Lost || isFailure(error)) return error;
  const state = sqlStateOf(error);
  if (state === undefined || isGoodbye(state)) return new Lost(sent, error);
  return failure('storage.database', { reason: reasonOf(error) }, { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  '28P01': 'it does not take this user and password',
  '28000': 'it does not let this user in from here, or not in this way',
  '3D000': 'there is no such database',
  '42501': 'this user may not do what the store needs: use, or make, its tables',
  '42P07': 'a table of that name is there and is not of this store: name another with table = "..."',
  '53100': 'its disk is full',
  '53300': 'it takes no more connections',
  '25006': 'it takes no writes',
  '55P03': 'another process holds the state of the store for too long',
};

/** The reason in words of ours: the texts of the driver and of the server quote what they were given. */
function reasonOf(error: unknown): string {
  const state = sqlStateOf(error);
  if (state !== undefined) return REASONS[state] ?? `it answers with SQLSTATE ${state}`;
  if (isWithoutTls(error)) return 'it speaks no TLS, which sslmode asks for';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code)) return `the connection fails with ${code}`;
  return cause === undefined ? 'the connection was lost, or no answer came in time' : reasonOf(cause);
}

const isWithoutTls = (error: unknown): boolean =>
  error instanceof Error && error.message === 'The server does not support SSL connections';

function tlsOptions({ host, tls }: PostgresTarget) {
  const verified =
    tls.mode === 'verify-ca' ||
    tls.mode === 'verify-full' ||
    (tls.mode === 'require' && tls.caFile !== undefined);
  const { caFile, certFile, keyFile } = tls;
  return {
    rejectUnauthorized: verified,
    ...(caFile === undefined ? {} : { ca: fileOf(caFile) }),
    ...(certFile === undefined || keyFile === undefined
      ? {}
      : { cert: fileOf(certFile), key: fileOf(keyFile) }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function fileOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw failure('storage.database', { reason: `the file ${path} of its connection cannot be read` });
  }
}
