/** What S3 says when it refuses, by the name that it gives to it and never by its text: that may quote what was sent. */

import { isBag } from '../../base/shape.ts';

export interface Reason {
  readonly reason: string;
  readonly mend: string;
}

const RIGHTS =
  'Give its key s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload below the prefix.';
const REGION = 'Write the region of the bucket into region = "...", and an endpoint that belongs to it.';
const KEY = 'Check access_key and secret_key of its stanza, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.';

const MENDS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'Make the bucket, or name the right one.',
  AccessDenied: RIGHTS,
  AllAccessDisabled: RIGHTS,
  PermanentRedirect: REGION,
  TemporaryRedirect: REGION,
  AuthorizationHeaderMalformed: REGION,
  IllegalLocationConstraintException: REGION,
  InvalidAccessKeyId: KEY,
  SignatureDoesNotMatch: KEY,
  InvalidToken: KEY,
  ExpiredToken: KEY,
  RequestTimeTooSkewed: 'Set the clock of this machine.',
  QuotaExceeded: 'Make room, or keep backups for a shorter time.',
  EntityTooLarge: 'The store is larger than what this service takes in one file.',
};
const LATER = 'It is tried again. Look after the service, and the way there.';

/** Names of errors that come without one, by the status of the answer. */
const BY_STATUS: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  307: 'TemporaryRedirect',
  403: 'AccessDenied',
};

/** @param error whatever the client of S3 threw */
export function reasonOf(error: unknown): Reason {
  const { name, code, $metadata: told } = isBag(error) || error instanceof Error ? (error as Told) : {};
  const status = isBag(told) && typeof told['httpStatusCode'] === 'number' ? told['httpStatusCode'] : 0;
  // What ended before an answer has a code of the system.
  const plain = typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code) ? code : undefined;
  const given = typeof name === 'string' && /^[A-Za-z][\w.]{0,63}$/.test(name) ? name : undefined;
  if (status === 0) return { reason: plain ?? given ?? 'it does not answer', mend: LATER };
  const known =
    given !== undefined && given !== 'Error' && !/^(Unknown|UnknownError|\d+)$/.test(given)
      ? given
      : BY_STATUS[status];
  const reason = known ?? `status ${status}`;
  return { reason, mend: MENDS[reason] ?? (status >= 500 ? LATER : RIGHTS) };
}

interface Told {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $metadata?: unknown;
}
