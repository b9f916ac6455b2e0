/**
 * Kubernetes objects as this server holds them: plain JSON trees that nobody changes once they are stored. Every change
 * starts from `clone`. Trees read from the wire have no prototype, so a key named `__proto__` is just a key.
 */

import { Exact, type Json, parseJson, RawJson } from '../base/json.ts';

export type Value = null | boolean | number | string | Value[] | Fields;
export interface Fields {
  [key: string]: Value;
}
/** An object of the API: has `apiVersion`, `kind` and `metadata` once it passed the edge. */
export type Obj = Fields;

/** A CRD's schema nests two levels for each level of its objects, so the bound is wide; the body's size bounds the rest. */
const LIMITS = { depth: 200, count: 500_000 };

/**
 * Reads JSON text. Numbers become doubles: the API's integers are int64, but no field that this server interprets leaves
 * the safe range.
 * @throws Failure json.*
 */
export function parseValue(text: string): Value {
  return plain(parseJson(text, [], LIMITS));
}

function plain(value: Json): Value {
  if (value instanceof Exact || value instanceof RawJson) return Number(value.text);
  if (Array.isArray(value)) return value.map((item: Json) => plain(item));
  if (typeof value !== 'object' || value === null) return value as Value;
  const fields = empty();
  for (const [key, member] of Object.entries(value)) fields[key] = plain(member as Json);
  return fields;
}

export const empty = (): Fields => Object.create(null) as Fields;

/** Fields from a literal, without a prototype. */
export function fields(source: Readonly<Record<string, Value | undefined>>): Fields {
  const result = empty();
  for (const [key, value] of Object.entries(source)) if (value !== undefined) result[key] = value;
  return result;
}

export function isFields(value: Value | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function clone<T extends Value>(value: T): T {
  if (Array.isArray(value)) return value.map((item) => clone(item)) as T;
  if (!isFields(value)) return value;
  const copy = empty();
  for (const key of Object.keys(value)) copy[key] = clone(value[key] as Value);
  return copy as T;
}

export function equal(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (!isFields(a) || !isFields(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && equal(a[key], b[key]));
}

export const asFields = (value: Value | undefined): Fields => (isFields(value) ? value : empty());
export const asList = (value: Value | undefined): Value[] => (Array.isArray(value) ? value : []);
export const asText = (value: Value | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;
export const texts = (value: Value | undefined): string[] =>
  asList(value).filter((item): item is string => typeof item === 'string');

export const meta = (object: Obj): Fields => asFields(object['metadata']);
export const nameOf = (object: Obj): string => asText(meta(object)['name']) ?? '';
export const namespaceOf = (object: Obj): string => asText(meta(object)['namespace']) ?? '';
export const uidOf = (object: Obj): string => asText(meta(object)['uid']) ?? '';
export const versionOf = (object: Obj): string => asText(meta(object)['resourceVersion']) ?? '';
export const finalizersOf = (object: Obj): string[] => texts(meta(object)['finalizers']);
export const isDeleting = (object: Obj): boolean => meta(object)['deletionTimestamp'] !== undefined;

/** The value at a path of field names. */
export function at(object: Value | undefined, ...path: string[]): Value | undefined {
  let here: Value | undefined = object;
  for (const name of path) {
    if (!isFields(here)) return undefined;
    here = here[name];
  }
  return here;
}

/** Time as the API writes it: whole seconds, UTC. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
