/** The databases that can be spoken to, each by its own driver. */

import type { Connect, Locate, Open } from '../driver.ts';
import type { Protocol } from '../target.ts';
import { mysql } from './mysql.ts';
import { postgresql } from './postgresql.ts';
import { redis } from './redis.ts';

/** @param locate the judge of every address: only who wires the program decides what may be connected to */
export function drivers(locate: Locate, open: Open): Connect {
  const all: Readonly<Record<Protocol, Connect>> = {
    postgresql: postgresql(locate),
    mysql: mysql(locate, open),
    redis: redis(locate),
  };
  return (target, ...rest) => all[target.protocol](target, ...rest);
}
