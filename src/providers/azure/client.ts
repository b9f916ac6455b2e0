/** The clients of one vault, and the failure that a refusal of it is. */

import type { CertificateClient } from '@azure/keyvault-certificates';
import type { KeyClient } from '@azure/keyvault-keys';
import type { SecretClient } from '@azure/keyvault-secrets';
import type { AzureCredential } from '../../azure/credential.ts';
import { carrier, failureIn, type Send } from '../../azure/transport.ts';
import { type Failure, failure } from '../../base/errors.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { MOST_SECONDS } from './push-metadata.ts';

/** Of the API: old enough for the clouds that lag behind, and for emulators. */
const VERSION = '7.4';
const TRIES = 3;
const RETRIES = 3;
const MOST_RETRIES = 10;
const TIMEOUT_MS = 30_000;
/** Longer waits are left to the next reconcile. */
const LONGEST_WAIT_MS = 20_000;

export interface Vault {
  readonly secrets: SecretClient;
  readonly keys: KeyClient;
  readonly certificates: CertificateClient;
}

/** A request by the operator's way out, to where a host that the store names is really found. */
export const sendingBy =
  ({ wayOut, resolve }: Pick<ProviderEnv, 'wayOut' | 'resolve'>): Send =>
  (request) => {
    const { hostname, port } = new URL(request.url);
    const { ca } = resolve(hostname, Number(port) || 443);
    return wayOut.dial({ timeoutMs: TIMEOUT_MS, ...request, ...(ca === undefined ? {} : { ca }) });
  };

export async function openVault(
  url: string,
  credential: AzureCredential,
  send: Send,
  retry: ProviderEnv['retry'],
): Promise<Vault> {
  const { CertificateClient, KeyClient, SecretClient } = await import('./sdk.ts');
  const most =
    retry === undefined ? TRIES - 1 : Math.min(MOST_RETRIES, Math.max(0, retry.maxRetries ?? RETRIES));
  const options = {
    httpClient: carrier((request) => sendTo(url, send, request)),
    serviceVersion: VERSION,
    retryOptions: {
      maxRetries: most,
      ...(retry?.retryIntervalMs === undefined ? {} : { retryDelayInMs: retry.retryIntervalMs }),
      maxRetryDelayInMs: LONGEST_WAIT_MS,
    },
  } as const;
  return {
    secrets: new SecretClient(url, credential as never, options),
    keys: new KeyClient(url, credential as never, options),
    certificates: new CertificateClient(url, credential as never, options),
  };
}

/**
 * Azure's library writes times as signed numbers of 32 bits, so that a secret which ends after January 2038 would be sent as
 * one that ended before 1970: that is told from the sign, and put right.
 * Source: the serializers of @azure/keyvault-secrets 4, `getTime() / 1000 | 0`.
 */
export function withWholeTimes(body: string): string {
  // The quotes of a member's name stand unescaped nowhere inside a text.
  return body.replace(/"exp":(-\d+)/, (_, seconds) => `"exp":${Number(seconds) + MOST_SECONDS}`);
}

/**
 * To the vault itself alone: the clients show their token also where the vault says that a list goes on.
 * @throws Failure dial.refused
 */
function sendTo(vault: string, send: Send, request: Parameters<Send>[0]): ReturnType<Send> {
  const { origin, hostname: host, port } = new URL(request.url);
  const { body } = request;
  if (origin === new URL(vault).origin)
    return send(body === undefined ? request : { ...request, body: withWholeTimes(body) });
  return Promise.reject(failure('dial.refused', { host, port: port || '443' }));
}

/** What a vault answered instead of doing it. */
export interface Refusal {
  readonly status: number;
  /** Azure's innermost name of the error, or ''. */
  readonly code: string;
  readonly retryAfterMs: number | undefined;
}

interface Told {
  readonly statusCode?: unknown;
  readonly code?: unknown;
  readonly details?: {
    readonly error?: {
      readonly code?: unknown;
      readonly innerError?: { readonly code?: unknown } | null;
    } | null;
  };
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

/** Undefined for what was thrown on the way there. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof Error) || failureIn(error) !== undefined) return undefined;
  const { statusCode, code, details, response } = error as Error & Told;
  if (typeof statusCode !== 'number' || statusCode < 300) return undefined;
  const name = details?.error?.innerError?.code ?? details?.error?.code ?? code;
  const seconds = Number(response?.headers?.get('retry-after') ?? Number.NaN);
  return {
    status: statusCode,
    code: typeof name === 'string' && /^[A-Za-z]{1,64}$/.test(name) ? name : '',
    retryAfterMs: Number.isFinite(seconds) ? Math.min(3_600_000, Math.max(0, seconds * 1000)) : undefined,
  };
}

/** What was tried: for messages and for what would have to be granted. */
export interface Attempt {
  readonly store: string;
  /** The object, as the manifest names it. */
  readonly name: string;
  /** "secrets/get" */
  readonly permission: string;
  readonly writes?: true;
}

/** The failure that something a vault refused is for us; a failure stays what it is. */
export function failed(error: unknown, { store, name: path, permission, writes }: Attempt): Failure {
  const found = failureIn(error);
  if (found !== undefined) return found;
  const refusal = refusalOf(error);
  const later = (reason: string): Failure => {
    const extra = refusal?.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs };
    return failure(writes === true ? 'provider.write' : 'provider.read', { store, path, reason }, extra);
  };
  if (refusal === undefined) return later(`the answer of Key Vault could not be read${wrongVault(error)}`);
  const { status, code } = refusal;
  const shown = code === '' ? `HTTP ${status}` : code;
  if (status === 401)
    return failure('provider.login', {
      store,
      reason: `Key Vault answers ${shown}`,
      mend: 'Check that vaultUrl, tenantId and environmentType belong together.',
    });
  // Conflicts are of something that is just being deleted or recovered.
  if (status >= 500 || status === 429 || status === 408 || (status === 409 && writes === true))
    return later(`Key Vault answers ${shown}`);
  const mend = mendOf(refusal, permission);
  if (writes === true) {
    const reason = `Key Vault answers ${shown} to ${permission}${mend === undefined ? '' : `. ${mend}`}`;
    return failure('provider.push', { store, path, reason });
  }
  if (mend !== undefined)
    return failure('provider.denied', { store, path, reason: `Key Vault answers ${shown}`, mend });
  return failure('provider.spec', { store, reason: `Key Vault takes no ${permission} of ${path}: ${shown}` });
}

/** The client refuses a vault that wants tokens of another domain than its own: they would open more than that vault. */
const wrongVault = (error: unknown): string =>
  error instanceof Error && error.message.startsWith('The challenge resource')
    ? ': it wants a token for another domain than its own'
    : '';

function mendOf({ status, code }: Refusal, permission: string): string | undefined {
  if (/(?:Disabled|Expired|NotYetValid)$/.test(code))
    return 'Its version is disabled, or not valid now: enable it, or name another.';
  if (status !== 403) return undefined;
  if (code === 'ForbiddenByFirewall') return 'Let the firewall of the vault take requests from this cluster.';
  return `Grant the identity of this store ${permission}: a role such as "${roleFor(permission)}" on the vault, or its access policy`;
}

/** Source: Azure's built-in roles for the data plane of Key Vault. */
const ROLES: Readonly<Record<string, readonly [reads: string, writes: string]>> = {
  secrets: ['Key Vault Secrets User', 'Key Vault Secrets Officer'],
  keys: ['Key Vault Crypto User', 'Key Vault Crypto Officer'],
  certificates: ['Key Vault Certificate User', 'Key Vault Certificates Officer'],
};

function roleFor(permission: string): string {
  const [kind = '', operation = ''] = permission.split('/');
  const [reads, writes] = ROLES[kind] ?? ['Key Vault Reader', 'Key Vault Administrator'];
  return operation === 'get' || operation === 'list' ? reads : writes;
}

/** Undefined where the vault has no such thing. @throws Failure */
export async function seen<T>(request: Promise<T>, attempt: Attempt): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (refusalOf(error)?.status === 404) return undefined;
    throw failed(error, attempt);
  }
}

/** One request that changes something. @throws Failure */
export async function change<T>(request: Promise<T>, attempt: Omit<Attempt, 'writes'>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw failed(error, { ...attempt, writes: true });
  }
}
