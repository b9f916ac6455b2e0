/** How Redis and Valkey are addressed: by fields of their own, or by a URL with the login in it. */

import {
  bad,
  bounded,
  CONNECT_TIMEOUT_MS,
  type ConnectionUrl,
  decoded,
  inlineOf,
  portOf,
  type TlsMode,
} from './target.ts';

export interface RedisAddress {
  readonly url: string;
  readonly host: string;
  /** 0: none was given. */
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly tls: boolean;
  readonly insecureTls: boolean;
}

const URL_SHAPE =
  /^(redis|valkey)(s?):\/\/(?:([^/?#]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/;
const HOST_SHAPE = /^(?:[0-9A-Fa-f:.]+|[A-Za-z0-9._-]+)$/;

/** @throws Failure database.config; never with a part of the URL, which may hold a password */
export function parseRedisAddress(given: RedisAddress): ConnectionUrl {
  return given.url === '' ? fromFields(given) : fromUrl(given);
}

function fromFields({ host, port, username, password, tls, insecureTls }: RedisAddress): ConnectionUrl {
  if (host === '') throw bad('host cannot be empty');
  if (!HOST_SHAPE.test(host)) throw bad('host must be a name or an address, without a port');
  if (port === 0) throw bad('port cannot be empty');
  if (username === '') throw bad('username cannot be empty');
  if (password === '') throw bad('password cannot be empty');
  return { target: targetOf(host, portOf(String(port)), modeOf(tls, insecureTls)), inline: undefined };
}

function fromUrl(given: RedisAddress): ConnectionUrl {
  if (given.host !== '' || given.port !== 0 || given.tls)
    throw bad('cannot specify both connection_url and individual connection parameters');
  const parts = URL_SHAPE.exec(bounded(given.url) ?? '');
  if (parts === null)
    throw bad('connection_url must read redis://USERNAME:PASSWORD@HOST:PORT, or rediss:// for TLS');
  const [, , secure, user = '', host = '', port = '6379'] = parts;
  return {
    target: targetOf(host.replace(/^\[|\]$/g, ''), portOf(port), modeOf(secure === 's', given.insecureTls)),
    inline: inlineOf(user, decoded),
  };
}

const modeOf = (tls: boolean, insecure: boolean): TlsMode =>
  tls ? (insecure ? 'require' : 'verify-full') : 'disable';

const targetOf = (host: string, port: number, tls: TlsMode): ConnectionUrl['target'] => ({
  protocol: 'redis',
  host,
  port,
  database: '',
  tls,
  serverName: host,
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
});
