/** What a failure is on the wire. The only place that turns one into a status code. */

import type { Failure, Kind } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';

const STATUS: Readonly<Record<Kind, number>> = {
  invalid: 400,
  denied: 403,
  missing: 404,
  unsupported: 405,
  mediaType: 415,
  conflict: 409,
  tooLarge: 413,
  limited: 429,
  sealed: 503,
  unavailable: 503,
  internal: 500,
};

export const statusOf = (failure: Failure): number => STATUS[failure.kind];

/** The body of an error, as every client of the Vault API reads it. */
export function errorText(failure: Failure): string {
  const { data } = failure;
  return stringify({
    errors: [failure.message],
    ...(typeof data === 'object' && data !== null ? { data } : {}),
  });
}

export const NOTHING = '{"errors":[]}';
