/** What Azure's official clients are given, so that they ask by the one way out that is handed in, and nothing but that. */

import type { CryptographyClientOptions } from '@azure/keyvault-keys';
import { textOf } from '../base/bytes.ts';
import { type Failure, isFailure } from '../base/errors.ts';
import type { WebAnswer, WebRequest } from '../base/web.ts';

type HttpClient = NonNullable<CryptographyClientOptions['httpClient']>;
export type Sent = Parameters<HttpClient['sendRequest']>[0];
export type Received = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** One request. @throws Failure dial.* where no answer came */
export type Send = (
  request: WebRequest & Required<Pick<WebRequest, 'headers' | 'signal'>>,
) => Promise<WebAnswer>;

const NEVER = new AbortController().signal;

/**
 * Carries the requests of a client. No redirect is followed: where one leads is not told.
 * @param see what becomes of an answer before the client has it
 */
export function carrier(
  send: Send,
  see: (request: Sent, answer: Received) => Received = (_, answer) => answer,
): HttpClient {
  return {
    async sendRequest(request) {
      const { url, method, headers, body } = request;
      // What comes compressed would be for us to unpack.
      const { 'accept-encoding': _, ...sent } = headers.toJSON();
      const answer = await send({
        url,
        method,
        headers: sent,
        ...(typeof body === 'string' ? { body } : {}),
        signal: (request.abortSignal as AbortSignal | undefined) ?? NEVER,
      });
      const { status, body: bytes, challenge, retryAfter } = answer;
      const answered = headersOf({
        ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      });
      return see(request, { request, status, headers: answered, bodyAsText: textOf(bytes) ?? '' });
    },
  };
}

function headersOf(given: Readonly<Record<string, string>>): Received['headers'] {
  const all = new Map(Object.entries({ 'content-type': 'application/json', ...given }));
  return {
    get: (name) => all.get(name.toLowerCase()),
    has: (name) => all.has(name.toLowerCase()),
    set: (name, value) => void all.set(name.toLowerCase(), String(value)),
    delete: (name) => void all.delete(name.toLowerCase()),
    toJSON: () => Object.fromEntries(all),
    [Symbol.iterator]: () => all[Symbol.iterator](),
  };
}

/** The failure of the way, or of a login, that a client wrapped, if one did it. */
export function failureIn(error: unknown): Failure | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++)
    if (isFailure(at)) return at;
  return undefined;
}
