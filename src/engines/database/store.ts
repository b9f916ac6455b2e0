/**
 * What the engine keeps: connections at `config/<name>`, roles at `role/<name>`, accounts that are rotated at `static/<name>`.
 * All of it is behind the barrier; passwords in it are told to nobody but who asks for the credentials themselves.
 */

import { failure } from '../../base/errors.ts';
import type { PoolSize } from './driver.ts';
import type { TlsMaterial } from './target.ts';
import type { Timing } from './timing.ts';

export { type Found, Shelf } from '../../plugin/shelf.ts';

/** Milliseconds throughout. */
export interface Config {
  readonly plugin: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** A password that may be set at the database by now: `rotate-root` writes it down before it is sent. */
  readonly pendingPassword?: string;
  readonly allowedRoles: readonly string[];
  readonly rootStatements: readonly string[];
  readonly passwordPolicy: string;
  readonly usernameTemplate: string;
  readonly verify: boolean;
  readonly pool: PoolSize;
  readonly tls: TlsMaterial;
  /** MySQL: another name for the certificate than the host's, and whether it is looked at. */
  readonly tlsServerName: string;
  readonly tlsSkipVerify: boolean;
  /** Redis: the address, in place of a URL. 0: no port was given. */
  readonly host: string;
  readonly port: number;
  readonly useTls: boolean;
  readonly insecureTls: boolean;
  /** Kept for who reads it back: a login is never made part of a URL here, so that nothing has to be escaped. */
  readonly disableEscaping: boolean;
}

export interface Role {
  readonly db: string;
  readonly creation: readonly string[];
  readonly revocation: readonly string[];
  readonly rollback: readonly string[];
  readonly renewal: readonly string[];
  /** 0: the mount's. */
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}

export interface StaticRole {
  readonly db: string;
  readonly username: string;
  readonly password: string;
  /** A password that may be set at the database by now. */
  readonly pendingPassword?: string;
  readonly timing: Timing;
  readonly rotatedAt: number;
  readonly statements: readonly string[];
}

const NAME = /^\w(?:[\w.-]{0,126}\w)?$/;

/** @throws Failure database.name: names become part of account names, globs and storage keys */
export function checkedName(name: string): string {
  if (!NAME.test(name)) throw failure('database.name');
  return name;
}
