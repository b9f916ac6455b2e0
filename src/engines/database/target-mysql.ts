/** How MySQL and MariaDB are addressed: a DSN of go-sql-driver, `USER:PASSWORD@tcp(HOST:PORT)/DATABASE?tls=true`. */

import { parseDuration } from '../../base/duration.ts';
import { own } from '../../base/own.ts';
import {
  bad,
  bounded,
  CONNECT_TIMEOUT_MS,
  type ConnectionUrl,
  decoded,
  inlineOf,
  isAddress,
  LONGEST_TIMEOUT_S,
  portOf,
  type TlsMaterial,
  type TlsMode,
} from './target.ts';

export interface MysqlTls extends TlsMaterial {
  readonly serverName: string;
  readonly skipVerify: boolean;
}

const MODES: Readonly<Record<string, TlsMode>> = {
  true: 'verify-full',
  false: 'disable',
  'skip-verify': 'require',
  preferred: 'prefer',
};
/** What the Go driver takes and what changes nothing here: each statement is sent by itself, and rows are not looked at. */
const IGNORED: ReadonlySet<string> = new Set([
  'allowNativePasswords',
  'charset',
  'checkConnLiveness',
  'clientFoundRows',
  'collation',
  'columnsWithAlias',
  'interpolateParams',
  'loc',
  'maxAllowedPacket',
  'multiStatements',
  'parseTime',
  'readTimeout',
  'rejectReadOnly',
  'writeTimeout',
]);
const ADDRESS = /^(?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?)?$/;

/** @throws Failure database.config; never with a part of the DSN, which may hold a password */
export function parseMysqlDsn(url: string, tls: MysqlTls): ConnectionUrl {
  if (url === '') throw bad('connection_url cannot be empty');
  const text = bounded(url) ?? '';
  // The Go driver looks for the last slash, and for the last "@" before it: a password may have either.
  const slash = text.lastIndexOf('/');
  if (slash === -1) throw bad(SHAPE);
  const [database = '', query = ''] = text.slice(slash + 1).split(/\?(.*)/s);
  const at = text.lastIndexOf('@', slash);
  const network = /^(?:(tcp)?(?:\(([^()]*)\))?)$/.exec(text.slice(at + 1, slash));
  const address = network === null ? null : ADDRESS.exec(network[2] ?? '');
  if (address === null) throw bad(SHAPE);
  const [, given = '127.0.0.1', port = '3306'] = address;
  const host = given.replace(/^\[|\]$/g, '');
  const asked = parameters(query);
  const mode = modeOf(asked.tls, tls);
  const serverName = tls.serverName === '' ? host : tls.serverName;
  if (mode === 'verify-full' && isAddress(serverName))
    throw bad('the certificate of an IP address is not verified; name the host, or set tls_server_name');
  return {
    target: {
      protocol: 'mysql',
      host,
      port: portOf(port),
      database: decoded(database),
      tls: mode,
      serverName,
      connectTimeoutMs: asked.connectTimeoutMs,
    },
    // The Go driver decodes nothing here.
    inline: inlineOf(at === -1 ? '' : text.slice(0, at), (part) => part),
  };
}

const SHAPE =
  'connection_url must read {{username}}:{{password}}@tcp(HOST:PORT)/DATABASE?tls=MODE, with one host; sockets are not taken';

/** Material of its own means TLS, whatever the DSN says, as upstream has it. */
function modeOf(asked: TlsMode | undefined, { ca, certificate, skipVerify }: MysqlTls): TlsMode {
  const isAsked = asked !== undefined && asked !== 'disable';
  if (ca === '' && certificate === '' && !isAsked) return 'disable';
  if (skipVerify) return 'require';
  return ca !== '' || certificate !== '' ? 'verify-full' : (asked ?? 'disable');
}

function parameters(query: string): { tls: TlsMode | undefined; connectTimeoutMs: number } {
  let tls: TlsMode | undefined;
  let connectTimeoutMs = CONNECT_TIMEOUT_MS;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'tls') {
      const mode = own(MODES, value);
      if (mode === undefined) throw bad(`tls must be one of ${Object.keys(MODES).join(', ')}`);
      tls = mode;
    } else if (name === 'timeout') connectTimeoutMs = timeout(value);
    // What is unknown the Go driver sets as a variable of the session; others let the server ask for files or plain passwords.
    else if (!IGNORED.has(name))
      throw bad('connection_url takes tls and timeout; certificates go into tls_ca and tls_certificate_key');
  }
  return { tls, connectTimeoutMs };
}

function timeout(text: string): number {
  let ms = 0;
  try {
    ms = parseDuration(text);
  } catch {
    // Told below, in our words.
  }
  if (ms < 1000 || ms > LONGEST_TIMEOUT_S * 1000)
    throw bad(`timeout must be from 1s to ${LONGEST_TIMEOUT_S}s`);
  return ms;
}
