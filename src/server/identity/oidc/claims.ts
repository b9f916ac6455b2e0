/**
 * Templates of identity tokens: a JSON object with references to the caller in it. What comes of a reference is always a JSON
 * value, quoted by us, so that nothing that a caller is called can add a claim. Pure.
 */

import { parseDuration } from '../../../base/duration.ts';
import { failure } from '../../../base/errors.ts';
import { type Json, parseJson, RawJson } from '../../../base/json.ts';
import { own } from '../../../base/own.ts';
import type { Identity } from '../../auth/template.ts';

/** Claims that the server sets itself, in the order that upstream names them. */
export const RESERVED = [
  'iat',
  'aud',
  'exp',
  'iss',
  'sub',
  'namespace',
  'nonce',
  'auth_time',
  'at_hash',
  'c_hash',
];

export interface Subject {
  readonly identity: Identity;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type Claims = Readonly<Record<string, Json>>;

/** Who has nothing: what a template is tried on when it is written. */
const NOBODY: Subject = { identity: { entity: { id: '', name: '', metadata: {}, aliases: [] } }, now: 0 };

const NO_VALUE = 'no value could be found for one of the template directives';
const refuse = (reason: string) => failure('request.invalid', { reason });

/** @throws Failure request.invalid for a template that no caller could be filled into */
export function checkTemplate(template: string): void {
  if (template === '') return;
  const claims = claimsOf(template, NOBODY);
  const reserved = Object.keys(claims).find((name) => RESERVED.includes(name));
  if (reserved !== undefined)
    throw refuse(
      `top level key ${JSON.stringify(reserved)} not allowed. Restricted keys: ${RESERVED.join(', ')}`,
    );
}

/** The claims that a template gives a caller. @throws Failure request.invalid */
export function claimsOf(template: string, subject: Subject): Claims {
  if (template === '') return {};
  const text = filled(template, subject);
  let value: Json;
  try {
    value = parseJson(text);
  } catch {
    // The parser's own words may quote what it read, which is of the caller.
    throw refuse('error parsing template JSON: it is not one JSON object');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof RawJson)
    throw refuse('error parsing template JSON: it is not one JSON object');
  return value as Claims;
}

function filled(template: string, subject: Subject): string {
  const unbalanced = () => refuse('error parsing template: unbalanced templating characters');
  const [first = '', ...pieces] = template.split('{{');
  if (first.includes('}}')) throw unbalanced();
  let text = first;
  for (const piece of pieces) {
    const parts = piece.split('}}');
    if (parts.length !== 2) throw unbalanced();
    text += filledIn((parts[0] ?? '').trim(), subject) + (parts[1] ?? '');
  }
  return text;
}

const json = (value: unknown): string => JSON.stringify(value);

function filledIn(reference: string, subject: Subject): string {
  const after = (prefix: string): string | undefined =>
    reference.startsWith(prefix) ? reference.slice(prefix.length) : undefined;
  const entity = after('identity.entity.');
  if (entity !== undefined) return entityValue(entity, subject.identity);
  if (after('identity.groups.') !== undefined)
    throw refuse(
      'error parsing template: string contains groups template directives but no groups were provided',
    );
  const time = after('time.');
  if (time !== undefined) return timeValue(time, subject.now);
  throw refuse(`error parsing template: ${NO_VALUE}`);
}

function entityValue(name: string, { entity, groups = [] }: Identity): string {
  if (entity === undefined) throw refuse(`error parsing template: ${NO_VALUE}`);
  if (name === 'id') return json(entity.id);
  if (name === 'name') return json(entity.name);
  if (name === 'groups.names') return json(groups.map((group) => group.name));
  if (name === 'groups.ids') return json(groups.map((group) => group.id));
  const own = pairsValue(name, 'metadata', entity.metadata);
  if (own !== undefined) return own;
  const [kind, accessor, ...rest] = name.split('.');
  if (kind !== 'aliases' || accessor === undefined) throw refuse(`error parsing template: ${NO_VALUE}`);
  if (rest.length === 0) throw refuse('error parsing template: invalid alias selector');
  const alias = entity.aliases.find((one) => one.mountAccessor === accessor);
  const what = rest.join('.');
  if (what === 'id') return json(alias?.id ?? '');
  if (what === 'name') return json(alias?.name ?? '');
  const said =
    pairsValue(what, 'metadata', alias?.metadata ?? {}) ??
    pairsValue(what, 'custom_metadata', alias?.customMetadata ?? {});
  if (said === undefined) throw refuse(`error parsing template: ${NO_VALUE}`);
  return said;
}

/** All pairs, or the value of one; a pair that is not there is an empty text, as upstream has it. */
function pairsValue(
  name: string,
  member: string,
  pairs: Readonly<Record<string, string>>,
): string | undefined {
  if (name === member) return json(pairs);
  if (!name.startsWith(`${member}.`)) return undefined;
  const key = name.slice(member.length + 1);
  return json(own(pairs, key) ?? '');
}

function timeValue(selector: string, now: number): string {
  const [base, operator, ...rest] = selector.split('.');
  if (base !== 'now') throw refuse(`error parsing template: invalid time selector ${json(base)}`);
  if (operator === undefined) return String(Math.floor(now / 1000));
  if (rest.length === 0) throw refuse('error parsing template: missing time operand');
  if (operator !== 'plus' && operator !== 'minus')
    throw refuse(`error parsing template: invalid time operator ${json(operator)}`);
  let span: number;
  try {
    span = parseDuration(rest.join('.'));
  } catch {
    throw refuse('error parsing template: invalid duration');
  }
  return String(Math.floor((operator === 'plus' ? now + span : now - span) / 1000));
}
