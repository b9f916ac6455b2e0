import { type DestinationStream, type Logger, pino } from 'pino';
import type { Facts, Log } from '../base/log.ts';

/** The rooms' log, bound to pino: JSON lines with RFC 3339 times. */
export function pinoLog(destination: DestinationStream, level = 'info'): Log {
  return wrap(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    ),
  );
}

function wrap(logger: Logger): Log {
  return {
    debug: (message, facts) => logger.debug(facts ?? {}, message),
    info: (message, facts) => logger.info(facts ?? {}, message),
    warn: (message, facts) => logger.warn(facts ?? {}, message),
    error: (message, facts) => logger.error(facts ?? {}, message),
    with: (facts: Facts) => wrap(logger.child(facts)),
  };
}
