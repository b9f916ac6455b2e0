/**
 * The closed table of everything that can go wrong: code -> kind, message, hint.
 * The message is what users of the protocol already know (Vault's own words where clients match on them); the hint
 * is the mend. `{name}` is filled in by `Failure` and must never be given secret bytes.
 * `docs/errors.md` is generated from this table and a test holds the two together.
 */

/** What a failure means to the caller; only `server/http` turns it into a status code. */
export type Kind =
  | 'invalid' // the request is wrong
  | 'denied' // the caller may not
  | 'missing' // there is no such thing
  | 'unsupported' // there is such a thing, but not this operation on it
  | 'mediaType' // the body is of a type that this operation does not take
  | 'conflict' // somebody else was there first
  | 'tooLarge' // over a bound that is checked before anything else
  | 'limited' // too many requests
  | 'sealed' // the barrier is sealed
  | 'unavailable' // try again later
  | 'internal'; // our fault

export interface Row {
  readonly kind: Kind;
  readonly message: string;
  readonly hint?: string;
}

export const codes = {
  // base
  'base.internal': {
    kind: 'internal',
    message: 'internal error',
    hint: 'The cause is in the log of the server.',
  },
  'path.empty': {
    kind: 'invalid',
    message: 'the path is empty',
    hint: 'Name a path, such as secret/data/app.',
  },
  'path.too_long': {
    kind: 'invalid',
    message: 'the path is longer than {limit} bytes',
    hint: 'Shorten the path.',
  },
  'path.not_canonical': {
    kind: 'invalid',
    message: 'the path is not canonical: {reason}',
    hint: 'Use plain segments between single slashes: no empty, "." or ".." segment, no control character, no encoded slash.',
  },
  'json.malformed': {
    kind: 'invalid',
    message: 'failed to parse JSON input: {reason}',
    hint: 'Send one JSON value, encoded in UTF-8.',
  },
  'json.too_deep': {
    kind: 'invalid',
    message: 'failed to parse JSON input: nested deeper than {limit} levels',
  },
  'json.too_many': { kind: 'invalid', message: 'failed to parse JSON input: more than {limit} values' },
  'duration.malformed': {
    kind: 'invalid',
    message: 'invalid duration {text}',
    hint: 'Write whole seconds or a Go duration such as 1h30m; "d" stands for days.',
  },

  // storage
  'storage.conflict': {
    kind: 'conflict',
    message: 'the entry {key} was changed by somebody else',
    hint: 'Read it again and retry.',
  },
  'storage.locked': {
    kind: 'unavailable',
    message: 'the data folder {folder} is in use by process {pid}',
    hint: 'Stop that process, or give this one a data folder of its own.',
  },
  'storage.corrupt': {
    kind: 'internal',
    message: 'the entry {key} does not open: it was changed or lost outside this server',
  },
  'storage.closed': { kind: 'unavailable', message: 'the store is closed' },

  // requests
  'request.invalid': { kind: 'invalid', message: '{reason}' },
  'request.denied': { kind: 'denied', message: 'permission denied' },
  'request.too_large': {
    kind: 'tooLarge',
    message: 'request body too large',
    hint: 'A request may be up to {limit} bytes.',
  },
  'request.unsupported': { kind: 'unsupported', message: 'unsupported operation' },
  'request.unsupported_path': { kind: 'missing', message: 'unsupported path' },
  'request.no_handler': { kind: 'missing', message: 'no handler for route "{path}". route entry not found.' },
  'request.patch_type': {
    kind: 'mediaType',
    message: 'PATCH requires Content-Type of application/merge-patch+json, provided {given}',
  },
  'server.sealed': { kind: 'sealed', message: 'Vault is sealed', hint: 'Run: holdfast operator unseal' },
  'server.uninitialized': { kind: 'sealed', message: 'Vault is sealed', hint: 'Run: holdfast operator init' },
} as const satisfies Record<string, Row>;

export type Code = keyof typeof codes;
