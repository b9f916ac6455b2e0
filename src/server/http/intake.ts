/**
 * Reads a request off the wire into what the core is asked. Everything here is sent by strangers, and all of it is bounded
 * before anybody looks at who they are.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { parseDuration } from '../../base/duration.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { API, asFolder, type Path, parseApiPath } from '../../base/path.ts';
import type { Soon } from '../../base/soon.ts';
import type { Verb } from '../../plugin/plugin.ts';
import { add } from '../core/body.ts';
import type { Request } from '../core/request.ts';
import { base64Path } from './base64path.ts';
import type { Sender } from './sender.ts';

/** As upstream bounds it. */
export const BODY_LIMIT = 32 * 1024 * 1024;
const QUERY_LIMIT = 16 * 1024;
const PARAMETERS_LIMIT = 256;

/** LINK is what LIST was rewritten to (list.ts). */
const VERBS: Readonly<Record<string, Verb>> = {
  GET: 'read',
  HEAD: 'read',
  LINK: 'list',
  POST: 'write',
  PUT: 'write',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** A request off the wire. Its body is put in once it is read. */
export class WireRequest implements Request {
  readonly #response: ServerResponse;
  readonly verb: Verb;
  readonly path: Path;
  readonly headers: Request['headers'];
  readonly remote: Request['remote'];
  #signal: AbortSignal | undefined;
  opaque?: boolean;
  headersOnly?: boolean;
  body?: Uint8Array;
  data?: Readonly<Record<string, Json>>;
  stream?: AsyncIterable<Uint8Array>;
  form?: boolean;
  token?: string;
  sender?: object;
  wrapTtlMs?: number;
  help?: boolean;
  peerCertificate?: Uint8Array;
  openMetrics?: boolean;

  constructor(
    from: Pick<Request, 'verb' | 'path' | 'headers' | 'remote'>,
    /** By which it shows that the caller is gone. */
    response: ServerResponse,
  ) {
    this.verb = from.verb;
    this.path = from.path;
    this.headers = from.headers;
    this.remote = from.remote;
    this.#response = response;
  }

  /** Aborted when the caller goes away unanswered. Made when somebody asks for it: few do, and it costs as much as a read. */
  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal;
    const gone = new AbortController();
    this.#signal = gone.signal;
    const response = this.#response;
    const look = (): void => {
      if (!response.writableFinished) gone.abort();
    };
    if (response.destroyed) look();
    else response.once('close', look);
    return gone.signal;
  }
}

/** What a request asks for, but for its body; undefined where the path is none of the API's. @throws Failure */
export function readHead(
  message: IncomingMessage,
  response: ServerResponse,
  sender: Sender,
): WireRequest | undefined {
  const url = message.url ?? '';
  const mark = url.indexOf('?');
  const raw = mark === -1 ? url : url.slice(0, mark);
  if (!raw.startsWith(API) || raw === API) return undefined;
  let verb = VERBS[message.method ?? ''];
  if (verb === undefined) throw failure('request.unsupported');
  const asked = readPath(raw, verb);
  let { path } = asked;
  const query = mark === -1 ? undefined : readQuery(url.slice(mark + 1));
  const { headers, token } = sender;
  let help = false;
  let data: Readonly<Record<string, Json>> | undefined;
  if (query !== undefined) {
    help = typeof query['help'] === 'string' && query['help'] !== '';
    if (verb === 'read' && query['list'] !== undefined) {
      if (parseBool(query['list'])) verb = 'list';
      delete query['list'];
    }
    if (verb === 'read' || verb === 'list' || verb === 'delete') data = query;
  }
  if (verb === 'list') path = asFolder(path);
  if (verb === 'patch') {
    const given = headers['content-type'] ?? '';
    if (given.split(';')[0]?.trim().toLowerCase() !== 'application/merge-patch+json')
      throw failure('request.patch_type', { given: plain(given) });
  }
  const wrapTtlMs = wrapTtlOf(headers['x-vault-wrap-ttl']);
  const certificate = certificateOf(message);
  const request = new WireRequest({ verb, path, headers, remote: remoteOf(message.socket) }, response);
  if (help) request.help = true;
  if (headers['content-type']?.startsWith('application/x-www-form-urlencoded')) request.form = true;
  if (message.method === 'HEAD') request.headersOnly = true;
  if (asked.opaque) request.opaque = true;
  if (data !== undefined) request.data = data;
  if (token !== undefined) request.token = token;
  if (sender.repeats) request.sender = sender;
  if (wrapTtlMs !== undefined) request.wrapTtlMs = wrapTtlMs;
  if (certificate !== undefined) request.peerCertificate = certificate;
  return request;
}

/** The other end of a socket, which stays the same: asking the socket costs as much as finding a route. */
const REMOTE = Symbol('the other end');

export function remoteOf(socket: Socket & { [REMOTE]?: Request['remote'] }): Request['remote'] {
  socket[REMOTE] ??= { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
  return socket[REMOTE];
}

/** @throws Failure path.* where it is neither canonical nor, in a read, one that ends in base64 */
function readPath(raw: string, verb: Verb): { readonly path: Path; readonly opaque: boolean } {
  try {
    return { path: parseApiPath(raw), opaque: false };
  } catch (error) {
    const path = verb === 'read' ? base64Path(raw.slice(API.length)) : undefined;
    if (path === undefined) throw error;
    return { path, opaque: true };
  }
}

/** Whose bodies are handed on as they come in: the operation bounds them, once it knows who sends them. */
const STREAMED: ReadonlySet<string> = new Set([
  'sys/storage/raft/snapshot',
  'sys/storage/raft/snapshot-force',
]);

export const isStreamed = ({ verb, path }: Request): boolean => verb === 'write' && STREAMED.has(path.text);

/** Whether the verb's body means anything; of the others it is not even read. */
export const takesBody = (verb: Verb): boolean => verb === 'write' || verb === 'patch';

export const sendsBody = ({ headers }: Sender): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

const NO_BODY = new Uint8Array(0);

/**
 * The body, or request.too_large as soon as that is known, without reading on: at once where all of it is here, as that of most
 * requests is, which come in one piece.
 * @throws Failure request.too_large
 */
export function readBody(message: IncomingMessage, limit: number): Soon<Uint8Array> {
  const tooLarge = () => failure('request.too_large', { limit });
  if (Number(message.headers['content-length'] ?? 0) > limit) throw tooLarge();
  if (message.complete && message.readableLength <= limit)
    return (message.read() as Buffer | null) ?? NO_BODY;
  return new Promise((resolve, reject) => {
    let whole = false;
    const chunks: Buffer[] = [];
    let size = 0;
    message.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        message.pause();
        message.removeAllListeners('data');
        reject(tooLarge());
        return;
      }
      chunks.push(chunk);
    });
    message.once('end', () => {
      whole = true;
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    });
    const cut = (): void => {
      if (!whole) reject(failure('request.invalid', { reason: 'the body was cut off' }));
    };
    message.once('error', cut);
    message.once('close', cut);
  });
}

function readQuery(text: string): Record<string, Json> {
  if (text.length > QUERY_LIMIT) throw failure('request.invalid', { reason: 'the query is too long' });
  const members: Record<string, Json> = Object.create(null);
  let count = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    if (++count > PARAMETERS_LIMIT)
      throw failure('request.invalid', { reason: 'the query has too many parameters' });
    add(members, name, value);
  }
  return members;
}

/** As Go's strconv.ParseBool reads it. */
function parseBool(value: Json): boolean {
  const text = String(value);
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False|)$/.test(text)) return false;
  throw failure('request.invalid', { reason: 'the parameter "list" is no boolean' });
}

function wrapTtlOf(header: string | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  let ms: number;
  try {
    ms = parseDuration(header);
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw failure('auth.unsupported_header', { header: 'X-Vault-Wrap-TTL', reason: 'it is no duration' });
  }
  if (ms < 0)
    throw failure('auth.unsupported_header', {
      header: 'X-Vault-Wrap-TTL',
      reason: 'requested ttl must be positive',
    });
  return ms;
}

function certificateOf(message: IncomingMessage): Uint8Array | undefined {
  const socket = message.socket as Partial<TLSSocket>;
  if (socket.encrypted !== true || socket.getPeerCertificate === undefined) return undefined;
  const { raw } = socket.getPeerCertificate();
  return raw === undefined || raw.length === 0 ? undefined : raw;
}

/** A header's text, cut and cleaned, for a message. */
const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 80);
