/** What AWS's official clients are given, so that they take nothing from the environment, from files or from the machine, and ask by the one way out. */

import type { KMSClientConfig } from '@aws-sdk/client-kms';
import { carrier, codeOf, GIVEN } from '../../aws/client.ts';
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
    ...GIVEN,
    endpoint,
    region,
    credentials,
    maxAttempts: ATTEMPTS,
    requestHandler: carrier((request) =>
      ask({ ...request, timeoutMs: TIMEOUT_MS, signal: request.signal ?? NEVER }),
    ),
  } satisfies KMSClientConfig;
}

const NEVER = new AbortController().signal;

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
