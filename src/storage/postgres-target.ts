/**
 * Where a PostgreSQL is, read from a connection string by us and by nobody else: the driver would look into the
 * environment and the home of the server for what a string leaves out. Whoever writes the string is the administrator.
 */

import { own } from '../base/own.ts';

export interface PostgresTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly tls: PostgresTls;
  readonly connectTimeoutMs: number;
}

/**
 * `prefer`: TLS where the server has it, unverified. `require`: TLS, verified only where authorities are named.
 * `verify-ca`: signed by an authority that is trusted. `verify-full`: for that host too. As libpq has them (PostgreSQL
 * manual, 34.19).
 */
export interface PostgresTls {
  readonly mode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** Files, PEM. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

const SHAPE =
  /^postgres(?:ql)?:\/\/([^/?#@:]+)(?::([^/?#@]*))?@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/([^/?#]+)(?:\?([^#]*))?$/;
const MODES: Readonly<Record<string, PostgresTls['mode']>> = {
  disable: 'disable',
  allow: 'prefer',
  prefer: 'prefer',
  require: 'require',
  'verify-ca': 'verify-ca',
  'verify-full': 'verify-full',
};
const LONGEST_URL = 4096;
const CONNECT_TIMEOUT_S = 5;
const LONGEST_TIMEOUT_S = 60;
const FILES = { sslrootcert: 'caFile', sslcert: 'certFile', sslkey: 'keyFile' } as const;

/** What is wrong with a connection string: a sentence that holds no part of it. */
export class BadTarget extends Error {
  override readonly name = 'BadTarget';
}

/** @throws BadTarget */
export function parsePostgresTarget(url: string): PostgresTarget {
  const parts = url.length > LONGEST_URL ? null : SHAPE.exec(url);
  if (parts === null)
    throw new BadTarget(
      'it does not read postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE, with one host and every sign of the password that has a meaning in a URL written as %XX',
    );
  const [, user = '', password = '', address = '', port = '5432', database = '', query = ''] = parts;
  const number = Number(port);
  if (number < 1 || number > 65_535) throw new BadTarget('its port is none');
  return {
    host: address.replace(/^\[|\]$/g, ''),
    port: number,
    database: decoded(database),
    user: decoded(user),
    password: decoded(password),
    ...parameters(query),
  };
}

/** Host, port and database: what people may be shown of a target. */
export const shownTarget = ({ host, port, database }: PostgresTarget): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}/${database}`;

function parameters(query: string): Pick<PostgresTarget, 'tls' | 'connectTimeoutMs'> {
  let mode: PostgresTls['mode'] = 'prefer';
  let connectTimeoutMs = CONNECT_TIMEOUT_S * 1000;
  const files: { caFile?: string; certFile?: string; keyFile?: string } = {};
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (seen.has(name)) throw new BadTarget('it gives a parameter twice');
    seen.add(name);
    if (name === 'sslmode') {
      const known = own(MODES, value);
      if (known === undefined) throw new BadTarget(`its sslmode is none of ${Object.keys(MODES).join(', ')}`);
      mode = known;
    } else if (name === 'connect_timeout') {
      const seconds = /^\d{1,4}$/.test(value) ? Number(value) : 0;
      if (seconds < 1 || seconds > LONGEST_TIMEOUT_S)
        throw new BadTarget(`its connect_timeout is not from 1 to ${LONGEST_TIMEOUT_S} seconds`);
      connectTimeoutMs = seconds * 1000;
    } else if (Object.hasOwn(FILES, name) && value !== '') files[FILES[name as keyof typeof FILES]] = value;
    else if (name !== 'application_name')
      throw new BadTarget(
        'it has a parameter other than sslmode, sslrootcert, sslcert, sslkey, connect_timeout and application_name',
      );
  }
  if ((files.certFile === undefined) !== (files.keyFile === undefined))
    throw new BadTarget('of sslcert and sslkey it has one, and both are needed');
  if (mode === 'disable' && Object.keys(files).length > 0)
    throw new BadTarget('it names files for TLS, which sslmode=disable turns off');
  return { tls: { mode, ...files }, connectTimeoutMs };
}

function decoded(text: string): string {
  try {
    const whole = decodeURIComponent(text);
    if (!whole.includes('\0')) return whole;
  } catch {
    // Told below: the parser's own error quotes the text.
  }
  throw new BadTarget('a % in it is not followed by two digits of a character that it may hold');
}
