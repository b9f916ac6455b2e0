/**
 * Asks the API server whose token it is (TokenReview, authentication.k8s.io/v1). An answer that says yes is kept for at
 * most ten seconds, under everything it depends on; an answer that says no, or none at all, is not kept.
 */

import { hex, sha256, textOf } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { parseJson, stringify } from '../../base/json.ts';
import type { Dial } from '../../plugin/plugin.ts';
import type { Effective } from './config.ts';

export interface Reviewed {
  readonly username: string;
  readonly uid: string;
}
/** `reason` is for the log alone and never holds a part of the token. */
export type Review = Reviewed | { readonly reason: string };

const KEPT_MS = 10_000;
const MOST_KEPT = 2000;
const TIMEOUT_MS = 10_000;

export class Reviewer {
  readonly #dial: Dial;
  readonly #clock: Clock;
  readonly #kept = new Map<string, { readonly until: number; readonly review: Promise<Review> }>();

  constructor(dial: Dial, clock: Clock) {
    this.#dial = dial;
    this.#clock = clock;
  }

  /** @param audience empty: the API server's own audience */
  async review(config: Effective, token: string, audience: string): Promise<Review> {
    // Lengths first, or two different triples could run together into one text.
    const key = hex(sha256(`${config.revision}:${audience.length}:${audience}:${token}`));
    const now = this.#clock.monotonic();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > now) return kept.review;

    const review = this.#ask(config, token, audience);
    this.#forget(now);
    const mine = { until: now + KEPT_MS, review };
    this.#kept.set(key, mine);
    const answer = await review;
    if ('reason' in answer && this.#kept.get(key) === mine) this.#kept.delete(key);
    return answer;
  }

  #forget(now: number): void {
    for (const [key, { until }] of this.#kept) {
      if (until > now && this.#kept.size < MOST_KEPT) break;
      this.#kept.delete(key);
    }
  }

  async #ask(config: Effective, token: string, audience: string): Promise<Review> {
    let status: number;
    let text: string | undefined;
    try {
      const answer = await this.#dial({
        url: `${config.host}/apis/authentication.k8s.io/v1/tokenreviews`,
        method: 'POST',
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${config.reviewerJwt || config.localJwt || token}`,
          'content-type': 'application/json',
        },
        body: stringify({
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: audience === '' ? { token } : { token, audiences: [audience] },
        }),
        ca: config.ca,
        timeoutMs: TIMEOUT_MS,
      });
      status = answer.status;
      text = textOf(answer.body);
    } catch (error) {
      // Names of errors are ours or Node's; their messages could quote what we sent.
      const name = error instanceof Error ? ((error as { code?: unknown }).code ?? error.name) : 'unknown';
      return { reason: `the API server could not be asked: ${String(name)}` };
    }
    if (status !== 200 && status !== 201)
      return { reason: `the API server answered the review with status ${status}` };
    return judge(text, audience);
  }
}

/** Reads the `status` of a TokenReview. */
function judge(text: string | undefined, audience: string): Review {
  let answer: unknown;
  try {
    answer = text === undefined ? undefined : parseJson(text);
  } catch {
    answer = undefined;
  }
  const status = field(answer, 'status');
  const user = field(status, 'user');
  if (field(status, 'authenticated') !== true) return { reason: 'the API server does not know the token' };
  const audiences = field(status, 'audiences');
  // A server that knows nothing of audiences leaves them out: then it did not check them either.
  if (audience !== '' && !(Array.isArray(audiences) && audiences.includes(audience))) {
    return { reason: 'the API server did not confirm the audience' };
  }
  const username = field(user, 'username');
  const uid = field(user, 'uid');
  if (typeof username !== 'string' || typeof uid !== 'string') return { reason: 'the review names no user' };
  return { username, uid };
}

function field(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null && Object.hasOwn(of, name)
    ? (of as Record<string, unknown>)[name]
    : undefined;
}
