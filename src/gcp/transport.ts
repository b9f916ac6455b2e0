/**
 * How Google is asked: by the one way out that is handed in, where what a tenant named is judged, also by Google's own library,
 * which is given it in place of `fetch`. What Google refuses is told by the name that Google gives to it, and by nothing else
 * of its answer, which may quote what it was sent.
 */

import { textOf } from '../base/bytes.ts';
import { type Failure, failure, isFailure } from '../base/errors.ts';
import type { Dial, WebAnswer, WebRequest } from '../base/web.ts';
import { type Endpoints, routed } from './endpoints.ts';

const TIMEOUT_MS = 30_000;
/** An answer that tells how long to wait is believed for an hour. */
const LONGEST_WAIT_MS = 3_600_000;

/** Who asks, for messages, and by which way. */
export interface GoogleWay {
  readonly store: string;
  readonly dial: Dial;
  readonly endpoints: Endpoints;
}

/** One request; a URL of Google's leads where the operator's settings say. @throws Failure dial.* */
export const send = ({ dial, endpoints }: GoogleWay, request: WebRequest): Promise<WebAnswer> =>
  dial({ timeoutMs: TIMEOUT_MS, ...request, url: routed(request.url, endpoints) });

/** Google's library, made to ask by our way, and what came of its last request: its own errors hold what it sent. */
export interface Transport {
  readonly transporterOptions: { readonly fetchImplementation: typeof fetch };
  last(): WebAnswer | Failure | undefined;
}

export function transportOver(way: GoogleWay): Transport {
  let last: WebAnswer | Failure | undefined;
  const fetchImplementation: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const body = request.method === 'GET' ? undefined : await request.text();
    try {
      const answer = await send(way, {
        url: request.url,
        method: request.method,
        headers: Object.fromEntries(request.headers),
        ...(body === undefined ? {} : { body }),
      });
      last = answer;
      return new Response(answer.status === 204 ? null : Buffer.from(answer.body), {
        status: Math.min(599, Math.max(200, answer.status)),
        headers: { 'content-type': 'application/json' },
      });
    } catch (error) {
      if (isFailure(error)) last = error;
      throw error;
    }
  };
  return { transporterOptions: { fetchImplementation }, last: () => last };
}

/** What Google answered instead of doing it. */
export interface Refusal {
  readonly status: number;
  /** "PERMISSION_DENIED", "invalid_grant"; '' where the answer could not be read. */
  readonly code: string;
  /** Google's sentence; for decisions alone. */
  readonly said: string;
  readonly retryAfterMs: number | undefined;
}

export function refusalOf({ status, body, retryAfter }: WebAnswer): Refusal {
  const { error } = (jsonIn(body) ?? {}) as { readonly error?: unknown };
  const { status: name, message } = (typeof error === 'object' ? (error ?? {}) : {}) as Record<
    string,
    unknown
  >;
  const code = typeof error === 'string' ? error : typeof name === 'string' ? name : '';
  const seconds = Number(retryAfter ?? Number.NaN);
  return {
    status,
    code: /^[A-Za-z][\w.-]{0,63}$/.test(code) ? code : '',
    said: typeof message === 'string' ? message : '',
    retryAfterMs: Number.isFinite(seconds)
      ? Math.min(LONGEST_WAIT_MS, Math.max(0, seconds * 1000))
      : undefined,
  };
}

/** Whether asking again may help. */
export const passes = ({ status }: Refusal): boolean => status >= 500 || status === 429 || status === 408;

/** "PERMISSION_DENIED", or "HTTP 502" where Google gave no name. */
export const nameOf = ({ code, status }: Refusal): string => (code === '' ? `HTTP ${status}` : code);

/** The failure of a login: one that passes by itself, or one that somebody has to mend. */
export function loginFailure(
  store: string,
  outcome: WebAnswer | Failure | undefined,
  mend = 'Check the identity that it names: whether it exists, and may be used from here.',
): Failure {
  if (isFailure(outcome)) return outcome;
  if (outcome === undefined || outcome.status < 300)
    return failure('provider.login', { store, reason: 'Google gave no token', mend });
  const refusal = refusalOf(outcome);
  const reason = `Google answers ${nameOf(refusal)}`;
  if (!passes(refusal)) return failure('provider.login', { store, reason, mend });
  const extra = refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs };
  return failure('provider.read', { store, path: 'a token', reason }, extra);
}

/** The JSON of an answer; undefined where it is none. */
export function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes) ?? '');
  } catch {
    return undefined;
  }
}
