/** The members that a request sends: parsed once, bounded, with the ones the operation names kept as text. */

import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { type Json, parseJson, RawJson, stringify } from '../../base/json.ts';
import type { Operation } from '../../plugin/plugin.ts';
import type { Request } from './request.ts';

type Members = Readonly<Record<string, Json>>;

/** Of a request that sends none: always this very object. */
export const NO_MEMBERS: Members = Object.freeze(Object.create(null) as Record<string, Json>);

/** @throws Failure json.*, request.invalid */
export function membersOf(request: Request, operation: Operation): Members {
  const { body } = request;
  if (operation.body === 'stream') return request.data ?? NO_MEMBERS;
  if (operation.body === 'bytes') return glimpsed(request);
  if (body !== undefined && body.length > 0) {
    const text = textOf(body);
    if (text === undefined) throw failure('json.malformed', { reason: 'it is not UTF-8' });
    // curl calls everything a form: it is one only where it does not begin as JSON does.
    if (request.form === true && !/^\s*[{[]/.test(text)) return formMembers(text);
    const value = parseJson(text.startsWith('\ufeff') ? text.slice(1) : text, operation.raw);
    if (value === null) return NO_MEMBERS;
    if (typeof value !== 'object' || Array.isArray(value) || value instanceof RawJson || !isMembers(value))
      throw failure('json.malformed', { reason: 'expected an object' });
    return value;
  }
  if (request.data === undefined) return NO_MEMBERS;
  if (operation.raw === undefined) return request.data;
  const copy: Record<string, Json> = Object.assign(Object.create(null), request.data);
  for (const name of operation.raw) {
    const value = copy[name];
    if (value !== undefined && !(value instanceof RawJson)) copy[name] = new RawJson(stringify(value));
  }
  return copy;
}

/**
 * The members of a body that the operation reads by itself, for policy and audit, which would else be blind to it. What is
 * no JSON object has no members.
 */
function glimpsed({ body, data }: Request): Members {
  if (body === undefined) return data ?? NO_MEMBERS;
  const text = textOf(body);
  if (text === undefined || !/^\s*\{/.test(text)) return NO_MEMBERS;
  const value = parseJson(text);
  return typeof value === 'object' && value !== null && isMembers(value) ? value : NO_MEMBERS;
}

/** The bytes of a body that the operation reads by itself. */
export const bytesOf = ({ body, data }: Request): Uint8Array =>
  body ?? (data === undefined ? new Uint8Array() : utf8(stringify(data)));

/** The body of an operation that takes a stream, from whoever asks in whichever way. */
export async function* streamOf(request: Request): AsyncGenerator<Uint8Array, void, void> {
  if (request.stream === undefined) yield bytesOf(request);
  else yield* request.stream;
}

const isMembers = (value: object): value is Record<string, Json> => Object.getPrototypeOf(value) === null;

function formMembers(text: string): Members {
  const members: Record<string, Json> = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) add(members, name, value);
  return members;
}

/** Adds one member of a query or form; given twice, it becomes a list. */
export function add(members: Record<string, Json>, name: string, value: string): void {
  const before = members[name];
  if (before === undefined) members[name] = value;
  else members[name] = Array.isArray(before) ? [...before, value] : [before, value];
}
