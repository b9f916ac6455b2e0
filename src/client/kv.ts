/**
 * The KV engine through the API, versions 1 and 2: what the command line, the seeding and the Vault provider share.
 * `mount` is without slashes at its ends ("secret"), `path` below it ("grafana/admin").
 */

import { failure, isFailure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Answer, VaultClient } from './client.ts';
import { isBag, problemOf } from './envelope.ts';

export interface KvVersion {
  readonly version: number;
  readonly createdTime: string;
  readonly deletionTime: string;
  readonly destroyed: boolean;
  readonly customMetadata: Json;
}

export interface KvSecret {
  /** Null for a version that was deleted or destroyed. */
  readonly data: Json;
  readonly metadata: KvVersion;
  /** The whole answer: its bytes hold the data to the digit and in its order. */
  readonly answer: Answer | undefined;
}

/** Undefined where the call fails because there is no such thing (404 without data); other failures pass. */
export async function orAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isFailure(error, 'api.missing') && problemOf(error)?.envelope === undefined) return undefined;
    throw error;
  }
}

interface Asked {
  readonly signal?: AbortSignal | undefined;
}

const versionOf = (metadata: Json): KvVersion => {
  const bag = isBag(metadata) ? metadata : {};
  const text = (key: string): string => (typeof bag[key] === 'string' ? (bag[key] as string) : '');
  return {
    version: typeof bag['version'] === 'number' ? bag['version'] : 0,
    createdTime: text('created_time'),
    deletionTime: text('deletion_time'),
    destroyed: bag['destroyed'] === true,
    customMetadata: bag['custom_metadata'] ?? null,
  };
};

/** A version of a secret, the latest where none is named. Undefined: there is none. A deleted one has `data: null`. */
export async function kvRead(
  client: VaultClient,
  mount: string,
  path: string,
  options: Asked & { readonly version?: number | string } = {},
): Promise<KvSecret | undefined> {
  const full = `${mount}/data/${path}`;
  const { version, signal } = options;
  try {
    const answer = await client.request('GET', full, { query: { version }, signal });
    const data = answer.envelope?.data;
    if (!isBag(data) || !('data' in data))
      throw failure('api.garbage', {
        address: client.address,
        reason: `failed to find data field in ${full}`,
      });
    return { data: data['data'] ?? null, metadata: versionOf(data['metadata'] ?? null), answer };
  } catch (error) {
    if (!isFailure(error, 'api.missing')) throw error;
    const data = problemOf(error)?.envelope?.data;
    if (!isBag(data) || !('metadata' in data)) return undefined;
    return { data: null, metadata: versionOf(data['metadata'] ?? null), answer: undefined };
  }
}

/** Writes a whole new version. @param cas the current version, 0 for none. @throws Failure api.conflict */
export async function kvPut(
  client: VaultClient,
  mount: string,
  path: string,
  data: unknown,
  options: Asked & { readonly cas?: number | undefined } = {},
): Promise<KvVersion> {
  const body = { data, options: options.cas === undefined ? {} : { cas: options.cas } };
  const answer = await client.request('PUT', `${mount}/data/${path}`, { body, signal: options.signal });
  return versionOf(answer.envelope?.data ?? null);
}

/** Merges into the current version (RFC 7396: null takes a key away). Undefined: there is none to merge into. */
export async function kvPatch(
  client: VaultClient,
  mount: string,
  path: string,
  data: unknown,
  options: Asked & { readonly cas?: number | undefined } = {},
): Promise<KvVersion | undefined> {
  const body = { data, options: options.cas === undefined ? {} : { cas: options.cas } };
  try {
    const answer = await client.request('PATCH', `${mount}/data/${path}`, { body, signal: options.signal });
    return versionOf(answer.envelope?.data ?? null);
  } catch (error) {
    if (isFailure(error, 'api.missing')) return undefined;
    throw error;
  }
}

/** Names directly in a folder, folders with a trailing slash; empty where there is none. */
export async function list(
  client: VaultClient,
  path: string,
  options: Asked = {},
): Promise<readonly string[]> {
  const answer = await orAbsent(client.request('LIST', path, { signal: options.signal }));
  const data = answer?.envelope?.data;
  const keys = isBag(data) ? data['keys'] : undefined;
  return Array.isArray(keys) ? keys.filter((key): key is string => typeof key === 'string') : [];
}

/** The mount that a path lies in, as the server says it to whoever may see it. Undefined: it does not say. */
export async function mountOf(
  client: VaultClient,
  path: string,
  options: Asked = {},
): Promise<{ readonly path: string; readonly type: string; readonly version: 1 | 2 } | undefined> {
  const asked = client.request('GET', `sys/internal/ui/mounts/${path.replace(/^\/+|\/+$/g, '')}`, {
    signal: options.signal,
  });
  const data = (await orAbsent(asked))?.envelope?.data;
  if (!isBag(data) || typeof data['path'] !== 'string' || typeof data['type'] !== 'string') return undefined;
  const mountOptions = data['options'];
  const version = isBag(mountOptions) && String(mountOptions['version']) === '2' ? 2 : 1;
  return { path: data['path'].replace(/\/+$/, ''), type: data['type'], version };
}
