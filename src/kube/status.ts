/** Status objects of the API become coded failures here and nowhere else. */

import type { Code } from '../base/codes.ts';
import { Failure } from '../base/errors.ts';
import { type Bag, bagOf, isBag, listOf } from '../base/shape.ts';
import { tame } from '../base/tame.ts';
import type { HttpAnswer } from './http.ts';

const BY_STATUS: Readonly<Record<number, Code>> = {
  401: 'kube.denied',
  403: 'kube.denied',
  404: 'kube.missing',
  409: 'kube.conflict',
  410: 'kube.gone',
  429: 'kube.limited',
};

/** What an answer is told by. */
export interface Asked {
  /** For messages: "GET secrets team/app". */
  readonly what: string;
  /** The bodies hold secrets: what a Status says of them is told by field and reason alone. */
  readonly guarded: boolean;
}

/** The failure that an answer outside 200-299 stands for, with `retryAfterMs` where the server names it. */
export function statusFailure(
  answer: Pick<HttpAnswer, 'status' | 'headers' | 'body'>,
  asked: Asked,
): Failure {
  const { status } = answer;
  let said: Bag = {};
  try {
    const parsed: unknown = JSON.parse(answer.body.toString('utf8'));
    if (isBag(parsed) && parsed['kind'] === 'Status') said = parsed;
  } catch {
    // Not a Status: a proxy's page. The number is all that can be trusted of it.
  }
  const exists = status === 409 && said['reason'] === 'AlreadyExists';
  const code: Code = exists
    ? 'kube.exists'
    : (BY_STATUS[status] ?? (status >= 500 ? 'kube.unavailable' : 'kube.invalid'));
  const header = Number(answer.headers['retry-after']);
  const details = bagOf(said['details']);
  const seconds = Number.isFinite(header) ? header : Number(details['retryAfterSeconds'] ?? Number.NaN);
  return new Failure(
    code,
    {
      request: asked.what,
      reason: reasonOf(said, details, asked.guarded && code === 'kube.invalid') || `status ${status}`,
    },
    Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: Math.min(seconds, 3600) * 1000 } : {},
  );
}

function reasonOf(said: Bag, details: Bag, guarded: boolean): string {
  if (!guarded) return words(said['message']);
  // A Status may quote what it could not read: of a Secret only fields and reasons are passed on.
  const causes = listOf(details['causes']).filter(isBag);
  const parts = causes.map((cause) =>
    [withoutKeys(words(cause['field'])), words(cause['reason'])].filter((t) => t !== '').join(' '),
  );
  return [words(said['reason']), ...parts].filter((part) => part !== '').join('; ');
}

/** "data[KEY]" names a key that a template may have made out of a secret; a place in a list may stay. */
const withoutKeys = (field: string): string => field.replace(/\[(?!\d+\]).*/s, '[...]');

const words = (value: unknown): string => (typeof value === 'string' ? tame(value, 1000) : '');
