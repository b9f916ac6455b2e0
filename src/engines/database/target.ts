/** Which database a `connection_url` and the TLS fields name. Pure: the text comes from a request, and nothing in it is believed. */

import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { failure } from '../../base/errors.ts';

export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Where a database is and how it is spoken to; who logs in is not part of it. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly tls: TlsMode;
  readonly connectTimeoutMs: number;
}

/** PEM; empty where there is none. */
export interface TlsMaterial {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface ConnectionUrl {
  readonly target: Target;
  /** User and password that stand in the URL itself, where it has no {{username}} and {{password}}. */
  readonly inline: { readonly username: string; readonly password: string } | undefined;
}

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
const URL_LIMIT = 4096;
const CONNECT_TIMEOUT_MS = 10_000;
const LONGEST_TIMEOUT_S = 60;

/** @throws Failure database.config; never with a part of the URL, which may hold a password */
export function parseConnectionUrl(url: string): ConnectionUrl {
  const parts = url.length > URL_LIMIT ? null : SHAPE.exec(url.trim());
  if (parts === null)
    throw bad(
      'connection_url must read postgresql://{{username}}:{{password}}@HOST:PORT/DATABASE?sslmode=MODE, with one host',
    );
  const [, user = '', host = '', port = '5432', database = '', query = ''] = parts;
  const { tls, connectTimeoutMs } = parameters(query);
  const number = Number(port);
  if (number < 1 || number > 65_535) throw bad('the port of connection_url is out of range');
  return {
    target: {
      host: host.replace(/^\[|\]$/g, ''),
      port: number,
      database: decoded(database),
      tls,
      connectTimeoutMs,
    },
    inline: inlineOf(user),
  };
}

function inlineOf(user: string): ConnectionUrl['inline'] {
  if (user === '' || /^\{\{\s*username\s*\}\}:\{\{\s*password\s*\}\}$/.test(user)) return undefined;
  const [name = '', password = ''] = user.split(/:(.*)/s);
  if (/\{\{/.test(user)) throw bad('connection_url must have both {{username}} and {{password}}, or neither');
  return { username: decoded(name), password: decoded(password) };
}

function parameters(query: string): { tls: TlsMode; connectTimeoutMs: number } {
  let tls: TlsMode = 'prefer';
  let connectTimeoutMs = CONNECT_TIMEOUT_MS;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'sslmode') {
      const mode = Object.hasOwn(MODES, value) ? MODES[value] : undefined;
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

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('connection_url holds a "%" that begins no encoded character');
  }
}

/** @throws Failure database.config for what is no PEM, or a key that is not the certificate's */
export function checkTls({ ca, certificate, key }: TlsMaterial): void {
  if ((certificate === '') !== (key === '')) throw bad('tls_certificate and private_key belong together');
  try {
    if (ca !== '') new X509Certificate(ca);
    if (certificate === '') return;
    const leaf = new X509Certificate(certificate);
    if (leaf.publicKey.equals(createPublicKey(createPrivateKey(key)))) return;
  } catch {
    throw bad('tls_ca, tls_certificate or private_key is not PEM');
  }
  throw bad('private_key is not the key of tls_certificate');
}

/** The URL as it may be shown. */
export const shownUrl = (url: string): string =>
  url.replace(/^([a-z]+:\/\/[^/?#:@]*:)([^/?#]*)@/, (whole, head: string, password: string) =>
    /^\{\{\s*password\s*\}\}$/.test(password) ? whole : `${head}*****@`,
  );

const bad = (reason: string) => failure('database.config', { reason });
