/** URLs as Go's net/url takes them apart and puts them together. Texts are byte strings; an error never quotes the URL, which may hold a password. */

import { addressBytes } from '../base/cidr.ts';
import { CallError } from './functions/table.ts';

export interface Url {
  readonly scheme: string;
  readonly opaque: string;
  /** Unescaped; the password is undefined where there is no colon. */
  readonly user: { readonly name: string; readonly password: string | undefined } | undefined;
  readonly host: string;
  /** Unescaped. */
  readonly path: string;
  readonly query: string;
  /** Unescaped. */
  readonly fragment: string;
}

const wrong = (reason: string): CallError => new CallError(`unable to parse url: ${reason}`);

// What may stand as it is in each part, beside letters, digits and -_.~
const PLAIN = {
  path: '$&+,/:;=@',
  user: '$&+,;=',
  host: '!$&\'()*+,;=:[]<>"',
  fragment: '$&+,/:;=?@!()*',
} as const;
type Part = keyof typeof PLAIN;

const staysPlain = (char: string, part: Part): boolean =>
  /[A-Za-z0-9\-_.~]/.test(char) || PLAIN[part].includes(char);

/** Writes what may not stand in the part as %XX. */
export function escapeIn(text: string, part: Part): string {
  return text.replace(/[^A-Za-z0-9\-_.~]/g, (char) =>
    staysPlain(char, part) ? char : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** @throws CallError where a % is not followed by two hexadecimal digits */
function plainOf(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw wrong('invalid URL escape');
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Text before and after the first separator; nothing after it where there is none. */
function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** @throws CallError */
export function parseUrl(text: string): Url {
  const [whole, fragment] = cut(text, '#');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (/[\0-\x1f\x7f]/.test(whole)) throw wrong('invalid control character in URL');
  const empty: Url = {
    scheme: '',
    opaque: '',
    user: undefined,
    host: '',
    path: '',
    query: '',
    fragment: plainOf(fragment),
  };
  if (whole === '*') return { ...empty, path: '*' };
  if (whole.startsWith(':')) throw wrong('missing protocol scheme');
  const named = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(whole);
  const scheme = (named?.[1] ?? '').toLowerCase();
  const [rest, query] = cut(whole.slice(named?.[0].length ?? 0), '?');
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { ...empty, scheme, opaque: rest, query };
    if (cut(rest, '/')[0].includes(':')) throw wrong('first path segment in URL cannot contain colon');
  }
  const hasAuthority = rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'));
  if (!hasAuthority) return { ...empty, scheme, query, path: plainOf(rest) };
  const slash = rest.indexOf('/', 2);
  const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
  const path = slash < 0 ? '' : rest.slice(slash);
  return { ...empty, scheme, query, ...parseAuthority(scheme, authority), path: plainOf(path) };
}

function parseAuthority(scheme: string, authority: string): Pick<Url, 'user' | 'host'> {
  const at = authority.lastIndexOf('@');
  const host = parseHost(scheme, authority.slice(at + 1));
  return { host, user: at < 0 ? undefined : parseUser(authority.slice(0, at)) };
}

function parseUser(text: string): Url['user'] {
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(text)) throw wrong('invalid userinfo');
  const [name, password] = cut(text, ':');
  return { name: plainOf(name), password: text.includes(':') ? plainOf(password) : undefined };
}

const PORT = /^(:[0-9]*)?$/;

function parseHost(scheme: string, host: string): string {
  const bracket = host.lastIndexOf('[');
  if (bracket > 0) throw wrong('invalid IP-literal');
  if (bracket === 0) return parseLiteral(host);
  const first = host.indexOf(':');
  const strict = scheme === 'http' || scheme === 'https';
  const port = first < 0 ? '' : host.slice(strict ? first : host.lastIndexOf(':'));
  if (!PORT.test(port)) throw wrong('invalid port after host');
  return unescapeHost(host);
}

/** An IPv6 address in brackets, with a zone after %25 (RFC 6874). */
function parseLiteral(host: string): string {
  const end = host.lastIndexOf(']');
  if (end < 0) throw wrong("missing ']' in host");
  if (!PORT.test(host.slice(end + 1))) throw wrong('invalid port after host');
  const inside = host.slice(1, end);
  const zone = inside.indexOf('%25');
  const name =
    zone < 0 ? unescapeHost(inside) : unescapeHost(inside.slice(0, zone)) + unescapeZone(inside.slice(zone));
  const [address, after] = cut(name, '%');
  if (!address.includes(':') && addressBytes(address) !== undefined) throw wrong('invalid IP-literal');
  if (addressBytes(address) === undefined || (name.includes('%') && after === ''))
    throw wrong('invalid host');
  return `[${name}]${host.slice(end + 1)}`;
}

/** Only bytes beyond ASCII, and the percent sign itself, may be escaped in a host (RFC 3986 section 3.2.2). */
function unescapeHost(text: string): string {
  for (const [escaped] of text.matchAll(/%[0-7][0-9a-fA-F]/g))
    if (escaped !== '%25') throw wrong('invalid URL escape');
  return unescapeChecked(text);
}

function unescapeZone(text: string): string {
  for (const [escaped] of text.matchAll(/%[0-9a-fA-F]{2}/g)) {
    const char = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    if (escaped !== '%25' && char !== ' ' && !staysPlain(char, 'host')) throw wrong('invalid URL escape');
  }
  return unescapeChecked(text);
}

function unescapeChecked(text: string): string {
  for (const char of text.replace(/%[0-9a-fA-F]{2}/g, ''))
    if (char !== '%' && char.charCodeAt(0) < 0x80 && !staysPlain(char, 'host'))
      throw wrong('invalid character in host name');
  return plainOf(text);
}

/** The user and password, escaped. */
export function userText({ user }: Pick<Url, 'user'>): string {
  if (user === undefined) return '';
  return (
    escapeIn(user.name, 'user') + (user.password === undefined ? '' : `:${escapeIn(user.password, 'user')}`)
  );
}

/** The host without port and brackets. */
export function hostname({ host }: Pick<Url, 'host'>): string {
  const colon = host.lastIndexOf(':');
  const name = colon >= 0 && PORT.test(host.slice(colon)) ? host.slice(0, colon) : host;
  return name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
}

/** The URL as text. */
export function urlText(url: Url): string {
  const { scheme, opaque, host, user } = url;
  let text = scheme === '' ? '' : `${scheme}:`;
  if (opaque !== '') text += opaque;
  else {
    const hasAuthority = scheme !== '' || host !== '' || user !== undefined;
    if (hasAuthority && (host !== '' || url.path !== '' || user !== undefined))
      text += `//${user === undefined ? '' : `${userText(url)}@`}${escapeIn(host, 'host')}`;
    const path = url.path === '*' ? '*' : escapeIn(url.path, 'path');
    if (path !== '' && !path.startsWith('/') && host !== '') text += '/';
    if (text === '' && cut(path, '/')[0].includes(':')) text = './';
    text += path;
  }
  if (url.query !== '') text += `?${url.query}`;
  return url.fragment === '' ? text : `${text}#${escapeIn(url.fragment, 'fragment')}`;
}
