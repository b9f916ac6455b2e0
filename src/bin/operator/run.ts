/** `holdfast controller`: from the flags to an operator that works, and what signals mean to it. */

import { pino } from 'pino';
import { systemClock } from '../../base/clock.ts';
import { keepOutOfDumps } from '../coredumps.ts';
import { tuneHeap } from '../heap.ts';
import { pinoLog } from '../log.ts';
import { VERSION } from '../version.ts';
import { type ControllerFlags, controllerOptions } from './options.ts';
import { startController } from './service.ts';

/** Runs until SIGTERM or SIGINT. @throws Failure where a setting or an address is wrong, or the cluster refuses us */
export async function runController(
  flags: ControllerFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  tuneHeap();
  const options = controllerOptions(flags, env);
  const log = pinoLog(pino.destination(1), options.logLevel);
  keepOutOfDumps(log);
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  const controller = await startController(options, { log, clock: systemClock, env });
  log.info('started', { version: VERSION, ...controller.addresses });
  for (const note of options.notes) log.warn(note);
  try {
    log.info('stopping', { signal: await stopped });
  } finally {
    await controller.close();
  }
  log.info('stopped');
}
