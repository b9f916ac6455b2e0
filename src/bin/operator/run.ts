/** `holdfast controller`: from the flags to an operator that works, and what signals mean to it. */

import { pino } from 'pino';
import { systemClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { keepOutOfDumps } from '../coredumps.ts';
import { keepHeapSmall } from '../heap.ts';
import { pinoLog } from '../log.ts';
import { VERSION } from '../version.ts';
import { type ControllerFlags, type ControllerOptions, controllerOptions } from './options.ts';
import { startController } from './service.ts';

/** Runs until SIGTERM or SIGINT. @throws Failure where a setting or an address is wrong, or the cluster refuses us */
export async function runController(
  flags: ControllerFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  keepHeapSmall();
  const options = controllerOptions(flags, env);
  const log = pinoLog(pino.destination(1), options.logLevel);
  keepOutOfDumps(log);
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  // The clock's timers hold no process: a replica that waits for the Lease, with no port open, would quietly end.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    await work(options, log, env, stopped);
  } finally {
    clearInterval(alive);
  }
}

async function work(
  options: ControllerOptions,
  log: Log,
  env: Readonly<Record<string, string | undefined>>,
  stopped: Promise<string>,
): Promise<void> {
  const controller = await startController(options, { log, clock: systemClock, env });
  log.info('started', { version: VERSION, ...controller.addresses });
  for (const note of options.notes) log.warn(note);
  const broken = controller.ended.then(() => 'the work ended');
  broken.catch(() => {});
  try {
    log.info('stopping', { signal: await Promise.race([stopped, broken]) });
  } catch (error) {
    await controller.close(0).catch(() => {});
    throw error;
  }
  const whole = await controller.close();
  if (!whole) log.warn('what was under way was cut off');
  log.info('stopped');
  // Requests to stores that do not answer would hold the process for as long as they wait.
  if (!whole) process.exit(0);
}
