/** How a seal asks its service, and how it tells what went wrong there: by what passes, and by what somebody has to mend. */

import { type Failure, failure } from '../../base/errors.ts';
import type { WebAnswer, WebRequest } from '../../base/web.ts';

export type { WebAnswer as Answer } from '../../base/web.ts';

/** One request of a seal, by a way out that leads to its service alone. @throws Failure dial.* where no answer came */
export type Ask = (
  request: WebRequest & Required<Pick<WebRequest, 'headers' | 'signal'>>,
) => Promise<WebAnswer>;

/**
 * `away`: it passes by itself, and is tried again. `refused`: who we are, or may do, has to be mended. `lost`: the key is
 * not there, or cannot be used, or is not the one that wrapped.
 */
export type Verdict = 'away' | 'refused' | 'lost';

const CODES = { away: 'seal.unreachable', refused: 'seal.refused', lost: 'seal.lost_key' } as const;

/**
 * The failure of a seal. People without a token are told it, at init and when they unseal: `reason` names no address, no
 * account and nothing that the service wrote.
 * @param details for the log alone: a failure of the way, or `said`
 */
export const trouble = (seal: string, verdict: Verdict, reason: string, details?: unknown): Failure =>
  failure(CODES[verdict], { seal, reason }, { cause: details });

const LONGEST = 300;

/**
 * What a service wrote, for the log: printable, short, and without anything as long as a key or a token. A service that is
 * none may send back what it was sent, so this is for requests that hold no key in the clear.
 */
export const said = (text: string): Failure =>
  failure('seal.said', {
    text: text
      .replace(/[^\x20-\x7e]+/g, ' ')
      .replace(/[A-Za-z0-9+_=-]{44,}/g, '...')
      .slice(0, LONGEST)
      .trim(),
  });

/** The verdict on an HTTP status that says nothing of keys. */
export const verdictOf = (status: number): Verdict =>
  status >= 500 || status === 429 || status === 408 ? 'away' : 'refused';
