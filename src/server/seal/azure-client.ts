/** What Azure's official clients are given, so that they ask by the one way out and nothing but that. */

import type { CryptographyClientOptions } from '@azure/keyvault-keys';
import { textOf } from '../../base/bytes.ts';
import type { Ask } from './ask.ts';

type HttpClient = NonNullable<CryptographyClientOptions['httpClient']>;
type Sent = Parameters<HttpClient['sendRequest']>[0];
type Received = Awaited<ReturnType<HttpClient['sendRequest']>>;

const TIMEOUT_MS = 5000;
const NEVER = new AbortController().signal;

/** The part of the clients' options that both kinds have. The server itself asks again where that is worth it. */
export const azureOptions = (ask: Ask, see?: (request: Sent, answer: Received) => Received) => ({
  httpClient: wayOut(ask, see),
  retryOptions: { maxRetries: 0 },
});

function wayOut(
  ask: Ask,
  see: (request: Sent, answer: Received) => Received = (_, answer) => answer,
): HttpClient {
  return {
    async sendRequest(request) {
      const { url, method, headers, body } = request;
      // What comes compressed would be for us to unpack.
      const { 'accept-encoding': _, ...sent } = headers.toJSON();
      const {
        status,
        body: bytes,
        challenge,
      } = await ask({
        url,
        method,
        headers: sent,
        ...(typeof body === 'string' ? { body } : {}),
        timeoutMs: TIMEOUT_MS,
        signal: (request.abortSignal as AbortSignal | undefined) ?? NEVER,
      });
      const answered = headersOf(challenge === undefined ? {} : { 'www-authenticate': challenge });
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
