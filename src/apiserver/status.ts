/**
 * What goes wrong, in the vocabulary of the Kubernetes API: a `Status` whose `reason` clients switch on. This room speaks
 * that protocol to its end, so its refusals are these and not codes of our own table. Messages name fields and kinds,
 * never values: a value may be a secret.
 */

import type { Fields } from './objects.ts';
import { fields } from './objects.ts';

const REASONS = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
} as const;

export type Reason = keyof typeof REASONS;

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** The group and plural of what a refusal is about. */
export interface Subject {
  readonly group: string;
  readonly plural: string;
}

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reason: Reason;
  readonly details: Fields | undefined;

  constructor(reason: Reason, message: string, details?: Fields) {
    super(message);
    this.reason = reason;
    this.details = details;
  }

  get code(): number {
    return REASONS[this.reason];
  }

  toStatus(): Fields {
    return fields({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      details: this.details,
      code: this.code,
    });
  }
}

/** "pods" or "externalsecrets.external-secrets.io", as messages call a resource. */
const qualified = (subject: Subject): string =>
  subject.group === '' ? subject.plural : `${subject.plural}.${subject.group}`;

const about = (subject: Subject, name: string, causes?: readonly Cause[]): Fields =>
  fields({
    name: name === '' ? undefined : name,
    group: subject.group === '' ? undefined : subject.group,
    kind: subject.plural,
    causes: causes?.map((cause) => ({ ...cause })),
  });

export const badRequest = (message: string): Refusal => new Refusal('BadRequest', message);

export const notFound = (subject: Subject, name: string): Refusal =>
  new Refusal('NotFound', `${qualified(subject)} "${name}" not found`, about(subject, name));

/** No such route at all: kubectl reads it as "the server doesn't have a resource type". */
export const noRoute = (): Refusal =>
  new Refusal('NotFound', 'the server could not find the requested resource');

export const alreadyExists = (subject: Subject, name: string): Refusal =>
  new Refusal('AlreadyExists', `${qualified(subject)} "${name}" already exists`, about(subject, name));

export const conflict = (subject: Subject, name: string, why?: string): Refusal =>
  new Refusal(
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${
      why ?? 'the object has been modified; please apply your changes to the latest version and try again'
    }`,
    about(subject, name),
  );

export const forbidden = (subject: Subject, name: string, why: string): Refusal =>
  new Refusal(
    'Forbidden',
    name === ''
      ? `${qualified(subject)} is forbidden: ${why}`
      : `${qualified(subject)} "${name}" is forbidden: ${why}`,
    about(subject, name),
  );

export const expired = (message: string): Refusal => new Refusal('Expired', message);

export const methodNotAllowed = (): Refusal =>
  new Refusal('MethodNotAllowed', 'the server does not allow this method on the requested resource');

/** Everything that is wrong with an object, at once, as the API tells it. */
export function invalid(kind: string, subject: Subject, name: string, causes: readonly Cause[]): Refusal {
  const parts = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const text = parts.length === 1 ? parts[0] : `[${parts.join(', ')}]`;
  const title = subject.group === '' ? kind : `${kind}.${subject.group}`;
  return new Refusal('Invalid', `${title} "${name}" is invalid: ${text}`, {
    ...about(subject, name, causes),
    kind,
  });
}

export const required = (field: string, hint = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: hint === '' ? 'Required value' : `Required value: ${hint}`,
  field,
});
export const wrong = (field: string, message: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${message}`,
  field,
});
export const fixed = (field: string, message: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${message}`,
  field,
});
