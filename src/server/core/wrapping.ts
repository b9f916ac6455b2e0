/**
 * Response wrapping: the answer goes into the storage of a token that opens once, and only that token goes out.
 * A token that was opened is gone, so whoever comes second learns that somebody came first.
 */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { TokenEntry } from '../auth/tokens.ts';
import type { Services } from './core.ts';
import { WRAPPING_POLICY } from './policies.ts';
import type { WrapInfo } from './request.ts';

/** Names in the token's own storage; a client may also read them as cubbyhole/response. */
const RESPONSE = 'response';
const INFO = 'wrapinfo';

export interface Wrapped {
  readonly path: string;
  readonly createdAt: number;
  readonly ttlMs: number;
}

/** Puts away an answer, as the text of its envelope. */
export async function wrap(
  services: Services,
  text: string,
  about: { readonly path: string; readonly ttlMs: number; readonly wrappedAccessor?: string },
): Promise<WrapInfo> {
  const { token, entry } = await services.tokens.create({
    policies: [WRAPPING_POLICY],
    path: about.path,
    displayName: '',
    uses: 1,
    ttlMs: about.ttlMs,
    maxTtlMs: 0,
    explicitMaxTtlMs: about.ttlMs,
    renewable: false,
  });
  const info: Wrapped = { path: about.path, createdAt: entry.createdAt, ttlMs: about.ttlMs };
  await services.tokenScope(entry.hash).commit([
    { key: RESPONSE, value: utf8(stringify({ response: text })) },
    { key: INFO, value: utf8(stringify(info)) },
  ]);
  return {
    token,
    accessor: entry.accessor,
    ttlMs: about.ttlMs,
    createdAt: entry.createdAt,
    path: about.path,
    ...(about.wrappedAccessor === undefined ? {} : { wrappedAccessor: about.wrappedAccessor }),
  };
}

/** @throws Failure wrapping.invalid */
export async function wrappingToken(services: Services, token: string | undefined): Promise<TokenEntry> {
  const entry = token === undefined ? undefined : await services.tokens.lookup(token);
  if (entry === undefined || !isWrapping(entry)) throw failure('wrapping.invalid');
  return entry;
}

export const isWrapping = (entry: TokenEntry): boolean =>
  entry.policies.length === 1 && entry.policies[0] === WRAPPING_POLICY;

/** What is told of a wrapped answer without opening it. @throws Failure wrapping.invalid */
export async function wrapped(services: Services, entry: TokenEntry): Promise<Wrapped> {
  const found = await services.tokenScope(entry.hash).get(INFO);
  if (found === undefined) throw failure('wrapping.invalid');
  return JSON.parse(textOf(found.value) ?? '') as Wrapped;
}

/**
 * Opens a wrapped answer; of all who try, one gets it.
 * @returns the text of its envelope
 * @throws Failure wrapping.invalid
 */
export async function unwrap(services: Services, entry: TokenEntry): Promise<string> {
  if ((await services.tokens.use(entry)) === undefined) throw failure('wrapping.invalid');
  const found = await services.tokenScope(entry.hash).get(RESPONSE);
  await services.tokens.revoke(entry.hash);
  if (found === undefined) throw failure('wrapping.invalid');
  const stored = JSON.parse(textOf(found.value) ?? '') as { response: string };
  return stored.response;
}
