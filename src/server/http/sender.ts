/** What the headers of a request say of who sends it: read once for as long as a connection sends the same ones. */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Failure } from '../../base/errors.ts';
import type { Request } from '../core/request.ts';
import { type GateOptions, refused } from './gate.ts';

export interface Sender {
  readonly headers: Request['headers'];
  readonly token: string | undefined;
  /** Why nothing is answered to it. */
  readonly refused: Failure | undefined;
  /** It is known from an earlier request: whoever knows it by this object may remember what it found out of its headers. */
  repeats: boolean;
}

/** Headers as they came, name and value in turn. */
interface Heard {
  readonly raw: readonly string[];
  readonly sender: Sender;
}

/** What strangers send stays for as long as their connection does: of headers without measure nothing is remembered. */
const MOST_LETTERS = 4096;

const NEWEST = Symbol('who sent the newest request');
type Tagged = Socket & { [NEWEST]?: Heard };

/**
 * Who sends a request. Clients keep their connections and send the same headers with each request: to read them again, and to
 * find by a digest the one token among all that there are, is a part of a cached read that shows.
 */
export function senderOf(message: IncomingMessage, gate: GateOptions): Sender {
  const socket = message.socket as Tagged;
  const heard = socket[NEWEST];
  if (heard !== undefined && isSame(heard.raw, message.rawHeaders)) {
    heard.sender.repeats = true;
    return heard.sender;
  }
  const headers = headersOf(message);
  const sender = { headers, token: tokenOf(headers), refused: refused(message, gate), repeats: false };
  const letters = message.rawHeaders.reduce((sum, text) => sum + text.length, 0);
  if (letters <= MOST_LETTERS) socket[NEWEST] = { raw: message.rawHeaders, sender };
  return sender;
}

export function tokenOf(headers: Request['headers']): string | undefined {
  const own = headers['x-vault-token'];
  if (own !== undefined && own !== '') return own;
  const bearer = /^Bearer +(\S+)$/i.exec(headers['authorization'] ?? '');
  return bearer?.[1];
}

/** Node's own shape, with what can come several times joined. */
export function headersOf(message: IncomingMessage): Request['headers'] {
  const { headers } = message;
  return Array.isArray(headers['set-cookie'])
    ? { ...headers, 'set-cookie': '' }
    : (headers as Request['headers']);
}

function isSame(raw: readonly string[], other: readonly string[]): boolean {
  if (raw.length !== other.length) return false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    const given = other[at + 1] ?? '';
    if (name !== other[at]) return false;
    if (PROVES.has(name.toLowerCase()) ? !isSameSecret(value, given) : value !== given) return false;
  }
  return true;
}

/** The headers that prove who one is. */
const PROVES: ReadonlySet<string> = new Set(['x-vault-token', 'authorization']);

/**
 * In a time that tells nothing of where they differ: a proxy may bring many callers over one connection. Not `sameSecret`, whose
 * digests cost what is saved here: that hides the length too, and how long a token is is no secret.
 */
function isSameSecret(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  let differs = 0;
  for (let at = 0; at < one.length; at++) differs |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return differs === 0;
}
