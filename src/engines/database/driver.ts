/**
 * How the engine speaks to a database: the interface; the databases behind it are in `drivers/`. An address that a request named
 * is found and judged by whoever made the driver (`Locate`) before anything is sent to it. What a database says of an error
 * quotes statements, and those hold passwords: only its code goes any further.
 */

import type { Duplex } from 'node:stream';
import { type Failure, failure, isFailure } from '../../base/errors.ts';
import type { Target, TlsMaterial } from './target.ts';

/** Where a host is: the address that was judged. */
export interface Place {
  readonly ip: string;
  readonly port: number;
}

/** Finds the address of a host, and refuses what must not be connected to. @throws Failure dial.refused, dial.unreachable */
export type Locate = (host: string, port: number) => Promise<Place>;

/** Connects to an address that was judged, for a driver that would look up the name of its certificate otherwise. */
export type Open = (place: Place) => Duplex;

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface PoolSize {
  readonly open: number;
  readonly idle: number;
  /** Milliseconds; 0: for ever. */
  readonly lifetimeMs: number;
}

export type Row = Readonly<Record<string, unknown>>;
/**
 * Runs one statement; `values` stand for its parameters, as the database writes them ($1, ?). Redis: a command, and its
 * arguments; the reply is the row's `reply`.
 */
export type Query = (statement: string, values?: readonly string[]) => Promise<readonly Row[]>;

/** One account at one database. Every call gives up after a while. */
export interface Database {
  /**
   * Does `work` on one connection, in a transaction: all of it, or nothing. MySQL keeps what it did to accounts all the same,
   * and Redis knows no transactions: who makes an account undoes it where that fails.
   * @throws Failure database.failed, database.connection
   */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export type Connect = (target: Target, login: Login, tls: TlsMaterial, size: PoolSize) => Database;

export const STATEMENT_TIMEOUT_MS = 30_000;

/** The error of a driver in our words alone. */
export type Translate = (error: unknown) => string | undefined;

/** @param translate what may be told of the errors of one database; undefined where it is none of its own */
export function asRefusal(
  error: unknown,
  code: 'database.failed' | 'database.connection',
  translate: Translate,
): Failure {
  if (isFailure(error)) return error;
  const said = (error as { code?: unknown } | null)?.code;
  const known = typeof said === 'string' && /^[A-Z0-9_]{3,60}$/.test(said) ? said : undefined;
  return failure(code, { reason: translate(error) ?? known ?? 'no answer, or none in time' });
}
