/** Asking an identity provider: JSON over the one way out, told without a word of what was sent or came back. */

import { textOf } from '../../base/bytes.ts';
import { failure, isFailure } from '../../base/errors.ts';
import { type Json, parseJson } from '../../base/json.ts';
import type { Dial, DialRequest } from '../../plugin/plugin.ts';
import type { Claims } from '../jws.ts';

const TIMEOUT_MS = 10_000;
/** A key set of a hundred keys, or a user with a thousand groups. */
const LIMITS = { depth: 16, count: 20_000 };

/** @throws Failure jwt.provider: nobody answers, or with another status than 200, or with what is no JSON object */
export async function askJson(dial: Dial, request: DialRequest): Promise<Claims> {
  const { host } = new URL(request.url);
  const unusable = (reason: string) => failure('jwt.provider', { reason });
  let answer: Awaited<ReturnType<Dial>>;
  try {
    answer = await dial({
      timeoutMs: TIMEOUT_MS,
      ...request,
      headers: { accept: 'application/json', ...request.headers },
    });
  } catch (error) {
    // Our own failures name host, port and the class of what went wrong; other texts could quote what was sent.
    throw unusable(isFailure(error) ? error.message : `cannot reach ${host}`);
  }
  if (answer.status !== 200)
    throw unusable(`${host} answered with status ${answer.status}${errorOf(answer.body)}`);
  const value = objectOf(answer.body);
  if (value === undefined) throw unusable(`${host} answered what is no JSON object`);
  return value;
}

/** The code of an OAuth error (RFC 6749 section 5.2): a word of a closed list, and never the text beside it. */
function errorOf(body: Uint8Array): string {
  const code = objectOf(body)?.['error'];
  return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code) ? ` (${code})` : '';
}

function objectOf(body: Uint8Array): Claims | undefined {
  const text = textOf(body);
  let value: Json | undefined;
  try {
    value = text === undefined ? undefined : parseJson(text, [], LIMITS);
  } catch {
    return undefined;
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined;
}

/**
 * Whether an address may be asked for keys, or sent a client secret: over https, or in the clear on this machine alone,
 * because whoever stands on the way of a plain connection could put keys of their own into the answer.
 */
export function isTrustworthy(address: string): boolean {
  if (!URL.canParse(address) || address.includes('#')) return false;
  const { protocol, hostname, username, password } = new URL(address);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

/** Hosts as a parsed URL spells them. */
const isLoopback = (host: string): boolean => /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(host);
