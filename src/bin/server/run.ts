/** `holdfast server`: from the files to a server that stands, and what signals mean to it. */

import { rmSync, writeFileSync } from 'node:fs';
import { pino } from 'pino';
import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { readServerConfig } from '../../server/config/config.ts';
import { keepOutOfDumps } from '../coredumps.ts';
import { tuneHeap } from '../heap.ts';
import { pinoLog } from '../log.ts';
import { readConfigTexts } from './files.ts';
import { startService } from './service.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Runs until SIGTERM or SIGINT. @throws Failure before anything listens, where a file or an address is wrong */
export async function runServer(paths: readonly string[], env: Env): Promise<void> {
  const config = readServerConfig(await readConfigTexts(paths), env);
  const log = pinoLog(pino.destination(1), config.logLevel);
  for (const note of config.notes) log.warn(note);
  keepOutOfDumps(log);
  tuneHeap();
  let stopping = false;
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        stopping = true;
        resolve(signal);
      });
  });
  const service = await startService(config, { log, clock: systemClock, env });
  if (stopping) log.info('stopped before it started');
  const reload = (): void => {
    log.info('reloading');
    void service.reload();
  };
  process.on('SIGHUP', reload);
  const { pidFile } = config;
  try {
    if (pidFile !== undefined) writePid(pidFile);
    const { initialized, sealed } = await service.server.seal.status();
    log.info('started', { initialized, sealed, storage: config.storage.kind });
    log.info('stopping', { signal: await stopped });
  } finally {
    process.off('SIGHUP', reload);
    await service.close();
    if (pidFile !== undefined) rmSync(pidFile, { force: true });
  }
  log.info('stopped');
}

function writePid(file: string): void {
  try {
    writeFileSync(file, `${process.pid}\n`, { mode: 0o644 });
  } catch {
    throw failure('config.refused', {
      reason: `pid_file ${file} cannot be written`,
      mend: 'Name a file in a folder that exists and that this user may write to.',
    });
  }
}
