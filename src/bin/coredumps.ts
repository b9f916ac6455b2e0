/** Keeps what this process holds in memory out of files that the system writes when it crashes. */

import { writeFileSync } from 'node:fs';
import type { Log } from '../base/log.ts';

/** A dump would hold keys and secrets. Linux leaves out what the filter does not name; elsewhere it is said. */
export function keepOutOfDumps(log: Log): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    log.warn('core dumps of this process could hold its keys: turn them off with ulimit -c 0');
  }
}
