/** Secret Manager's REST API: one request, asked again where that may help, and the failure that a refusal is. */

import { type Failure, failure } from '../../base/errors.ts';
import { backoff, sleep } from '../../base/retry.ts';
import type { TokenSource } from '../../gcp/token.ts';
import {
  type GoogleWay,
  jsonIn,
  nameOf,
  passes,
  type Refusal,
  refusalOf,
  send,
} from '../../gcp/transport.ts';
import type { ProviderEnv } from '../../provider/provider.ts';

/** Tries in all, where the store says nothing; settings without a number mean three retries, as for AWS. */
const TRIES = 3;
const RETRIES = 3;
const MOST_RETRIES = 10;
const BACKOFF = { baseMs: 200, maxMs: 20_000 };
/** What a Retry-After may make us wait within one request; longer waits are left to the next reconcile. */
const LONGEST_WAIT_MS = 20_000;

/** A request below a version of the API: what it is about, and what it would have to be granted. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** "projects/p/secrets/s", made of parts that were checked. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** "secretmanager.versions.access" */
  readonly permission: string;
  readonly signal?: AbortSignal | undefined;
}

export type Answer =
  | { readonly json: unknown }
  /** Google refused it: `failed` makes the failure of it. */
  | { readonly refusal: Refusal };

export type SecretManager = (call: Call) => Promise<Answer>;

export interface ClientOptions {
  readonly way: GoogleWay;
  /** URL of the API, without a slash at the end. */
  readonly base: string;
  readonly token: TokenSource;
  readonly retry: ProviderEnv['retry'];
}

/** @throws Failure dial.*, provider.login, provider.read from each call for what never got an answer of the API */
export function secretManager({ way, base, token, retry }: ClientOptions): SecretManager {
  const most =
    retry === undefined ? TRIES - 1 : Math.min(MOST_RETRIES, Math.max(0, retry.maxRetries ?? RETRIES));
  return async ({ method, path, query = {}, body, signal }) => {
    const search = new URLSearchParams(query).toString();
    const url = `${base}/v1/${path}${search === '' ? '' : `?${search}`}`;
    for (let tried = 0; ; tried++) {
      const headers = {
        authorization: `Bearer ${(await token()).value}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const answer = await send(way, {
        url,
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
      if (answer.status === 200) return { json: jsonIn(answer.body) };
      const refusal = refusalOf(answer);
      if (!passes(refusal) || tried >= most) return { refusal };
      await sleep(waitOf(refusal, tried, retry), signal);
    }
  };
}

const waitOf = ({ retryAfterMs = 0 }: Refusal, tried: number, retry: ProviderEnv['retry']): number =>
  Math.min(LONGEST_WAIT_MS, Math.max(retryAfterMs, retry?.retryIntervalMs ?? backoff(tried, BACKOFF)));

/** What was tried: for messages and for what would have to be granted. */
export interface Attempt {
  readonly store: string;
  /** The secret, as the manifest names it. */
  readonly name: string;
  readonly permission: string;
  readonly writes?: true;
}

/** The failure that a refusal is for us. */
export function failed(refusal: Refusal, { store, name: path, permission, writes }: Attempt): Failure {
  const name = nameOf(refusal);
  if (refusal.status === 401)
    return failure('provider.login', {
      store,
      reason: `Google answers ${name}`,
      mend: 'Check that the identity of the store still exists, and that the clock of the operator is right.',
    });
  if (passes(refusal) || (writes === true && isOvertaken(refusal))) {
    const extra = refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs };
    const facts = { store, path, reason: `Google answers ${name}` };
    return failure(writes === true ? 'provider.write' : 'provider.read', facts, extra);
  }
  const mend = mendOf(refusal, permission);
  if (writes === true) {
    const reason = `Google answers ${name} to ${permission}${mend === undefined ? '' : `. ${mend}`}`;
    return failure('provider.push', { store, path, reason });
  }
  if (refusal.status === 403 && mend !== undefined)
    return failure('provider.denied', { store, path, reason: `Google answers ${name}`, mend });
  return failure('provider.spec', {
    store,
    reason: `Google takes no ${permission} of ${path}: ${name}${mend === undefined ? '' : `. ${mend}`}`,
  });
}

/** How to go on, where that can be told. */
function mendOf(refusal: Refusal, permission: string): string | undefined {
  const state = stateOf(refusal);
  if (state !== undefined)
    return `Its version is ${state}: enable it, or let the store read older ones by secretVersionSelectionPolicy: LatestOrFetch.`;
  if (refusal.status !== 403) return undefined;
  if (/API has not been used|it is disabled/.test(refusal.said))
    return 'Enable the Secret Manager API in the project of the store.';
  return `Grant the identity of this store ${permission} on it (or check the name: Google also says so of projects that are not there).`;
}

/** Whether somebody else wrote since we looked: Google says it of an old etag in the one way or the other. */
const isOvertaken = (refusal: Refusal): boolean =>
  refusal.code === 'ABORTED' || (refusal.code === 'FAILED_PRECONDITION' && stateOf(refusal) === undefined);

/** The state of a version that cannot be read for it: "DISABLED", "DESTROYED". */
export const stateOf = ({ code, said }: Refusal): string | undefined =>
  code === 'FAILED_PRECONDITION' ? /\b(DESTROYED|DISABLED) state/.exec(said)?.[1] : undefined;

export const isNotFound = ({ status, code }: Refusal): boolean => status === 404 || code === 'NOT_FOUND';

/** An answer's JSON by its schema. @throws Failure provider.read */
export function readAs<T>(
  schema: { safeParse(json: unknown): { success: boolean; data?: T | undefined } },
  json: unknown,
  { store, name }: Pick<Attempt, 'store' | 'name'>,
): T {
  const { success, data } = schema.safeParse(json);
  if (success) return data as T;
  throw failure('provider.read', { store, path: name, reason: 'the answer of Google could not be read' });
}
