import { type DestinationStream, type Logger, pino } from 'pino';
import { Failure } from '../base/errors.ts';
import type { Facts, Log } from '../base/log.ts';

/**
 * The rooms' log, bound to pino: JSON lines with RFC 3339 times. Of an error it takes the name, the code and where it came
 * from; its message only where that is a row of our own table: any other could quote a secret that was read.
 */
export function pinoLog(destination: DestinationStream, level = 'info'): Log {
  return wrap(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: toldError },
      },
      destination,
    ),
  );
}

function toldError(error: unknown): unknown {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as { readonly code?: unknown };
  return {
    name: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error instanceof Failure ? { message: error.message } : { at: framesOf(error) }),
  };
}

/** The lines of the stack behind the message, which may itself have several and look like anything. */
function framesOf({ name, message, stack = '' }: Error): readonly string[] {
  const head = message === '' ? name : `${name}: ${message}`;
  if (!stack.startsWith(head)) return [];
  return stack
    .slice(head.length)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, 10);
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
