/** PostgreSQL, MariaDB and Redis of this machine, each in a folder of its own, on the loopback interface, for the tests beside this. */

import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createClient } from '@redis/client';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { createAuthority, issueCertificate } from '../../src/crypto/certificate.ts';
import { freePort } from '../support/ports.ts';

/** What the server files of these tests are called in their certificates. */
export const TLS_NAME = 'db.example.test';
export const KEEPER = 'keeper';
export const ROOT = 'canary-root-password';

export interface Started {
  readonly port: number;
  /** Speaks TLS and nothing else; the same port where the server speaks both on one. */
  readonly tlsPort: number;
  /** PEM of who signed the server's certificate. */
  readonly ca: string;
  /** Ends the server and starts it again over the same folder. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param flag what makes the command tell its version */
export const isHere = (command: string, flag = '--version'): boolean => {
  try {
    execFileSync(command, [flag], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const ANSWER_MS = 60_000;
const WORDS_KEPT = 4096;

type Begun = ChildProcessByStdio<null, Readable, Readable>;
const begun = (command: string, args: string[]): Begun =>
  spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });

const isRoot = process.getuid?.() === 0;
/** PostgreSQL refuses to run as root. */
const asPostgres = (command: string, ...args: string[]): [string, string[]] =>
  isRoot ? ['runuser', ['-u', 'postgres', '--', command, ...args]] : [command, args];

export const hasPostgresql = (): boolean => {
  try {
    const [command, args] = asPostgres('initdb', '--version');
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/**
 * @param superuser whose password is ROOT
 * @param settings more of the server's command line; by default it flushes nothing, which no test of its own crash may rest on
 */
export async function startPostgresql(
  superuser: string = KEEPER,
  settings: readonly string[] = ['-F'],
): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pg-'));
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  const secret = join(folder, 'password');
  writeFileSync(secret, ROOT);
  if (isRoot) execFileSync('chown', ['postgres', folder, secret]);
  const [init, initArgs] = asPostgres(
    'initdb',
    ...['-D', data, '-U', superuser, '--auth=scram-sha-256', `--pwfile=${secret}`, '-N'],
  );
  execFileSync(init, initArgs, { stdio: 'ignore' });
  const port = await freePort();
  const [run, args] = asPostgres(
    'postgres',
    ...['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, ...settings],
  );
  const [stop, stopArgs] = asPostgres('pg_ctl', '-D', data, '-m', 'immediate', 'stop');
  return running(
    { folder, port, tlsPort: port, ca: '' },
    () => begun(run, args),
    async () => {
      const client = new pg.Client({
        host: '127.0.0.1',
        port,
        user: superuser,
        password: ROOT,
        database: 'postgres',
        ssl: false,
      });
      client.on('error', () => {});
      await client.connect();
      await client.end();
    },
    // What was started is the command that changes the user, which passes no signal on.
    () => execFileSync(stop, stopArgs, { stdio: 'ignore' }),
  );
}

/** @param settings more of the server's command line, such as --sql-mode=ANSI */
export async function startMariadb(settings: readonly string[] = []): Promise<Started> {
  const user = isRoot ? ['--user=mysql'] : [];
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-mariadb-'));
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  const { ca, certificate, key } = await writeCertificate(folder);
  if (user.length > 0) execFileSync('chown', ['mysql', folder, key]);
  execFileSync(
    'mariadb-install-db',
    [
      '--no-defaults',
      `--datadir=${data}`,
      ...user,
      '--skip-test-db',
      '--auth-root-authentication-method=normal',
    ],
    { stdio: 'ignore' },
  );
  const port = await freePort();
  const start = () =>
    begun('mariadbd', [
      '--no-defaults',
      `--datadir=${data}`,
      ...user,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      `--ssl-ca=${join(folder, 'ca.pem')}`,
      `--ssl-cert=${certificate}`,
      `--ssl-key=${key}`,
      '--skip-log-bin',
      '--innodb-buffer-pool-size=16M',
      ...settings,
    ]);
  return running({ folder, port, tlsPort: port, ca }, start, async () => {
    const first = await mysql
      .createConnection({ host: '127.0.0.1', port, user: 'root' })
      .catch(() => undefined);
    if (first === undefined) {
      const again = await mysql.createConnection({ host: '127.0.0.1', port, user: KEEPER, password: ROOT });
      await again.end();
      return;
    }
    await first.query(`CREATE USER IF NOT EXISTS '${KEEPER}'@'%' IDENTIFIED BY '${ROOT}'`);
    await first.query(`GRANT ALL PRIVILEGES ON *.* TO '${KEEPER}'@'%' WITH GRANT OPTION`);
    await first.end();
  });
}

/** @param settings more lines of redis.conf */
export async function startRedis(settings: readonly string[] = []): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-redis-'));
  const { ca, certificate, key } = await writeCertificate(folder);
  const users = join(folder, 'users.acl');
  writeFileSync(users, `user default off\nuser ${KEEPER} on >${ROOT} ~* &* +@all\n`);
  const port = await freePort();
  const tlsPort = await freePort();
  const file = join(folder, 'redis.conf');
  writeFileSync(
    file,
    [
      'bind 127.0.0.1',
      `port ${port}`,
      `tls-port ${tlsPort}`,
      `tls-cert-file ${certificate}`,
      `tls-key-file ${key}`,
      `tls-ca-cert-file ${join(folder, 'ca.pem')}`,
      'tls-auth-clients no',
      `dir ${folder}`,
      `aclfile ${users}`,
      'save ""',
      ...settings,
    ].join('\n'),
  );
  return running(
    { folder, port, tlsPort, ca },
    () => begun('redis-server', [file]),
    async () => {
      const client = createClient({
        username: KEEPER,
        password: ROOT,
        socket: { host: '127.0.0.1', port, reconnectStrategy: false },
      });
      client.on('error', () => {});
      await client.connect();
      client.destroy();
    },
  );
}

async function writeCertificate(folder: string) {
  const authority = await createAuthority('databases of a test');
  const issued = await issueCertificate(authority, { names: [TLS_NAME], ips: [], client: true });
  const certificate = join(folder, 'server.pem');
  const key = join(folder, 'server.key');
  writeFileSync(join(folder, 'ca.pem'), authority.certificate);
  writeFileSync(certificate, issued.certificate);
  writeFileSync(key, issued.key, { mode: 0o600 });
  return { ca: authority.certificate, certificate, key };
}

interface Placed {
  readonly folder: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly ca: string;
}

/** @param halt ends the server where a signal to what was started does not */
async function running(
  { folder, ...place }: Placed,
  start: () => Begun,
  answers: () => Promise<void>,
  halt?: () => void,
): Promise<Started> {
  let child: Begun;
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  const begin = async (): Promise<void> => {
    child = start();
    let words = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        words = (words + chunk).slice(-WORDS_KEPT);
      });
    const until = Date.now() + ANSWER_MS;
    for (;;) {
      try {
        await answers();
        return;
      } catch (cause) {
        if (isOver() || Date.now() > until) {
          const end = isOver() ? `ended with ${child.exitCode ?? child.signalCode}` : 'does not answer';
          throw new Error(`${child.spawnfile} on port ${place.port} ${end}: ${words}`, { cause });
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
  const end = async (): Promise<void> => {
    if (isOver()) return;
    const over = new Promise((resolve) => child.once('exit', resolve));
    if (halt !== undefined) halt();
    else child.kill('SIGTERM');
    await over;
  };
  await begin().catch((error: unknown) => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    ...place,
    async restart() {
      await end();
      await begin();
    },
    async stop() {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
