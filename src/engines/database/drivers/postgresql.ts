/** PostgreSQL, through `pg`, which is loaded when the first database is spoken to. */

import type pg from 'pg';
import { asRefusal, type Connect, type Locate, type Row, STATEMENT_TIMEOUT_MS } from '../driver.ts';
import { isAddress, type Target, type TlsMaterial } from '../target.ts';

/** @param locate the judge of every address */
export const postgresql =
  (locate: Locate): Connect =>
  (target, login, material, size) => {
    let pool: Promise<pg.Pool> | undefined;

    const open = async (tls: boolean): Promise<pg.Pool> => {
      const { default: driver } = await import('pg');
      const { ip, port } = await locate(target.host, target.port);
      const made = new driver.Pool({
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
          throw asRefusal(error, 'database.connection', translate);
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
          throw asRefusal(error, 'database.failed', translate);
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

function tlsOptions({ serverName, tls }: Target, { ca, certificate, key }: TlsMaterial) {
  const verified = tls === 'verify-ca' || tls === 'verify-full' || (tls === 'require' && ca !== '');
  return {
    rejectUnauthorized: verified,
    ...(ca === '' ? {} : { ca }),
    ...(certificate === '' ? {} : { cert: certificate, key }),
    // The connection goes to the address that was judged, so that the name has to be told.
    ...(isAddress(serverName) ? {} : { servername: serverName }),
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

function translate(error: unknown): string | undefined {
  if (isWithoutTls(error)) return 'the server does not speak TLS';
  const state = (error as { code?: unknown } | null)?.code;
  if (typeof state !== 'string' || !/^[0-9A-Z]{5}$/.test(state)) return undefined;
  const words = Object.hasOwn(WORDS, state) ? `${WORDS[state]} ` : '';
  return `${words}(SQLSTATE ${state})`;
}
