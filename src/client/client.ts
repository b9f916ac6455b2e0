/**
 * A client of the Vault HTTP API, for the command line, the operator and the node plugin. It trusts its own options and
 * nothing that a server says: answers are bounded, parsed without loss, and turned into coded failures.
 * Source: the public HTTP API; retry and redirect habits follow the upstream Go client where they are safe.
 */

import { utf8 } from '../base/bytes.ts';
import { failure, isFailure } from '../base/errors.ts';
import { stringify } from '../base/json.ts';
import { backoff, sleep } from '../base/retry.ts';
import { ANSWER_LIMIT, type Answer, answerFailure, makeAnswer } from './envelope.ts';
import { type Exchange, type Target, Transport, type TransportOptions, Unsent } from './transport.ts';

export {
  type Answer,
  type ApiProblem,
  type Auth,
  type Envelope,
  problemOf,
  type WrapInfo,
} from './envelope.ts';
export type { Target } from './transport.ts';

/** What may differ from one use of a connection to the next. */
export interface Identity {
  readonly token?: string | undefined;
  readonly namespace?: string | undefined;
  /** Response wrapping for every request: seconds as text or a Go duration. */
  readonly wrapTtl?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Given each request in place of the server: nothing is sent. It ends the call by throwing. */
  readonly rehearse?: ((planned: Planned) => never) | undefined;
}

/** A request as it would have gone out. */
export interface Planned {
  readonly method: Exclude<Method, 'LIST'>;
  /** Whether it asks for a list: upstream's clients send a GET for that. */
  readonly listing: boolean;
  /** Decoded, without "v1/" and without a slash at its end: what a policy names. */
  readonly path: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

export interface ClientOptions extends Identity, TransportOptions {
  /** "https://vault.example:8200"; a path is kept as a prefix. */
  readonly address: string;
  /** For one try, from the first byte sent to the last received. Default 60 s. */
  readonly timeoutMs?: number | undefined;
  /** Further tries where that is safe. Default 2. */
  readonly retries?: number | undefined;
  /** First wait between tries, in milliseconds; doubles. Default 500. */
  readonly retryWaitMs?: number | undefined;
  /** For how long a server may have us wait by itself (`Retry-After`); what asks for more is thrown. Default 10 s. */
  readonly longestAskedMs?: number | undefined;
  readonly resolve?: ((host: string, port: number) => Target) | undefined;
  /** False: a redirect is a failure that names where it leads. Default true. */
  readonly redirects?: boolean | undefined;
  /** Told of each try that ended: with the verb and path as they were asked for, whether they were answered well, and after how long. */
  readonly ended?:
    | ((request: { readonly method: Method; readonly path: string }, ok: boolean, ms: number) => void)
    | undefined;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST';

export interface RequestOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly rawBody?: Uint8Array | string;
  /** A list is a parameter that is given several times. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Statuses outside 2xx that are answers here, not failures (sys/health). */
  readonly accept?: readonly number[];
}

export class VaultClient {
  readonly address: string;
  readonly #url: URL;
  readonly #transport: Transport;
  readonly #identity: Identity;
  readonly #options: ClientOptions;

  /** @throws Failure api.address */
  constructor(options: ClientOptions, shared?: Transport) {
    this.#url = parseAddress(options.address);
    this.address = this.#url.origin + this.#url.pathname.replace(/\/+$/, '');
    this.#options = options;
    this.#identity = options;
    this.#transport = shared ?? new Transport(options);
  }

  /** The same server and connections under another identity. A member given as undefined is taken away. */
  with(identity: Identity): VaultClient {
    return new VaultClient({ ...this.#options, ...identity }, this.#transport);
  }

  get token(): string | undefined {
    return this.#identity.token;
  }

  get namespace(): string | undefined {
    return this.#identity.namespace;
  }

  /** For sockets of another kind to the same server: its URL, headers of this identity, and how to connect. */
  get connection(): {
    url: URL;
    headers: Record<string, string>;
    socket: ReturnType<Transport['connection']>;
  } {
    return {
      url: new URL(this.#url),
      headers: this.#headers(),
      socket: this.#transport.connection(this.#url),
    };
  }

  /**
   * Sends a request to `/v1/<path>`; the path is decoded text ("secret/data/my app") and is encoded here by segments.
   * @throws Failure api.* (see `problemOf`), path.not_canonical; the signal's reason when aborted
   */
  async request(method: Method, path: string, options: RequestOptions = {}): Promise<Answer> {
    const listing = method === 'LIST';
    const query = listing ? { ...options.query, list: true } : options.query;
    const asked = listing && !path.endsWith('/') ? `${path}/` : path;
    const verb = listing ? 'GET' : method;
    const body = bodyOf(options);
    const exchange: Exchange = {
      url: this.#url,
      method: verb,
      path: `${this.#url.pathname.replace(/\/+$/, '')}/v1/${encodePath(asked)}${encodeQuery(query)}`,
      headers: {
        ...this.#headers(),
        ...(body === undefined || options.body === undefined
          ? {}
          : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
        ...options.headers,
      },
      body,
      timeoutMs: this.#options.timeoutMs ?? 60_000,
      limit: ANSWER_LIMIT,
      signal: options.signal,
    };
    this.#identity.rehearse?.({
      method: verb,
      listing,
      path: path.replace(/^\/+|\/+$/g, ''),
      url: exchange.url.origin + exchange.path,
      headers: exchange.headers,
      body,
    });
    const request = `${method} ${path}`;
    const anonymous = (this.#identity.token ?? '') === '';
    const safe = verb === 'GET' || verb === 'HEAD';
    const retries = this.#options.retries ?? 2;
    for (let attempt = 0; ; attempt++) {
      const began = performance.now();
      const ended = (ok: boolean) => this.#options.ended?.({ method, path }, ok, performance.now() - began);
      try {
        const answer = await this.#once(exchange);
        const well = isOk(answer.status) || options.accept?.includes(answer.status) === true;
        if (!well) throw answerFailure(answer, request, this.address, anonymous);
        ended(true);
        return answer;
      } catch (error) {
        ended(false);
        const unsent = error instanceof Unsent;
        const told = unsent ? error.failure : error;
        if (attempt >= retries || !mayRetry(told, safe || unsent)) throw told;
        const wait = backoff(attempt, { baseMs: this.#options.retryWaitMs ?? 500, maxMs: 10_000 });
        const asked = isFailure(told) ? told.retryAfterMs : undefined;
        // A server that asks for minutes is not waited for here: the caller has a queue, a terminal has a user.
        if (asked !== undefined && asked > (this.#options.longestAskedMs ?? 10_000)) throw told;
        await sleep(Math.max(wait, asked ?? 0), options.signal);
      }
    }
  }

  /** Closes idle connections, of all clients made from this one by `with` too. */
  close(): void {
    this.#transport.close();
  }

  async #once(exchange: Exchange): Promise<Answer> {
    const raw = await this.#transport.exchange(exchange);
    if (![301, 302, 307, 308].includes(raw.status))
      return makeAnswer(raw.status, raw.headers, raw.bytes, this.address);
    const next = this.#redirected(exchange, raw.headers.location);
    const second = await this.#transport.exchange(next);
    if (second.status >= 300 && second.status < 400)
      throw failure('api.garbage', { address: this.address, reason: 'it redirects twice' });
    return makeAnswer(second.status, second.headers, second.bytes, this.address);
  }

  /** One redirect within the same host and to nothing weaker: a standby that names another port or path. */
  #redirected(exchange: Exchange, location: string | undefined): Exchange {
    let target: URL | undefined;
    try {
      target = new URL(location ?? '', new URL(exchange.path, exchange.url));
    } catch {
      target = undefined;
    }
    if (location === undefined || target === undefined || !/^https?:$/.test(target.protocol))
      throw failure('api.garbage', { address: this.address, reason: 'it redirects to nowhere' });
    if (this.#options.redirects === false)
      throw failure('api.redirected', { address: this.address, target: target.origin });
    const weaker = exchange.url.protocol === 'https:' && target.protocol !== 'https:';
    if (weaker || target.hostname !== exchange.url.hostname)
      throw failure('api.redirected', { address: this.address, target: target.origin });
    return { ...exchange, url: target, path: target.pathname + target.search };
  }

  #headers(): Record<string, string> {
    const { token, namespace, wrapTtl, headers } = this.#identity;
    return {
      accept: 'application/json',
      'x-vault-request': 'true',
      ...(namespace === undefined || namespace === '' ? {} : { 'x-vault-namespace': namespace }),
      ...(wrapTtl === undefined || wrapTtl === '' ? {} : { 'x-vault-wrap-ttl': wrapTtl }),
      ...headers,
      ...(token === undefined || token === '' ? {} : { 'x-vault-token': headerText(token) }),
    };
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300;

/** A token with a line break or another character that no header takes: refused before Node's error would quote it. */
function headerText(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token))
    throw failure('api.address', { reason: 'the token holds a character that no token has (a line break?)' });
  return token;
}

/** Whether the same request may be sent again: reads always, writes only where the server said that it did nothing. */
function mayRetry(error: unknown, repeatable: boolean): boolean {
  if (isFailure(error, 'api.limited')) return true;
  if (isFailure(error, 'api.unreachable')) return repeatable;
  if (!isFailure(error)) return false;
  const status = (error.data as { status?: number } | undefined)?.status ?? 0;
  if (status === 412 || status === 503) return true;
  return repeatable && status >= 500 && status !== 501;
}

/** @throws Failure api.address */
function parseAddress(address: string): URL {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw failure('api.address', { reason: 'it is not a URL such as https://127.0.0.1:8200' });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw failure('api.address', { reason: 'it must begin with http:// or https://' });
  if (url.username !== '' || url.password !== '')
    throw failure('api.address', { reason: 'it must not hold a user or a password' });
  if (url.search !== '' || url.hash !== '')
    throw failure('api.address', { reason: 'it must not hold a query' });
  return url;
}

/**
 * Encodes a path segment by segment. Dot segments are refused: a proxy on the way would resolve them, and a key taken
 * from a manifest ("../../sys/policies") would then name something else than what was checked.
 * @throws Failure path.empty, path.not_canonical
 */
export function encodePath(path: string): string {
  const bare = path.replace(/^\//, '');
  if (bare === '') throw failure('path.empty');
  return bare
    .split('/')
    .map((segment) => {
      if (segment === '.' || segment === '..')
        throw failure('path.not_canonical', { reason: `it has a "${segment}" segment` });
      try {
        return encodeURIComponent(segment);
      } catch {
        throw failure('path.not_canonical', { reason: 'it is not UTF-8' });
      }
    })
    .join('/');
}

function encodeQuery(query: RequestOptions['query']): string {
  if (query === undefined) return '';
  const parts = Object.entries(query).flatMap(([key, value]) =>
    (value === undefined ? [] : Array.isArray(value) ? (value as readonly string[]) : [value]).map(
      (one) => `${encodeURIComponent(key)}=${encodeURIComponent(String(one))}`,
    ),
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function bodyOf(options: RequestOptions): Uint8Array | undefined {
  if (options.rawBody !== undefined)
    return typeof options.rawBody === 'string' ? utf8(options.rawBody) : options.rawBody;
  return options.body === undefined ? undefined : utf8(stringify(options.body));
}
