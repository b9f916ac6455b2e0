/** A token of Google, and what its sources are given. */

import { textOf } from '../base/bytes.ts';
import type { Dial } from '../base/web.ts';
import type { Endpoints } from './endpoints.ts';
import { loginFailure, type Transport } from './transport.ts';

export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

export interface GoogleToken {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}
export type TokenSource = () => Promise<GoogleToken>;

/** What is asked of the cluster, held to its own rules by whoever gives it. */
export interface GoogleEnv {
  /** Who asks, for messages. */
  readonly store: string;
  readonly wayOut: { readonly dial: Dial };
  secretKey(ref: Named & { readonly key: string }): Promise<Uint8Array>;
  configMapKey(ref: Named & { readonly key: string }): Promise<Uint8Array>;
  secret(ref: Named): Promise<{ readonly data: ReadonlyMap<string, Uint8Array> }>;
  serviceAccountAnnotations(ref: Named): Promise<Readonly<Record<string, string>>>;
  serviceAccountToken(
    ref: Named & { readonly audiences: readonly string[]; readonly expirationSeconds: number },
  ): Promise<string>;
}
interface Named {
  readonly name: string;
  readonly namespace?: string;
}

/** Asks the machine for a fact about itself: undefined where it does not know it. */
export type MachineFacts = (
  fact: 'project' | 'cluster-location' | 'cluster-name',
) => Promise<string | undefined>;

/** Asks the machine for a signed token of who it is, for an audience: undefined where it has none. */
export type MachineIdentity = (audience: string) => Promise<string | undefined>;

export interface TokenOptions {
  readonly endpoints: Endpoints;
  /** Whether who names no identity may have the operator's own, found as Google's library finds it on a machine. */
  readonly lendOwnKeys: boolean;
  /** What the operator's machine says of its cluster, where it may be asked. */
  readonly machine?: MachineFacts | undefined;
  /** The project to take a cluster for, where nothing else says it. */
  readonly projectID: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A client of Google's library, as far as a token is concerned. */
interface Tokened {
  readonly credentials: { readonly access_token?: string | null; readonly expiry_date?: number | null };
  getAccessToken(): Promise<unknown>;
}

/** What a token is taken to live for where nothing says it: less than Google ever gives. */
const SHORTEST_MS = 600_000;

/** @throws Failure provider.login, provider.read, dial.* */
export async function tokenOf(
  client: Tokened,
  store: string,
  transport: Transport | undefined,
  now: () => number,
): Promise<GoogleToken> {
  try {
    await client.getAccessToken();
  } catch {
    // The library's own error holds what it sent.
    throw loginFailure(store, transport?.last());
  }
  const { access_token: value, expiry_date: end } = client.credentials;
  if (typeof value !== 'string' || value === '' || /[^\x21-\x7e]/.test(value))
    throw loginFailure(store, transport?.last());
  return { value, expiresAt: typeof end === 'number' ? end : now() + SHORTEST_MS };
}

/** A text of the cluster that goes into a request, without the newline that files end with. */
export const trimmed = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '' : (textOf(bytes)?.trim() ?? '');
