/**
 * How the engine speaks to a database: the interface, and PostgreSQL behind it. An address that a request named is found and
 * judged by whoever made the driver (`Locate`) before anything is sent to it. What the database says of an error quotes
 * statements, and those hold passwords: only its SQLSTATE goes any further.
 */

import pg from 'pg';
import { failure, isFailure } from '../../base/errors.ts';
import type { Target, TlsMaterial } from './target.ts';

/** Finds the address of a host, and refuses what must not be connected to. @throws Failure dial.refused, dial.unreachable */
export type Locate = (host: string, port: number) => Promise<{ readonly ip: string; readonly port: number }>;

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface PoolSize {
  readonly open: number;
  readonly idle: number;
  /** Milliseconds; 0: for ever. */
  readonly lifetimeMs: number;
}

export type Row = Readonly<Record<string, unknown>>;
/** Runs one statement; `values` stand for $1, $2, ... */
export type Query = (statement: string, values?: readonly string[]) => Promise<readonly Row[]>;

/** One account at one database. Every call gives up after a while. */
export interface Database {
  /** Does `work` on one connection, in a transaction: all of it, or nothing. @throws Failure database.failed, database.connection */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export type Connect = (target: Target, login: Login, tls: TlsMaterial, size: PoolSize) => Database;

const STATEMENT_TIMEOUT_MS = 30_000;

/** @param locate the judge of every address */
export const postgresql =
  (locate: Locate): Connect =>
  (target, login, material, size) => {
    let pool: Promise<pg.Pool> | undefined;

    const open = async (tls: boolean): Promise<pg.Pool> => {
      const { ip, port } = await locate(target.host, target.port);
      const made = new pg.Pool({
        host: ip,
        port,
        database: target.database === '' ? 'postgres' : target.database,
        user: login.username,
        // A function, because without one the driver looks into the environment and the home of the server.
        password: () => login.password,
        ssl: tls ? tlsOptions(target, material) : false,
        application_name: 'holdfast',
        max: size.open,
        min: 0,
        idleTimeoutMillis: size.idle === 0 ? 1 : 30_000,
        ...(size.lifetimeMs === 0 ? {} : { maxLifetimeSeconds: Math.ceil(size.lifetimeMs / 1000) }),
        connectionTimeoutMillis: target.connectTimeoutMs,
        query_timeout: STATEMENT_TIMEOUT_MS,
        allowExitOnIdle: true,
      });
      // An idle connection that breaks is replaced by the next; unheard, the event would end the process.
      made.on('error', () => {});
      return made;
    };

    const connected = async (): Promise<pg.PoolClient> => {
      pool ??= open(target.tls !== 'disable');
      const mine = pool;
      try {
        return await (await mine).connect();
      } catch (error) {
        // The next call looks the address up again.
        if (pool === mine) pool = undefined;
        void mine.then((made) => made.end()).catch(() => {});
        if (target.tls !== 'prefer' || !isWithoutTls(error)) throw error;
        pool = open(false);
        return await (await pool).connect();
      }
    };

    return {
      async transaction(work) {
        const client = await connected().catch((error: unknown) => {
          throw asRefusal(error, 'database.connection');
        });
        let broken: boolean = true;
        const lost = (): void => {};
        client.on('error', lost);
        try {
          // Quotes were escaped for this setting; a server of long ago may have the other.
          await client.query('BEGIN; SET LOCAL standard_conforming_strings = on');
          const result = await work(async (statement, values = []) => {
            const answer = await client.query({ text: statement, values: [...values] });
            return answer.rows as Row[];
          });
          await client.query('COMMIT');
          broken = false;
          return result;
        } catch (error) {
          broken = !(await client.query('ROLLBACK').then(
            () => true,
            () => false,
          ));
          throw isFailure(error) ? error : asRefusal(error, 'database.failed');
        } finally {
          client.off('error', lost);
          client.release(broken);
        }
      },
      async close() {
        const open = pool;
        pool = undefined;
        await open?.then((made) => made.end()).catch(() => {});
      },
    };
  };

function tlsOptions({ host, tls }: Target, { ca, certificate, key }: TlsMaterial) {
  const verified = tls === 'verify-ca' || tls === 'verify-full' || (tls === 'require' && ca !== '');
  return {
    rejectUnauthorized: verified,
    ...(ca === '' ? {} : { ca }),
    ...(certificate === '' ? {} : { cert: certificate, key }),
    // The connection goes to the address that was judged, so that the name has to be told.
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    ...(tls === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

const isWithoutTls = (error: unknown): boolean =>
  error instanceof Error && error.message === 'The server does not support SSL connections';

const WORDS: Readonly<Record<string, string>> = {
  '28P01': 'password authentication failed',
  '28000': 'the login is not allowed',
  '3D000': 'there is no such database',
  '42501': 'insufficient privilege',
  '42601': 'syntax error',
  '42704': 'there is no such role or object',
  '42710': 'it exists already',
  '42P01': 'there is no such table',
  '3F000': 'there is no such schema',
  '2BP01': 'other objects depend on it',
  '53300': 'too many connections',
  '57014': 'cancelled',
};

/** The error of the driver, in our words alone: its own may quote a password. */
function asRefusal(error: unknown, code: 'database.failed' | 'database.connection'): Error {
  if (isFailure(error)) return error;
  const said = (error as { code?: unknown }).code;
  const known = typeof said === 'string' && /^[A-Z0-9_]{3,40}$/.test(said) ? said : undefined;
  if (known !== undefined && /^[0-9A-Z]{5}$/.test(known)) {
    const words = Object.hasOwn(WORDS, known) ? `${WORDS[known]} ` : '';
    return failure(code, { reason: `${words}(SQLSTATE ${known})` });
  }
  if (isWithoutTls(error)) return failure(code, { reason: 'the server does not speak TLS' });
  return failure(code, { reason: known ?? 'no answer, or none in time' });
}
