/** Logging in, and the life of one's own token. Milliseconds where a name ends in Ms; seconds as the API says them else. */

import { failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Auth, VaultClient } from './client.ts';
import { isBag } from './envelope.ts';

interface Asked {
  readonly signal?: AbortSignal | undefined;
}

/** Logs in at `auth/<mount>/login[/<name>]`. @throws Failure api.*; api.garbage where the answer grants no token */
export async function login(
  client: VaultClient,
  mount: string,
  body: Readonly<Record<string, unknown>>,
  options: Asked & { readonly name?: string } = {},
): Promise<Auth> {
  const path = `auth/${mount}/login${options.name === undefined ? '' : `/${options.name}`}`;
  // Without the token at hand: a stale one must not decide over a login, and a wrapped login grants nothing.
  const bare = client.with({ token: undefined, wrapTtl: undefined });
  const answer = await bare.request('PUT', path, { body, signal: options.signal });
  const auth = answer.envelope?.auth;
  if (auth === undefined || auth.clientToken === '')
    throw failure('api.garbage', { address: client.address, reason: `the login at ${path} gave no token` });
  return auth;
}

/** @param jwt the token of a service account */
export const loginKubernetes = (
  client: VaultClient,
  given: { readonly mount?: string; readonly role: string; readonly jwt: string },
  options: Asked = {},
): Promise<Auth> => login(client, given.mount ?? 'kubernetes', { role: given.role, jwt: given.jwt }, options);

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
