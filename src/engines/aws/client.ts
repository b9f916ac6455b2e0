/**
 * Requests to AWS through its official client, which signs them and reads the answers; they leave by the one way out. Nothing
 * is taken from the environment, from files or from the machine: each setting that the client would look for there is given.
 */

import type { IAM, IAMClientConfig } from '@aws-sdk/client-iam';
import type { STS } from '@aws-sdk/client-sts';
import { carrier, codeOf, GIVEN } from '../../aws/client.ts';
import { type Failure, failure, isFailure } from '../../base/errors.ts';
import { isBag } from '../../base/shape.ts';
import type { Dial } from '../../plugin/plugin.ts';
import type { Config, Settings } from './config.ts';
import { type Endpoint, iamEndpoint, stsEndpoint } from './endpoints.ts';

/** `code` is the name of AWS's error, and nothing of its text: that may quote what was sent. */
export type Answer<T> = { readonly done: true; readonly value: T } | Refusal;

export interface Refusal {
  readonly done: false;
  readonly code: string;
  /** 0: the answer could not be read. */
  readonly status: number;
  /** More than one: what failed may have been done by an earlier one. */
  readonly attempts: number;
}

/** AWS's own clients ask that often. */
const ATTEMPTS = 3;
const TIMEOUT_MS = 10_000;

export class Aws {
  readonly #dial: Dial;
  readonly #settings: Settings;

  constructor(dial: Dial, settings: Settings) {
    this.#dial = dial;
    this.#settings = settings;
  }

  /** @throws Failure aws.not_configured */
  async iam(config?: Config): Promise<IAM> {
    const used = config ?? (await this.#settings.needed()).config;
    const { IAM } = await import('./sdk.ts');
    return new IAM(clientConfig(used, iamEndpoint(used), this.#dial));
  }

  /** @throws Failure aws.not_configured */
  async sts(): Promise<STS> {
    const { config } = await this.#settings.needed();
    const { STS } = await import('./sdk.ts');
    return new STS(clientConfig(config, stsEndpoint(config), this.#dial));
  }
}

/** Runs a request and tells what AWS made of it. @throws Failure dial.*: then what was asked may have been done */
export async function ask<T>(request: Promise<T>): Promise<Answer<T>> {
  try {
    return { done: true, value: await request };
  } catch (error) {
    if (isFailure(error)) throw error;
    return refusalOf(error);
  }
}

/** The answer's value. @throws Failure aws.failed, aws.signature, aws.unavailable, dial.* */
export async function must<T>(what: string, request: Promise<T>): Promise<T> {
  const answer = await ask(request);
  if (answer.done) return answer.value;
  throw failed(what, answer);
}

/** A failure that says what was not done, and why by the name that AWS gives to it. */
export function failed(what: string, { code, status }: Refusal): Failure {
  if (SIGNATURE.has(code)) return failure('aws.signature', { what, reason: code });
  const isTheirs = status === 0 || status >= 500 || status === 429 || THROTTLED.test(code);
  return failure(isTheirs ? 'aws.unavailable' : 'aws.failed', { what, reason: code });
}

/** Everything of a list that comes in pages. */
export async function everyPage<P, T>(
  what: string,
  fetch: (marker: { readonly Marker?: string }) => Promise<P & Paged>,
  items: (page: P) => readonly T[] | undefined,
): Promise<T[]> {
  const all: T[] = [];
  let marker: { readonly Marker?: string } = {};
  for (let page = 0; page < PAGE_LIMIT; page++) {
    const answer = await must(what, fetch(marker));
    all.push(...(items(answer) ?? []));
    if (answer.IsTruncated !== true || answer.Marker === undefined) return all;
    marker = { Marker: answer.Marker };
  }
  throw failure('aws.unavailable', { what, reason: 'the list does not end' });
}

interface Paged {
  readonly IsTruncated?: boolean | undefined;
  readonly Marker?: string | undefined;
}

const PAGE_LIMIT = 100;
const SIGNATURE: ReadonlySet<string> = new Set([
  'SignatureDoesNotMatch',
  'InvalidClientTokenId',
  'RequestExpired',
  'RequestTimeTooSkewed',
]);
const THROTTLED = /throttl|TooManyRequests|RequestLimitExceeded|SlowDown/i;

function refusalOf(error: unknown): Refusal {
  const { name, $metadata: told } = error as { name?: unknown; $metadata?: unknown };
  const metadata = isBag(told) ? told : {};
  const status = metadata['httpStatusCode'];
  const attempts = metadata['attempts'];
  const isAnswered = typeof status === 'number' && status >= 300;
  return {
    done: false,
    code: isAnswered && typeof name === 'string' ? codeOf(name) : 'the answer could not be read',
    status: isAnswered ? status : 0,
    attempts: typeof attempts === 'number' ? attempts : ATTEMPTS,
  };
}

function clientConfig(config: Config, { url, region }: Endpoint, dial: Dial) {
  const { accessKey: accessKeyId, secretKey: secretAccessKey, maxRetries } = config;
  return {
    ...GIVEN,
    endpoint: url,
    region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: maxRetries < 0 ? ATTEMPTS : maxRetries + 1,
    requestHandler: carrier((request) => dial({ ...request, timeoutMs: TIMEOUT_MS })),
  } satisfies IAMClientConfig;
}
