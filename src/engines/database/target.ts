/**
 * Which database a configuration names, and what proves that it is the one. Pure: the text comes from a request, and nothing in
 * it is believed. How each kind of database writes its address is beside this, in `target-*.ts`.
 */

import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { failure } from '../../base/errors.ts';

export type Protocol = 'postgresql' | 'mysql' | 'redis';

export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** Where a database is and how it is spoken to; who logs in is not part of it. */
export interface Target {
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly tls: TlsMode;
  /** What the certificate of the server is for: its host, where nothing else is said. */
  readonly serverName: string;
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

export const CONNECT_TIMEOUT_MS = 10_000;
export const LONGEST_TIMEOUT_S = 60;
const URL_LIMIT = 4096;

/** @returns the text without what stands around it, or undefined where it is too long to be an address */
export const bounded = (url: string): string | undefined => (url.length > URL_LIMIT ? undefined : url.trim());

/** The login in front of an address, or none where the fields of the configuration stand in for it. @throws Failure database.config */
export function inlineOf(user: string, decode: (text: string) => string): ConnectionUrl['inline'] {
  if (user === '' || /^\{\{\s*username\s*\}\}:\{\{\s*password\s*\}\}$/.test(user)) return undefined;
  if (/\{\{/.test(user)) throw bad('connection_url must have both {{username}} and {{password}}, or neither');
  const [name = '', password = ''] = user.split(/:(.*)/s);
  return { username: decode(name), password: decode(password) };
}

/** Whether it is an IP address, of which no TLS server is told the name. */
export const isAddress = (host: string): boolean => /^[\d.]+$|:/.test(host);

/** @throws Failure database.config */
export function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw bad('the port of the database is out of range');
  return port;
}

/** @throws Failure database.config */
export function decoded(text: string): string {
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

/** The URL or DSN as it may be shown: whatever stands between the name of the user and the last "@" is its password. */
export const shownUrl = (url: string): string =>
  url.replace(/^((?:[a-z]+:\/\/)?[^/?#:@]*:)(.*)@/s, (whole, head: string, password: string) =>
    /^\{\{\s*password\s*\}\}$/.test(password) ? whole : `${head}*****@`,
  );

export const bad = (reason: string) => failure('database.config', { reason });
