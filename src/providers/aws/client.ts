/**
 * How AWS's official clients are set up here: requests leave by the operator's way out, where a tenant's address is judged,
 * and nothing is taken from the environment, from files or from the machine, because each setting that the clients would look
 * for there is given. What AWS refuses becomes a failure by the name that AWS gives to it.
 */

import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';
import { carrier, GIVEN } from '../../aws/client.ts';
import { type Failure, failure, isFailure } from '../../base/errors.ts';
import { backoff } from '../../base/retry.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { endpointOf, type Service } from './endpoints.ts';

/** Keys of AWS, as its clients take them. */
export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they end; keys without an end are never asked for again. */
  readonly expiration?: Date;
}
export type KeysSource = () => Promise<Keys>;

export interface ClientOptions {
  readonly region: string;
  readonly keys: KeysSource | undefined;
  /** The operator's own other endpoint of a service. */
  readonly endpoint: (service: Service) => string | undefined;
}

/** AWS's clients ask that often by themselves; settings without a number mean three retries, as upstream has it. */
const ATTEMPTS = 3;
const RETRIES = 3;
const MOST_RETRIES = 10;
const TIMEOUT_MS = 30_000;
const BACKOFF = { baseMs: 100, maxMs: 20_000 };
/** AWS tells a client that asks too often to slow down: its wait begins at more. */
const THROTTLED_BACKOFF = { baseMs: 500, maxMs: 20_000 };
/** What a Retry-After may make us wait within one request; longer waits are left to the next reconcile. */
const LONGEST_WAIT_MS = 20_000;

/** The settings of a client of `service`. */
export function clientConfig(service: Service, options: ClientOptions, env: ProviderEnv) {
  return {
    ...GIVEN,
    endpoint: options.endpoint(service) ?? endpointOf(service, options.region),
    region: options.region,
    // A call that is not signed (AssumeRoleWithWebIdentity) needs none, and must not find the machine's.
    credentials: options.keys ?? (async () => ({ accessKeyId: '', secretAccessKey: '' })),
    retryStrategy: retries(env.retry),
    maxAttempts: ATTEMPTS,
    requestHandler: carrier((request) => env.wayOut.dial({ ...request, timeoutMs: TIMEOUT_MS }), {
      waits: true,
    }),
  } satisfies SecretsManagerClientConfig;
}

interface RetryToken {
  getRetryCount(): number;
  getRetryDelay(): number;
}
interface RetryCause {
  readonly errorType: string;
  readonly retryAfterHint?: Date;
}

/** `spec.retrySettings` of the store: how many tries more, and the same wait between each two where one is given. */
export function retries(settings: ProviderEnv['retry'], random: () => number = Math.random) {
  const most =
    settings === undefined
      ? ATTEMPTS - 1
      : Math.min(MOST_RETRIES, Math.max(0, settings.maxRetries ?? RETRIES));
  const token = (count: number, delay: number): RetryToken => ({
    getRetryCount: () => count,
    getRetryDelay: () => delay,
  });
  return {
    mode: 'standard',
    maxAttempts: async () => most + 1,
    acquireInitialRetryToken: async () => token(0, 0),
    async refreshRetryTokenForRetry(last: RetryToken, { errorType, retryAfterHint }: RetryCause) {
      const count = last.getRetryCount();
      const isWorthIt =
        errorType === 'THROTTLING' || errorType === 'TRANSIENT' || errorType === 'SERVER_ERROR';
      if (!isWorthIt || count >= most) throw new Error('no more tries');
      const own =
        settings?.retryIntervalMs ??
        backoff(count, errorType === 'THROTTLING' ? THROTTLED_BACKOFF : BACKOFF, random);
      const asked = retryAfterHint === undefined ? 0 : retryAfterHint.getTime() - Date.now();
      return token(count + 1, Math.min(LONGEST_WAIT_MS, Math.max(own, asked)));
    },
    recordSuccess() {},
  } as never;
}

/** What AWS answered instead of doing it. */
export interface Refusal {
  /** AWS's name of the error, or '' where the answer could not be read. */
  readonly code: string;
  readonly status: number;
  /** AWS's sentence; for decisions alone, because it may quote what was sent. */
  readonly said: string;
  readonly retryAfterMs: number | undefined;
}

/** What AWS refused, or undefined for what was thrown on the way there. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof Error) || isFailure(error)) return undefined;
  const { $metadata: told, $response: response } = error as Error & {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
  };
  const status = told?.httpStatusCode ?? 0;
  const code = error.name.replace(/Exception$/, '');
  const seconds = Number(response?.headers?.['retry-after'] ?? Number.NaN);
  return {
    code: status >= 300 && /^[A-Za-z][\w.]{0,63}$/.test(code) ? code : '',
    status,
    said: error.message,
    retryAfterMs: Number.isFinite(seconds) ? Math.min(3_600_000, Math.max(0, seconds * 1000)) : undefined,
  };
}

/** The keys are not AWS's, are no longer, or the request was not signed as it should be. */
const NOT_LET_IN: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSignature',
  'MissingAuthenticationToken',
  'OptInRequired',
  'RequestExpired',
  'SignatureDoesNotMatch',
  'UnrecognizedClient',
]);
const THROTTLED = /throttl|TooManyRequests|RequestLimitExceeded|SlowDown|TooManyUpdates/i;
const DENIED: ReadonlySet<string> = new Set(['AccessDenied', 'UnauthorizedOperation', 'NotAuthorized']);
const KMS: ReadonlySet<string> = new Set([
  'DecryptionFailure',
  'EncryptionFailure',
  'InvalidKeyId',
  'KMSAccessDenied',
]);

/** What was tried: for messages and for what a policy would have to grant. */
export interface Attempt {
  readonly store: string;
  readonly path: string;
  /** "secretsmanager:GetSecretValue" */
  readonly action: string;
  readonly writes?: true;
}

/** The failure that something AWS refused is for us; a failure stays what it is. */
export function failed(error: unknown, { store, path, action, writes }: Attempt): Failure {
  if (isFailure(error)) return error;
  const refusal = refusalOf(error);
  const later = (reason: string): Failure => {
    const extra = refusal?.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs };
    return failure(writes === true ? 'provider.write' : 'provider.read', { store, path, reason }, extra);
  };
  if (refusal === undefined || refusal.code === '') return later('the answer of AWS could not be read');
  const { code, status } = refusal;
  if (NOT_LET_IN.has(code))
    return failure('provider.login', {
      store,
      reason: `AWS answers ${code}`,
      mend: 'Check the access key that the store names, and that the clock of the operator is right.',
    });
  if (status >= 500 || status === 429 || THROTTLED.test(code)) return later(`AWS answers ${code}`);
  const mend = mendOf(refusal, action);
  if (writes === true) {
    const reason = `AWS answers ${code} to ${action}${mend === undefined ? '' : `. ${mend}`}`;
    return failure('provider.push', { store, path, reason });
  }
  if (mend !== undefined)
    return failure('provider.denied', { store, path, reason: `AWS answers ${code}`, mend });
  return failure('provider.spec', { store, reason: `AWS takes no ${action} of ${path}: ${code}` });
}

/** What would have to be granted, where that is what is missing. */
function mendOf({ code, said }: Refusal, action: string): string | undefined {
  if (KMS.has(code))
    return 'Let the role use the KMS key of the secret: kms:Decrypt, and kms:GenerateDataKey to push';
  if (!DENIED.has(code)) return undefined;
  // The ARN alone of AWS's sentence: who the store is to AWS is what its operator has to know.
  const who = /^User: (arn:[\w+=,.@:/-]{1,300}) is not authorized/.exec(said)?.[1];
  return `Let the policy of ${who ?? 'the identity of this store'} grant ${action} on it`;
}
