/**
 * What of a secret a manifest asks for: the whole, a member, or a path into it. One place for all providers, so that a
 * leak or a lost digit is mended once. Values never enter a message; names of members do.
 */

import { textOf, utf8 } from '../base/bytes.ts';
import { failure } from '../base/errors.ts';
import { Exact, Ordered, type OrderedJson, parseOrdered, stringify } from '../base/json.ts';
import { nearest } from '../base/nearest.ts';
import { gjson } from './gjson/gjson.ts';
import type { Value } from './provider.ts';

/** Values that hold secrets may be large: bounded by their bytes before this, not by their count of members. */
const LIMITS = { depth: 128, count: 2_000_000 };

/**
 * A JSON value as the bytes of a Secret's entry: text as it is, numbers by their digits and without an exponent, objects
 * and arrays as compact JSON, null as nothing.
 */
export function bytesOf(value: OrderedJson): Uint8Array {
  if (value === null) return new Uint8Array(0);
  switch (typeof value) {
    case 'string':
      return utf8(value);
    case 'boolean':
      return utf8(String(value));
    case 'number':
      return utf8(plainNumber(String(value)));
    default:
      return utf8(value instanceof Exact ? plainNumber(value.text) : stringify(value));
  }
}

/** A number without an exponent, as Go's FormatFloat('f', -1) prints it; whole numbers keep every digit. */
function plainNumber(text: string): string {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (parts === null) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const shift = Number(exponent);
  // Further than a double reaches: the text is worth more than a million zeros.
  if (Math.abs(shift) > 400) return text;
  const digits = whole + fraction;
  const point = whole.length + shift;
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = Math.max(point, 1);
  const left = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const right = padded.slice(at).replace(/0+$/, '');
  return `${sign}${left}${right === '' ? '' : `.${right}`}`;
}

/** An object as a provider's value: its text in its own order, its members as bytes. */
export function objectValue(object: Ordered): Extract<Value, { readonly json: string }> {
  const fields = new Map([...object.members].map(([key, member]) => [key, bytesOf(member)]));
  return { fields, json: stringify(object) };
}

/** JSON text as an object's value, or undefined where it is no JSON object. */
export function parseObjectValue(text: string): Value | undefined {
  const read = parsed(text);
  return read instanceof Ordered ? objectValue(read) : undefined;
}

function parsed(text: string): OrderedJson | undefined {
  try {
    return parseOrdered(text, LIMITS);
  } catch {
    return undefined;
  }
}

/**
 * One value of a secret. `property` empty: the whole (JSON for an object); a member of that very name; else a GJSON path,
 * or a member of a member by its very name.
 * @param entry for messages: the key that was asked for
 * @throws Failure provider.property_missing naming the nearest member, provider.path_too_costly
 */
export function lookup(value: Value, property: string | undefined, entry: string): Uint8Array {
  if (property === undefined || property === '') return 'bytes' in value ? value.bytes : utf8(value.json);
  const exact = 'fields' in value ? value.fields.get(property) : undefined;
  if (exact !== undefined) return exact;
  if ('fields' in value && value.nested === true) return insideField(value.fields, property, entry);
  const document = documentOf(value);
  const member = document instanceof Ordered ? document.members.get(property) : undefined;
  const found =
    member ??
    (document === undefined ? undefined : (gjson(document, property) ?? memberBelow(document, property)));
  if (found !== undefined) return bytesOf(found);
  const names = document instanceof Ordered ? [...document.members.keys()] : [];
  throw failure('provider.property_missing', {
    property,
    entry,
    nearest: document instanceof Ordered ? nearest(property, names) : '; it is not a JSON object',
  });
}

/** "annotations.example.com/owner": a member of a member, whose own name has dots in it. */
function memberBelow(document: OrderedJson, property: string): OrderedJson | undefined {
  const dot = property.indexOf('.');
  const inner =
    document instanceof Ordered && dot > 0 ? document.members.get(property.slice(0, dot)) : undefined;
  return inner instanceof Ordered ? inner.members.get(property.slice(dot + 1)) : undefined;
}

/** A path into one field: its name, up to the first dot, and a GJSON path into the document that it holds. */
function insideField(fields: ReadonlyMap<string, Uint8Array>, property: string, entry: string): Uint8Array {
  const dot = property.indexOf('.');
  const bytes = dot <= 0 ? undefined : fields.get(property.slice(0, dot));
  const document = bytes === undefined ? undefined : documentOf({ bytes });
  const path = property.slice(dot + 1);
  const found = document === undefined || path === '' ? undefined : gjson(document, path);
  if (found !== undefined) return bytesOf(found);
  const near = nearest(property, [...fields.keys()]);
  throw failure('provider.property_missing', { property, entry, nearest: near });
}

/**
 * All members of a secret, or of the object that `property` finds in it.
 * @throws Failure provider.property_missing, provider.not_an_object
 */
export function extract(
  value: Value,
  property: string | undefined,
  entry: string,
): ReadonlyMap<string, Uint8Array> {
  if ((property === undefined || property === '') && 'fields' in value) return value.fields;
  const text = textOf(lookup(value, property, entry));
  const object = text === undefined ? undefined : parseObjectValue(text);
  if (object === undefined || !('fields' in object)) throw failure('provider.not_an_object', { entry });
  return object.fields;
}

function documentOf(value: Value): OrderedJson | undefined {
  if ('json' in value) return parsed(value.json);
  const text = textOf(value.bytes);
  return text === undefined ? undefined : parsed(text);
}
