/**
 * What the rooms know of logging: a level, a sentence, and named facts. `bin` binds it to pino.
 * A value of a secret is never a fact: log its path, version or length.
 */
export interface Log {
  debug(message: string, facts?: Facts): void;
  info(message: string, facts?: Facts): void;
  warn(message: string, facts?: Facts): void;
  error(message: string, facts?: Facts): void;
  /** A log whose lines all carry these facts. */
  with(facts: Facts): Log;
}

export type Facts = Readonly<Record<string, unknown>>;

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};
