/** How PostgreSQL is addressed: a URI, as libpq takes it. */

import { own } from '../../base/own.ts';
import {
  bad,
  bounded,
  CONNECT_TIMEOUT_MS,
  type ConnectionUrl,
  decoded,
  inlineOf,
  LONGEST_TIMEOUT_S,
  portOf,
  type TlsMode,
} from './target.ts';

const SHAPE =
  /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const MODES: Readonly<Record<string, TlsMode>> = {
  disable: 'disable',
  allow: 'prefer',
  prefer: 'prefer',
  require: 'require',
  'verify-ca': 'verify-ca',
  'verify-full': 'verify-full',
};

/** @throws Failure database.config; never with a part of the URL, which may hold a password */
export function parsePostgresqlUrl(url: string): ConnectionUrl {
  if (url === '') throw bad('connection_url cannot be empty');
  const parts = SHAPE.exec(bounded(url) ?? '');
  if (parts === null)
    throw bad(
      'connection_url must read postgresql://{{username}}:{{password}}@HOST:PORT/DATABASE?sslmode=MODE, with one host',
    );
  const [, user = '', address = '', port = '5432', database = '', query = ''] = parts;
  const host = address.replace(/^\[|\]$/g, '');
  return {
    target: {
      protocol: 'postgresql',
      host,
      port: portOf(port),
      database: decoded(database),
      serverName: host,
      ...parameters(query),
    },
    inline: inlineOf(user, decoded),
  };
}

function parameters(query: string): { tls: TlsMode; connectTimeoutMs: number } {
  let tls: TlsMode = 'prefer';
  let connectTimeoutMs = CONNECT_TIMEOUT_MS;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'sslmode') {
      const mode = own(MODES, value);
      if (mode === undefined) throw bad(`sslmode must be one of ${Object.keys(MODES).join(', ')}`);
      tls = mode;
    } else if (name === 'connect_timeout') {
      const seconds = /^\d{1,4}$/.test(value) ? Number(value) : 0;
      if (seconds < 1 || seconds > LONGEST_TIMEOUT_S)
        throw bad(`connect_timeout must be from 1 to ${LONGEST_TIMEOUT_S} seconds`);
      connectTimeoutMs = seconds * 1000;
    } else if (name !== 'application_name')
      // sslrootcert and its like name files: a request could have any file of the server opened.
      throw bad(
        'connection_url takes sslmode, connect_timeout and application_name; certificates go into tls_ca',
      );
  }
  return { tls, connectTimeoutMs };
}
