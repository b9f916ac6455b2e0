/** What AWS's official clients are given, so that they take nothing from the machine and ask by the one way out that is handed in. */

import type { STSClientConfig } from '@aws-sdk/client-sts';
import { view } from '../base/bytes.ts';
import type { WebAnswer, WebRequest } from '../base/web.ts';

/** Each setting that a client would else look for in the environment, in files or on the machine, but for whom it asks as and where. */
export const GIVEN = {
  retryMode: 'standard',
  defaultsMode: 'standard',
  useFipsEndpoint: false,
  useDualstackEndpoint: false,
  authSchemePreference: [],
  disableClockSkewCorrection: false,
  userAgentAppId: async () => undefined,
} satisfies STSClientConfig;

type Handler = NonNullable<Exclude<STSClientConfig['requestHandler'], Record<string, unknown>>>;
/** A request that a client has signed. */
export type Carried = Required<Pick<WebRequest, 'url' | 'method' | 'headers'>> &
  Pick<WebRequest, 'body' | 'signal'>;

/**
 * What carries a client's requests: the part of its `HttpHandler` that these services need.
 * @param waits whether the client is to hear how long it should wait: it then waits for as long as AWS says
 */
export function carrier(
  send: (request: Carried) => Promise<WebAnswer>,
  { waits = false }: { readonly waits?: boolean } = {},
): Handler {
  return {
    async handle(request: Sent, { abortSignal }: { readonly abortSignal?: AbortSignal } = {}) {
      const { method, headers, body } = request;
      const answer = await send({
        url: urlOf(request),
        method,
        headers,
        ...(body === undefined
          ? {}
          : { body: typeof body === 'string' ? body : view(body as Uint8Array).toString('utf8') }),
        ...(abortSignal === undefined ? {} : { signal: abortSignal }),
      });
      const { status: statusCode, date, retryAfter } = answer;
      return {
        response: {
          statusCode,
          // By the date of the answer the client corrects what it signs, where this clock is wrong.
          headers: {
            ...(date === undefined ? {} : { date }),
            ...(waits && retryAfter !== undefined ? { 'retry-after': retryAfter } : {}),
          },
          body: answer.body,
        },
      };
    },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  } as never;
}

interface Sent {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: unknown;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

function urlOf({ protocol, hostname, port, path, query: given }: Sent): string {
  const query = new URLSearchParams(given as Record<string, string>).toString();
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}${query && `?${query}`}`;
}

/** AWS's code of an error: the client's name for it, and for most of them "Exception" behind it. */
export function codeOf(name: unknown): string {
  const code = typeof name === 'string' ? name.replace(/Exception$/, '') : '';
  return /^[A-Za-z][\w.:]{0,63}$/.test(code) ? code : 'an error without a name';
}
