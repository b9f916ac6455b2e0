/** Logging in, and the life of one's own token. Milliseconds where a name ends in Ms; seconds as the API says them else. */

import { failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Answer, Auth, VaultClient } from './client.ts';
import { isBag } from './envelope.ts';

interface Asked {
  readonly signal?: AbortSignal | undefined;
}

/** A token that a login made, and the answer that it came in. */
export interface Granted {
  readonly auth: Auth;
  readonly answer: Answer;
}

/** Logs in at `auth/<mount>/login[/<name>]`. @throws Failure api.*; api.garbage where the answer grants no token */
export async function loginAt(
  client: VaultClient,
  mount: string,
  body: Readonly<Record<string, unknown>>,
  options: Asked & { readonly name?: string } = {},
): Promise<Granted> {
  const path = `auth/${mount}/login${options.name === undefined ? '' : `/${options.name}`}`;
  return granted(client, path, await bare(client).request('PUT', path, { body, signal: options.signal }));
}

/** The same, for who needs the token alone. @throws Failure as `loginAt` */
export const login = async (...given: Parameters<typeof loginAt>): Promise<Auth> =>
  (await loginAt(...given)).auth;

/** Without the token at hand: a stale one must not decide over a login, and a wrapped login grants nothing. */
const bare = (client: VaultClient): VaultClient => client.with({ token: undefined, wrapTtl: undefined });

function granted(client: VaultClient, path: string, answer: Answer): Granted {
  const auth = answer.envelope?.auth;
  if (auth === undefined || auth.clientToken === '')
    throw failure('api.garbage', { address: client.address, reason: `the login at ${path} gave no token` });
  return { auth, answer };
}

/** @param jwt the token of a service account */
export const loginKubernetes = (
  client: VaultClient,
  given: { readonly mount?: string; readonly role: string; readonly jwt: string },
  options: Asked = {},
): Promise<Auth> => login(client, given.mount ?? 'kubernetes', { role: given.role, jwt: given.jwt }, options);

/** A login through the browser that was begun (auth methods `jwt` and `oidc`). */
export interface BegunOidc {
  /** Where the browser is sent; empty where the server refuses without saying why. */
  readonly authUrl: string;
  /** Of a role whose logins come back to the server: what it is asked by, and how often. Else undefined. */
  readonly poll: { readonly state: string; readonly seconds: number } | undefined;
}

/** Begins a login through the browser. @throws Failure api.* */
export async function beginOidc(
  client: VaultClient,
  mount: string,
  given: { readonly role: string; readonly redirectUri: string; readonly clientNonce: string },
  options: Asked = {},
): Promise<BegunOidc> {
  const { role, redirectUri, clientNonce } = given;
  const answer = await client
    .with({ token: undefined, wrapTtl: undefined })
    .request('PUT', `auth/${mount}/oidc/auth_url`, {
      body: { role, redirect_uri: redirectUri, client_nonce: clientNonce },
      signal: options.signal,
    });
  const data = answer.envelope?.data;
  const text = (key: string): string =>
    isBag(data) && typeof data[key] === 'string' ? (data[key] as string) : '';
  const seconds = Number(text('poll_interval'));
  return {
    authUrl: text('auth_url'),
    poll:
      text('state') === ''
        ? undefined
        : { state: text('state'), seconds: seconds >= 1 && seconds <= 60 ? seconds : 5 },
  };
}

/** What a browser came back with, in the words of the provider, and the nonce that began the login. */
export interface OidcAnswer {
  readonly state: string;
  readonly code: string;
  readonly idToken: string;
  readonly error: string;
  readonly errorDescription: string;
  readonly issuer: string;
  readonly clientNonce: string;
  /** The provider posted it (form_post), so the server is told of it by a POST first. */
  readonly posted: boolean;
}

/** Completes a login through the browser. @throws Failure api.* */
export async function completeOidc(
  client: VaultClient,
  mount: string,
  given: OidcAnswer,
  options: Asked = {},
): Promise<Granted> {
  const path = `auth/${mount}/oidc/callback`;
  const { state, code, clientNonce } = given;
  const said = {
    error: given.error || undefined,
    error_description: given.errorDescription || undefined,
    iss: given.issuer || undefined,
  };
  if (given.posted && given.error === '') {
    const body = { state, code, id_token: given.idToken, ...said };
    // Its answer is a page for a browser; what went wrong is told to the read that follows.
    await bare(client).request('POST', path, { body, signal: options.signal, accept: [400] });
  }
  const query = { state, code, client_nonce: clientNonce, ...said };
  return granted(client, path, await bare(client).request('GET', path, { query, signal: options.signal }));
}

/** Asks once whether a login that comes back to the server is complete. @throws Failure api.*, while it is not too */
export async function pollOidc(
  client: VaultClient,
  mount: string,
  given: { readonly state: string; readonly clientNonce: string },
  options: Asked = {},
): Promise<Granted> {
  const path = `auth/${mount}/oidc/poll`;
  const body = { state: given.state, client_nonce: given.clientNonce };
  return granted(client, path, await bare(client).request('PUT', path, { body, signal: options.signal }));
}

export interface TokenInfo {
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly ttlSeconds: number;
  /** RFC 3339, or empty for a token that does not expire. */
  readonly expireTime: string;
  readonly renewable: boolean;
  readonly type: string;
  readonly raw: { readonly [key: string]: Json };
}

export async function lookupSelf(client: VaultClient, options: Asked = {}): Promise<TokenInfo> {
  const answer = await client.request('GET', 'auth/token/lookup-self', { signal: options.signal });
  const data = answer.envelope?.data;
  if (!isBag(data))
    throw failure('api.garbage', { address: client.address, reason: 'lookup-self told nothing' });
  const text = (key: string): string => (typeof data[key] === 'string' ? (data[key] as string) : '');
  const policies = data['policies'];
  return {
    accessor: text('accessor'),
    policies: Array.isArray(policies) ? policies.filter((p): p is string => typeof p === 'string') : [],
    ttlSeconds: typeof data['ttl'] === 'number' ? data['ttl'] : 0,
    expireTime: text('expire_time'),
    renewable: data['renewable'] === true,
    type: text('type'),
    raw: data,
  };
}

export async function renewSelf(
  client: VaultClient,
  options: Asked & { readonly incrementSeconds?: number } = {},
): Promise<Auth> {
  const body = options.incrementSeconds === undefined ? {} : { increment: options.incrementSeconds };
  const answer = await client.request('PUT', 'auth/token/renew-self', { body, signal: options.signal });
  const auth = answer.envelope?.auth;
  if (auth === undefined)
    throw failure('api.garbage', { address: client.address, reason: 'renew-self gave no token' });
  return auth;
}

export async function revokeSelf(client: VaultClient, options: Asked = {}): Promise<void> {
  await client.request('PUT', 'auth/token/revoke-self', { body: {}, signal: options.signal });
}
