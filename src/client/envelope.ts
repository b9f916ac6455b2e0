/**
 * What a Vault server answers, read as hostile input: bounded, parsed without loss, and never quoted when it is broken.
 * The shapes are those of the public HTTP API (request_id, lease_id, data, wrap_info, auth, warnings).
 */

import type { IncomingHttpHeaders } from 'node:http';
import { textOf } from '../base/bytes.ts';
import type { Code } from '../base/codes.ts';
import { Failure, failure, isFailure } from '../base/errors.ts';
import { Exact, type Json, parseJson } from '../base/json.ts';
import { tame } from '../base/tame.ts';

/** Largest answer that is read, in bytes: what a Vault server itself takes as a request. */
export const ANSWER_LIMIT = 32 * 1024 * 1024;
const JSON_LIMITS = { depth: 128, count: 2_000_000 };

export interface Auth {
  readonly clientToken: string;
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly leaseSeconds: number;
  readonly renewable: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tokenType: string;
}

export interface WrapInfo {
  readonly token: string;
  readonly accessor: string;
  readonly ttlSeconds: number;
  readonly creationTime: string;
  readonly creationPath: string;
  /** The accessor of the token inside, where there is one. */
  readonly wrappedAccessor: string;
}

export interface Envelope {
  readonly requestId: string;
  readonly leaseId: string;
  readonly leaseSeconds: number;
  readonly renewable: boolean;
  readonly data: Json;
  readonly warnings: readonly string[];
  readonly auth: Auth | undefined;
  readonly wrapInfo: WrapInfo | undefined;
}

/** An answer with a status of 2xx. `json` and `envelope` are read on first use. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Uint8Array;
  /** Undefined for an empty body. @throws Failure api.garbage */
  readonly json: Json | undefined;
  /** All fields are there, empty where the server left them out; undefined for an empty body. @throws Failure api.garbage */
  readonly envelope: Envelope | undefined;
}

/** What a failure of an answer carries in `data`. */
export interface ApiProblem {
  readonly status: number;
  /** The verb and the whole address, without the query: "GET http://127.0.0.1:8200/v1/secret/data/app". */
  readonly request: string;
  readonly errors: readonly string[];
  /** Whether the request went out without a token: what is denied then mostly wants a login. */
  readonly anonymous: boolean;
  /** The envelope of an error that has one: a deleted KV version answers 404 with its metadata. */
  readonly envelope?: Envelope;
}

/** The status and errors that a server sent with a failure, or undefined where there was no answer. */
export function problemOf(error: unknown): ApiProblem | undefined {
  if (!isFailure(error) || typeof error.data !== 'object' || error.data === null) return undefined;
  return 'status' in error.data && 'errors' in error.data ? (error.data as ApiProblem) : undefined;
}

/** An object of parsed JSON. */
export type Bag = { readonly [key: string]: Json };

/** Whether it is one. Stricter than that of base/shape: a number kept to the digit is no object here. */
export const isBag = (value: unknown): value is Bag =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Exact) &&
  [null, Object.prototype].includes(Object.getPrototypeOf(value));

/** The value as an object of JSON; anything else is one without members. */
export const bagOf = (value: unknown): Bag => (isBag(value) ? value : {});

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
const count = (value: Json | undefined): number =>
  typeof value === 'number' ? value : value instanceof Exact ? Number(value.text) : 0;
const texts = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

/** A body as JSON. @throws Failure api.garbage (never quotes the body) */
function readJson(bytes: Uint8Array, address: string): Json | undefined {
  if (bytes.length === 0) return undefined;
  const source = textOf(bytes);
  if (source === undefined) throw failure('api.garbage', { address, reason: 'the body is not UTF-8' });
  if (source.trim() === '') return undefined;
  try {
    return parseJson(source, [], JSON_LIMITS);
  } catch {
    throw failure('api.garbage', { address, reason: `the body (${bytes.length} bytes) is not JSON` });
  }
}

/** The envelope in a JSON body. Values without one (sys/health, sys/init) come out with everything empty. */
function readEnvelope(json: Json | undefined, address: string): Envelope | undefined {
  if (json === undefined) return undefined;
  if (!isBag(json)) throw failure('api.garbage', { address, reason: 'the body is not a JSON object' });
  const auth = json['auth'];
  const wrap = json['wrap_info'];
  return {
    requestId: text(json['request_id']),
    leaseId: text(json['lease_id']),
    leaseSeconds: count(json['lease_duration']),
    renewable: json['renewable'] === true,
    data: json['data'] ?? null,
    warnings: texts(json['warnings']),
    auth: isBag(auth) ? readAuth(auth) : undefined,
    wrapInfo: isBag(wrap)
      ? {
          token: text(wrap['token']),
          accessor: text(wrap['accessor']),
          ttlSeconds: count(wrap['ttl']),
          creationTime: text(wrap['creation_time']),
          creationPath: text(wrap['creation_path']),
          wrappedAccessor: text(wrap['wrapped_accessor']),
        }
      : undefined,
  };
}

function readAuth(auth: Bag): Auth {
  const metadata = auth['metadata'];
  return {
    clientToken: text(auth['client_token']),
    accessor: text(auth['accessor']),
    policies: texts(auth['policies']),
    leaseSeconds: count(auth['lease_duration']),
    renewable: auth['renewable'] === true,
    metadata: isBag(metadata)
      ? Object.fromEntries(
          Object.entries(metadata).flatMap(([key, value]) =>
            typeof value === 'string' ? [[key, value]] : [],
          ),
        )
      : {},
    tokenType: text(auth['token_type']),
  };
}

export function makeAnswer(
  status: number,
  headers: IncomingHttpHeaders,
  bytes: Uint8Array,
  address: string,
): Answer {
  let json: { value: Json | undefined } | undefined;
  let envelope: { value: Envelope | undefined } | undefined;
  const readBody = (): Json | undefined => {
    json ??= { value: readJson(bytes, address) };
    return json.value;
  };
  return {
    status,
    headers,
    bytes,
    get json() {
      return readBody();
    },
    get envelope() {
      envelope ??= { value: readEnvelope(readBody(), address) };
      return envelope.value;
    },
  };
}

const BY_STATUS: Readonly<Record<number, Code>> = {
  401: 'api.denied',
  403: 'api.denied',
  404: 'api.missing',
  405: 'api.unsupported',
  409: 'api.conflict',
  412: 'api.unavailable',
  413: 'api.too_large',
  415: 'api.unsupported',
  429: 'api.limited',
  472: 'api.unavailable',
  473: 'api.unavailable',
  500: 'api.internal',
  501: 'api.unavailable',
};

/** The failure that an answer outside 2xx stands for. `request` is "GET secret/data/app", for the message. */
export function answerFailure(answer: Answer, request: string, address: string, anonymous = false): Failure {
  const { status } = answer;
  let envelope: Envelope | undefined;
  let errors: readonly string[] = [];
  try {
    const json = answer.json;
    errors = isBag(json) ? texts(json['errors']) : [];
    if (isBag(json) && ('data' in json || 'warnings' in json)) envelope = answer.envelope;
  } catch {
    // A proxy's HTML page: its words are of no use and nobody's business.
    errors = [];
  }
  const said =
    errors.length > 0
      ? errors.map((e) => tame(e)).join('; ')
      : (envelope?.warnings ?? []).map((w) => tame(w)).join('; ');
  const [verb = '', ...path] = request.split(' ');
  const problem: ApiProblem = {
    status,
    request: `${verb} ${address.replace(/\/+$/, '')}/v1/${path.join(' ')}`,
    errors,
    anonymous,
    ...(envelope === undefined ? {} : { envelope }),
  };
  const retryAfterMs = retryAfter(answer.headers['retry-after']);
  return new Failure(
    codeOf(status, errors),
    { request, address, errors: said === '' ? `status ${status}` : said },
    { data: problem, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  );
}

function codeOf(status: number, errors: readonly string[]): Code {
  if (status === 503 && errors.some((e) => /\bsealed\b/i.test(e))) return 'api.sealed';
  if (status === 400 && errors.some((e) => e.includes('check-and-set parameter did not match')))
    return 'api.conflict';
  return BY_STATUS[status] ?? (status >= 500 ? 'api.unavailable' : 'api.invalid');
}

/** `Retry-After` in seconds or as a date, in milliseconds from now; at most an hour, so that no server can park us. */
function retryAfter(header: string | undefined, now: () => number = Date.now): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : undefined;
}
