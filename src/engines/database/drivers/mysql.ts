/** MySQL and MariaDB, through `mysql2`, which is loaded when the first database is spoken to. */

import type { Pool, PoolConnection } from 'mysql2/promise';
import {
  asRefusal,
  type Connect,
  type Locate,
  type Open,
  type Query,
  type Row,
  STATEMENT_TIMEOUT_MS,
} from '../driver.ts';
import { FOREIGN_MODES } from '../sql-mysql.ts';
import type { Target, TlsMaterial } from '../target.ts';

const IDLE_MS = 30_000;
/** How long closing waits for a server that no longer answers. */
const FAREWELL_MS = 2000;

/** @param locate the judge of every address */
export const mysql =
  (locate: Locate, connect: Open): Connect =>
  (target, login, material, size) => {
    let pool: Promise<Pool> | undefined;
    const born = new WeakMap<object, number>();

    const open = async (tls: boolean): Promise<Pool> => {
      const { createPool } = await import('./mysql-client.ts');
      const place = await locate(target.host, target.port);
      return createPool({
        // The driver verifies the certificate against this; the connection goes to the address that was judged.
        host: target.serverName,
        stream: () => connect(place),
        user: login.username,
        password: login.password,
        ...(target.database === '' ? {} : { database: target.database }),
        ...(tls ? { ssl: tlsOptions(target, material) } : {}),
        charset: 'utf8mb4',
        connectTimeout: target.connectTimeoutMs,
        connectionLimit: size.open,
        maxIdle: size.idle > 0 ? Math.min(size.idle, size.open) : size.idle === 0 ? size.open : 0,
        idleTimeout: IDLE_MS,
        multipleStatements: false,
        // A server could ask for any file of this machine otherwise.
        flags: ['-LOCAL_FILES'],
        // Without it the driver makes code of what a server says of its columns.
        disableEval: true,
        connectAttributes: { program_name: 'holdfast' },
      });
    };

    const connected = async (): Promise<PoolConnection> => {
      pool ??= open(target.tls !== 'disable');
      const mine = pool;
      try {
        return await (await mine).getConnection();
      } catch (error) {
        // The next call looks the address up again.
        if (pool === mine) pool = undefined;
        void mine.then((made) => made.end()).catch(() => {});
        if (target.tls !== 'prefer' || !isWithoutTls(error)) throw error;
        pool = open(false);
        return await (await pool).getConnection();
      }
    };

    const isOld = (connection: PoolConnection): boolean => {
      const now = performance.now();
      const since = born.get(connection.connection) ?? now;
      born.set(connection.connection, since);
      return size.lifetimeMs > 0 && now - since >= size.lifetimeMs;
    };

    return {
      async transaction(work) {
        const connection = await connected().catch((error: unknown) => {
          throw asRefusal(error, 'database.connection', translate);
        });
        let isBroken = true;
        const query = queryOn(connection);
        try {
          await settle(query);
          await query('START TRANSACTION');
          const result = await work(query);
          await query('COMMIT');
          isBroken = isOld(connection);
          return result;
        } catch (error) {
          isBroken = !(await query('ROLLBACK').then(
            () => true,
            () => false,
          ));
          throw asRefusal(error, 'database.failed', translate);
        } finally {
          if (isBroken) connection.destroy();
          else connection.release();
        }
      },
      async close() {
        const open = pool;
        pool = undefined;
        const ended = open?.then((made) => made.end()).catch(() => {});
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, FAREWELL_MS).unref())]);
      },
    };
  };

/** With values, a statement is prepared by the server. Without, it is sent as text: it may be one that cannot be prepared. */
const queryOn =
  (connection: PoolConnection): Query =>
  async (statement, values = []) => {
    const asked = { sql: statement, timeout: STATEMENT_TIMEOUT_MS };
    const [rows] =
      values.length === 0 ? await connection.query(asked) : await connection.execute(asked, [...values]);
    return Array.isArray(rows) ? (rows as Row[]) : [];
  };

/** Makes the session read quotes and characters as values are escaped for them, whatever the server is set to. */
async function settle(query: Query): Promise<void> {
  const [row] = await query('SELECT @@SESSION.sql_mode AS mode');
  const modes = String(row?.['mode'] ?? '').split(',');
  const kept = modes.filter((mode) => /^[A-Z_]+$/.test(mode) && !FOREIGN_MODES.includes(mode));
  if (kept.length < modes.length) await query(`SET SESSION sql_mode = '${kept.join(',')}'`);
  await query('SET NAMES utf8mb4');
}

function tlsOptions({ tls }: Target, { ca, certificate, key }: TlsMaterial) {
  const isVerified = tls === 'verify-full';
  return {
    rejectUnauthorized: isVerified,
    verifyIdentity: isVerified,
    ...(ca === '' ? {} : { ca }),
    ...(certificate === '' ? {} : { cert: certificate, key }),
  };
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;
const isWithoutTls = (error: unknown): boolean => codeOf(error) === 'HANDSHAKE_NO_SSL_SUPPORT';

const WORDS: Readonly<Record<string, string>> = {
  ER_ACCESS_DENIED_ERROR: 'password authentication failed',
  ER_DBACCESS_DENIED_ERROR: 'the login is not allowed to use this database',
  ER_BAD_DB_ERROR: 'there is no such database',
  ER_SPECIFIC_ACCESS_DENIED_ERROR: 'insufficient privilege',
  ER_TABLEACCESS_DENIED_ERROR: 'insufficient privilege',
  ER_PARSE_ERROR: 'syntax error',
  ER_CANNOT_USER: 'an account cannot be made, changed or dropped: it exists already, or there is none',
  ER_NONEXISTING_GRANT: 'there is no such grant',
  ER_NO_SUCH_TABLE: 'there is no such table',
  ER_NOT_VALID_PASSWORD: 'the password does not satisfy the policy of the server',
  ER_CON_COUNT_ERROR: 'too many connections',
  ER_HOST_NOT_PRIVILEGED: 'this host may not connect',
  HANDSHAKE_NO_SSL_SUPPORT: 'the server does not speak TLS',
  HANDSHAKE_SSL_ERROR: 'TLS failed: the certificate of the server, or ours, was not accepted',
};

function translate(error: unknown): string | undefined {
  const code = codeOf(error);
  if (typeof code !== 'string' || !Object.hasOwn(WORDS, code)) return undefined;
  return `${WORDS[code]} (${code})`;
}
