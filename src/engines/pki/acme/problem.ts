/**
 * What an ACME client is told when something is wrong: problem documents (RFC 7807, RFC 8555 section 6.7). They stay inside
 * this protocol; what the rest of the server throws is turned into one here, and what nobody foresaw tells nothing.
 */

import { type Failure, isFailure } from '../../../base/errors.ts';

/** Types of RFC 8555 section 6.7 that are used here, and the status each has. */
const STATUS = {
  accountDoesNotExist: 400,
  alreadyRevoked: 400,
  badCSR: 400,
  badNonce: 400,
  badPublicKey: 400,
  badRevocationReason: 400,
  badSignatureAlgorithm: 400,
  connection: 400,
  dns: 400,
  externalAccountRequired: 401,
  incorrectResponse: 400,
  invalidContact: 400,
  malformed: 400,
  orderNotReady: 403,
  rateLimited: 429,
  rejectedIdentifier: 400,
  serverInternal: 500,
  tls: 400,
  unauthorized: 401,
  unsupportedContact: 400,
  unsupportedIdentifier: 400,
} as const;
export type ProblemType = keyof typeof STATUS;

/** As it is kept and sent. */
export interface Problem {
  readonly type: string;
  readonly detail: string;
  readonly status: number;
  /** RFC 8555 section 6.2: the algorithms that would have been taken. */
  readonly algorithms?: readonly string[];
}

export interface ProblemExtra {
  readonly algorithms?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
}

/** Thrown anywhere below an ACME route. `detail` goes to a stranger: it never holds a secret. */
export class AcmeError extends Error {
  override readonly name = 'AcmeError';
  readonly type: ProblemType;
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;

  constructor(type: ProblemType, detail: string, extra: ProblemExtra = {}) {
    super(detail);
    this.type = type;
    this.headers = extra.headers ?? {};
    this.problem = {
      type: `urn:ietf:params:acme:error:${type}`,
      detail,
      status: extra.status ?? STATUS[type],
      ...(extra.algorithms === undefined ? {} : { algorithms: extra.algorithms }),
    };
  }
}

/** The problem to tell for anything thrown. @param fallback what a refusal of the issuing rules is called where it happened */
export function asAcmeError(error: unknown, fallback: ProblemType = 'malformed'): AcmeError {
  if (error instanceof AcmeError) return error;
  if (isFailure(error) && isTold(error)) return new AcmeError(fallback, error.message);
  return new AcmeError('serverInternal', 'the server could not do this; its log tells why');
}

/** Refusals of the engine's own rules may be read by whoever broke them. */
const isTold = (failure: Failure): boolean => failure.kind === 'invalid';
