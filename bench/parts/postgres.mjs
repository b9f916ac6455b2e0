// A PostgreSQL of the run's own, in a folder of its own, that flushes as it does in production.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { freePort } from './ports.mjs';

export const NO_POSTGRESQL =
  'no PostgreSQL: no initdb on the PATH, or no user postgres; only LMDB is measured';
const PASSWORD = 'bench';
const START_LIMIT_MS = 30_000;

/** Starts it; undefined where this machine has none. `stanza` is the storage of a configuration over it. */
export async function startPostgresql() {
  if (!runs('initdb', '--version')) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-pg-'));
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  const secret = join(folder, 'password');
  writeFileSync(secret, PASSWORD);
  if (isRoot) execFileSync('chown', ['postgres', folder, secret]);
  const [init, initArgs] = asPostgres(
    'initdb',
    '-D',
    data,
    '-U',
    'bench',
    '--auth=md5',
    `--pwfile=${secret}`,
  );
  execFileSync(init, initArgs, { stdio: 'ignore' });
  const port = await freePort();
  const [run, args] = asPostgres('postgres', '-D', data, '-p', `${port}`, '-h', '127.0.0.1', '-k', folder);
  const child = spawn(run, args, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const until = performance.now() + START_LIMIT_MS;
  while (!runs('pg_isready', '-q', '-h', '127.0.0.1', '-p', `${port}`)) {
    if (performance.now() > until) throw new Error('PostgreSQL does not start');
    await later(100);
  }
  const url = `postgresql://bench:${PASSWORD}@127.0.0.1:${port}/postgres?sslmode=disable`;
  return {
    stanza: `storage "postgresql" {\n  connection_url = "${url}"\n}`,
    async stop() {
      // What was started is the command that changes the user, which passes no signal on.
      const [stop, stopArgs] = asPostgres('pg_ctl', '-D', data, '-m', 'immediate', 'stop');
      execFileSync(stop, stopArgs, { stdio: 'ignore' });
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const isRoot = process.getuid?.() === 0;
/** PostgreSQL refuses to run as root. */
const asPostgres = (command, ...args) =>
  isRoot ? ['runuser', ['-u', 'postgres', '--', command, ...args]] : [command, args];

function runs(command, ...flags) {
  try {
    const [program, args] = asPostgres(command, ...flags);
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
