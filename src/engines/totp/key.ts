/** What a key is made of: given member by member, as an `otpauth://` URL, or generated. Pure but for the bytes handed in. */

import { fromBase32, toBase32 } from '../../base/base32.ts';
import { failure } from '../../base/errors.ts';
import { ALGORITHMS, type Algorithm, type Scheme } from './code.ts';

/** As it is stored. */
export interface Key extends Scheme {
  /** Base 32, upper case, without padding. */
  readonly secret: string;
  readonly issuer: string;
  readonly account: string;
  /** Codes that were taken and could be right still; after `until`, in milliseconds, they cannot. */
  readonly used: readonly { readonly code: string; readonly until: number }[];
}

/** What a client asks for, with the API's defaults filled in. `period` in seconds. */
export interface Asked {
  readonly key: string;
  readonly issuer: string;
  readonly account: string;
  readonly period: number;
  readonly algorithm: string;
  readonly digits: number;
  readonly skew: number;
}

/** Far more than an HMAC's block; a longer key would only make URLs that no code can be drawn of. */
export const MOST_KEY_BYTES = 512;
const MOST_TEXT = 512;

export const refused = (reason: string) => failure('totp.request', { reason });

/**
 * What an `otpauth://totp/` URL says, over what was given beside it.
 * @throws Failure totp.request
 */
export function ofUrl(text: string, beside: Asked): Asked {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'otpauth:' || url.host.toLowerCase() !== 'totp')
    throw refused('the url value must begin with otpauth://totp/');
  const label = decoded(url.pathname.replace(/^\//, ''));
  const colon = label.indexOf(':');
  const query = (name: string): string | undefined => url.searchParams.get(name) || undefined;
  return {
    key: query('secret') ?? '',
    issuer: query('issuer') ?? (colon === -1 ? beside.issuer : label.slice(0, colon)),
    account: label.slice(colon + 1),
    period: number(query('period'), 'period') ?? beside.period,
    algorithm: query('algorithm') ?? beside.algorithm,
    digits: number(query('digits'), 'digits') ?? beside.digits,
    skew: beside.skew,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused('an error occurred while parsing url string');
  }
}

function number(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw refused(`an error occurred while parsing ${name} value in url`);
  return Number(text);
}

/** @throws Failure totp.request */
export function checkedScheme({ digits, algorithm, period, skew }: Asked): Scheme {
  if (digits !== 6 && digits !== 8) throw refused('the digits value can only be 6 or 8');
  if (!isAlgorithm(algorithm)) throw refused('the algorithm value is not valid');
  if (!(period >= 1)) throw refused('the period value must be greater than zero');
  if (skew !== 0 && skew !== 1) throw refused('the skew value must be 0 or 1');
  return { digits, algorithm, period: Math.floor(period), skew };
}

const isAlgorithm = (name: string): name is Algorithm => (ALGORITHMS as readonly string[]).includes(name);

/** The names of a key, bounded. @throws Failure totp.request */
export function checkedNames({ issuer, account }: Asked, areNeeded: boolean): void {
  if (areNeeded && account === '') throw refused('the account_name value is required for generated keys');
  if (areNeeded && issuer === '') throw refused('the issuer value is required for generated keys');
  for (const [name, text] of Object.entries({ issuer, account_name: account }))
    if (text.length > MOST_TEXT) throw refused(`the ${name} value is longer than ${MOST_TEXT} characters`);
}

/** The secret that somebody brings along, in the form that is stored. @throws Failure totp.request; nothing of it is in the message */
export function checkedSecret(key: string): string {
  if (key === '') throw refused('the key value is required');
  const bytes = fromBase32(key);
  if (bytes === undefined || bytes.length === 0) throw refused('invalid key value: illegal base32 data');
  if (bytes.length > MOST_KEY_BYTES)
    throw refused(`invalid key value: it is longer than ${MOST_KEY_BYTES} bytes`);
  return toBase32(bytes);
}

export const secretBytes = (key: Key): Buffer => fromBase32(key.secret) ?? Buffer.alloc(0);

/** The URL that authenticator apps read; the members are in the order in which Vault gives them. */
export function urlOf({ issuer, account, algorithm, digits, period, secret }: Key): string {
  const query = { algorithm, digits, issuer, period, secret };
  const members = Object.entries(query).map(([name, value]) => `${name}=${escaped(String(value))}`);
  // What may stand in a path as it is (RFC 3986 section 3.3) does: apps show the label as they find it.
  const label = escaped(`${issuer}:${account}`).replace(/%(24|26|2B|2C|2F|3A|3B|3D|40)/g, decodeURIComponent);
  return `otpauth://totp/${label}?${members.join('&')}`;
}

/** By way of UTF-8, which has no half of a pair: JSON has, and `encodeURIComponent` throws on it. */
const escaped = (text: string): string =>
  encodeURIComponent(Buffer.from(text).toString()).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
