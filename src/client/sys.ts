/** The `sys/` routes that the command line, `dev` and the platform use, one function each. */

import { failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Answer, VaultClient } from './client.ts';
import { isBag } from './envelope.ts';
import { list, orAbsent } from './kv.ts';

interface Asked {
  readonly signal?: AbortSignal | undefined;
}
type Bag = { readonly [key: string]: Json };

/** The JSON object that an answer is (routes without an envelope), or holds under `data`. */
function objectOf(client: VaultClient, answer: Answer, where: 'bare' | 'data', what: string): Bag {
  const value = where === 'bare' ? answer.json : answer.envelope?.data;
  if (!isBag(value))
    throw failure('api.garbage', { address: client.address, reason: `${what} told nothing` });
  return value;
}

const textsOf = (value: Json | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

export interface SealStatus {
  readonly type: string;
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly threshold: number;
  readonly shares: number;
  readonly progress: number;
  readonly version: string;
  readonly raw: Bag;
}

function sealStatusOf(raw: Bag): SealStatus {
  const text = (key: string): string => (typeof raw[key] === 'string' ? (raw[key] as string) : '');
  const number = (key: string): number => (typeof raw[key] === 'number' ? (raw[key] as number) : 0);
  return {
    type: text('type'),
    initialized: raw['initialized'] === true,
    // A server that does not say is taken for sealed: the safe reading.
    sealed: raw['sealed'] !== false,
    threshold: number('t'),
    shares: number('n'),
    progress: number('progress'),
    version: text('version'),
    raw,
  };
}

export async function sealStatus(client: VaultClient, options: Asked = {}): Promise<SealStatus> {
  const answer = await client.request('GET', 'sys/seal-status', { signal: options.signal });
  return sealStatusOf(objectOf(client, answer, 'bare', 'sys/seal-status'));
}

export async function initialized(client: VaultClient, options: Asked = {}): Promise<boolean> {
  const answer = await client.request('GET', 'sys/init', { signal: options.signal });
  return objectOf(client, answer, 'bare', 'sys/init')['initialized'] === true;
}

export interface InitWish {
  readonly shares: number;
  readonly threshold: number;
  readonly recoveryShares: number;
  readonly recoveryThreshold: number;
  /** PGP keys in base64, one for each share. */
  readonly pgpKeys: readonly string[];
  readonly recoveryPgpKeys: readonly string[];
  readonly rootTokenPgpKey: string | undefined;
}

/**
 * @param kind whether people unseal the server by shares, or a service does and people hold recovery shares: a server of
 * the one kind refuses the numbers of the other
 * @throws Failure api.invalid "Vault is already initialized"
 */
export async function init(
  client: VaultClient,
  wish: InitWish,
  kind: 'shares' | 'recovery',
): Promise<{
  readonly keys: readonly string[];
  readonly keysBase64: readonly string[];
  readonly recoveryKeys: readonly string[];
  readonly recoveryKeysBase64: readonly string[];
  readonly rootToken: string;
}> {
  const keysOf = (keys: readonly string[]): readonly string[] | undefined =>
    keys.length === 0 ? undefined : keys;
  const answer = await client.request('PUT', 'sys/init', {
    body: {
      ...(kind === 'shares'
        ? { secret_shares: wish.shares, secret_threshold: wish.threshold }
        : { recovery_shares: wish.recoveryShares, recovery_threshold: wish.recoveryThreshold }),
      pgp_keys: keysOf(wish.pgpKeys),
      recovery_pgp_keys: keysOf(wish.recoveryPgpKeys),
      root_token_pgp_key: wish.rootTokenPgpKey,
    },
  });
  const data = objectOf(client, answer, 'bare', 'sys/init');
  const rootToken = data['root_token'];
  return {
    keys: textsOf(data['keys']),
    keysBase64: textsOf(data['keys_base64']),
    recoveryKeys: textsOf(data['recovery_keys']),
    recoveryKeysBase64: textsOf(data['recovery_keys_base64']),
    rootToken: typeof rootToken === 'string' ? rootToken : '',
  };
}

/** Gives one share (hex or base64), or takes all given ones back. */
export async function unseal(
  client: VaultClient,
  share: { readonly key: string; readonly migrate?: boolean } | { readonly reset: true },
): Promise<SealStatus> {
  const answer = await client.request('PUT', 'sys/unseal', { body: share });
  return sealStatusOf(objectOf(client, answer, 'bare', 'sys/unseal'));
}

export async function seal(client: VaultClient): Promise<void> {
  await client.request('PUT', 'sys/seal', { body: {} });
}

/** The status code is the state: 200 active, 429 standby, 501 uninitialized, 503 sealed. */
export async function health(
  client: VaultClient,
  options: Asked = {},
): Promise<{ readonly status: number; readonly body: Bag }> {
  const answer = await client.request('GET', 'sys/health', {
    signal: options.signal,
    accept: [429, 472, 473, 501, 503],
  });
  return { status: answer.status, body: objectOf(client, answer, 'bare', 'sys/health') };
}

export interface MountInfo {
  readonly path: string;
  readonly type: string;
  readonly description: string;
  readonly accessor: string;
  readonly options: Readonly<Record<string, string>>;
  readonly raw: Bag;
}

async function mountTable(client: VaultClient, path: string): Promise<readonly MountInfo[]> {
  const answer = await client.request('GET', path);
  return Object.entries(objectOf(client, answer, 'data', path)).flatMap(([name, raw]) => {
    if (!isBag(raw)) return [];
    const text = (key: string): string => (typeof raw[key] === 'string' ? (raw[key] as string) : '');
    const given = raw['options'];
    const options = isBag(given) ? Object.entries(given).map(([key, value]) => [key, String(value)]) : [];
    return [
      {
        path: name,
        type: text('type'),
        description: text('description'),
        accessor: text('accessor'),
        options: Object.fromEntries(options) as Record<string, string>,
        raw,
      },
    ];
  });
}

export const mounts = (client: VaultClient) => mountTable(client, 'sys/mounts');
export const authMounts = (client: VaultClient) => mountTable(client, 'sys/auth');

export interface MountBody {
  readonly type: string;
  readonly description?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly config?: Readonly<Record<string, unknown>>;
}

export async function enableMount(client: VaultClient, path: string, body: MountBody): Promise<void> {
  await client.request('POST', `sys/mounts/${path.replace(/\/+$/, '')}`, { body });
}

export async function enableAuth(client: VaultClient, path: string, body: MountBody): Promise<void> {
  await client.request('POST', `sys/auth/${path.replace(/\/+$/, '')}`, { body });
}

export const policies = (client: VaultClient) => list(client, 'sys/policies/acl');

export async function readPolicy(client: VaultClient, name: string): Promise<string | undefined> {
  const answer = await orAbsent(client.request('GET', `sys/policies/acl/${name}`));
  const data = answer?.envelope?.data;
  return isBag(data) && typeof data['policy'] === 'string' ? data['policy'] : undefined;
}

export async function writePolicy(client: VaultClient, name: string, policy: string): Promise<void> {
  await client.request('PUT', `sys/policies/acl/${name}`, { body: { policy } });
}

export async function deletePolicy(client: VaultClient, name: string): Promise<void> {
  await client.request('DELETE', `sys/policies/acl/${name}`);
}

/** What a token may do on each path: of the caller, or of another token or accessor. */
export async function capabilities(
  client: VaultClient,
  paths: readonly string[],
  of: { readonly token?: string; readonly accessor?: string } = {},
  options: Asked = {},
): Promise<ReadonlyMap<string, readonly string[]>> {
  const route = of.token !== undefined ? '' : of.accessor !== undefined ? '-accessor' : '-self';
  const answer = await client.request('POST', `sys/capabilities${route}`, {
    body: { ...of, paths },
    signal: options.signal,
  });
  const data = objectOf(client, answer, 'data', 'sys/capabilities');
  return new Map(
    paths.map((path) => [
      path,
      textsOf(data[path] ?? (paths.length === 1 ? data['capabilities'] : undefined)),
    ]),
  );
}
