/** What AWS's official clients are given, so that they take nothing from the environment, from files or from the machine, and ask by the one way out. */

import type { KMSClientConfig } from '@aws-sdk/client-kms';
import { view } from '../../base/bytes.ts';
import { isFailure } from '../../base/errors.ts';
import { type Ask, said, trouble, type Verdict } from './ask.ts';

/** Once more, because a wrong clock is corrected by the date of the first answer. The server itself asks again later. */
const ATTEMPTS = 2;
const TIMEOUT_MS = 5000;

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they end; absent: they do not. */
  readonly expiration?: Date;
}

export function clientConfig(
  ask: Ask,
  endpoint: string,
  region: string,
  credentials: () => Promise<AwsCredentials>,
) {
  return {
    endpoint,
    region,
    credentials,
    maxAttempts: ATTEMPTS,
    retryMode: 'standard',
    defaultsMode: 'standard',
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    authSchemePreference: [],
    disableClockSkewCorrection: false,
    userAgentAppId: async () => undefined,
    requestHandler: wayOut(ask),
  } satisfies KMSClientConfig;
}

const NEVER = new AbortController().signal;

/** What carries the client's requests: the part of its `HttpHandler` that these services need. */
function wayOut(ask: Ask): NonNullable<Exclude<KMSClientConfig['requestHandler'], Record<string, unknown>>> {
  return {
    async handle(request: Sent, { abortSignal }: { readonly abortSignal?: AbortSignal } = {}) {
      const { protocol, hostname, port, path, method, headers, body } = request;
      const {
        status,
        body: bytes,
        date,
      } = await ask({
        url: `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`,
        method,
        headers,
        ...(typeof body === 'string'
          ? { body }
          : body instanceof Uint8Array
            ? { body: view(body).toString('utf8') }
            : {}),
        timeoutMs: TIMEOUT_MS,
        signal: abortSignal ?? NEVER,
      });
      return { response: { statusCode: status, headers: date === undefined ? {} : { date }, body: bytes } };
    },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  } as never;
}

interface Sent {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The key is not there, cannot be used, or is not the one that wrapped. Source: the errors of KMS's Encrypt and Decrypt. */
const LOST: ReadonlySet<string> = new Set([
  'NotFound',
  'Disabled',
  'KMSInvalidState',
  'IncorrectKey',
  'InvalidCiphertext',
  'InvalidKeyUsage',
]);
const AWAY = /throttl|TooManyRequests|LimitExceeded|KeyUnavailable|DependencyTimeout|Internal/i;

/**
 * Runs a request, and tells a refusal by the name that AWS gives it.
 * @param hidden whether the request held a key in the clear, so that nothing of the answer's text may be told
 * @throws Failure seal.*
 */
export async function asked<T>(
  seal: string,
  request: Promise<T>,
  { hidden, canLose }: { readonly hidden: boolean; readonly canLose: boolean },
): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (isFailure(error, 'seal.refused') || isFailure(error, 'seal.unreachable')) throw error;
    if (isFailure(error)) throw trouble(seal, 'away', 'no connection to it', error);
    const { name, message, $metadata } = error as {
      name?: unknown;
      message?: unknown;
      $metadata?: { httpStatusCode?: unknown };
    };
    const status = Number($metadata?.httpStatusCode ?? 0);
    if (!(status >= 300)) throw trouble(seal, 'refused', 'its answer was not one of AWS');
    const code = codeOf(name);
    const details = hidden || typeof message !== 'string' ? undefined : said(`${code}: ${message}`);
    throw trouble(seal, verdictOn(code, status, canLose), `HTTP ${status} ${code}`, details);
  }
}

function verdictOn(code: string, status: number, canLose: boolean): Verdict {
  // Before the status: "the state of the key is not right for this" comes with a 400, "the key is unavailable" with a 500.
  if (LOST.has(code)) return canLose ? 'lost' : 'refused';
  return status >= 500 || status === 429 || AWAY.test(code) ? 'away' : 'refused';
}

/** The client's names of errors are AWS's codes, and for most of them "Exception" behind it. */
function codeOf(name: unknown): string {
  const code = typeof name === 'string' ? name.replace(/Exception$/, '') : '';
  return /^[A-Za-z][\w.:]{0,63}$/.test(code) ? code : 'an error without a name';
}
