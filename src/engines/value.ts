/** The value of a secret: one JSON object, kept as text so that numbers and order come back to the digit. Pure. */

import { failure } from '../base/errors.ts';
import { Ordered, parseOrdered, RawJson, stringify } from '../base/json.ts';

/** What one version may take, in bytes of JSON. */
const VALUE_LIMIT = 1024 * 1024;

/**
 * Reads what was sent as `data`. A key given twice keeps its last value: two readers of one text must not see two secrets.
 * @throws Failure kv.no_data, kv.data_not_object, kv.too_large
 */
export function parseValue(raw: RawJson | undefined): Ordered {
  if (raw === undefined || raw.text === 'null') throw failure('kv.no_data');
  if (Buffer.byteLength(raw.text) > VALUE_LIMIT) throw failure('kv.too_large', { limit: VALUE_LIMIT });
  const value = parseOrdered(raw.text);
  if (!(value instanceof Ordered)) throw failure('kv.data_not_object');
  return value;
}

/**
 * The text that is stored of what was sent as `data`: its members as they came, each once, without space between them.
 * @throws as `parseValue`
 */
export function sentText(raw: RawJson | undefined): string {
  if (raw !== undefined && isSettled(raw.text) && Buffer.byteLength(raw.text) <= VALUE_LIMIT) return raw.text;
  return valueText(parseValue(raw));
}

/**
 * Whether reading and writing would give an object's text back as it is. What the runtime's own JSON writes again letter by
 * letter has no space, no key twice or out of order, and no number that a double changes: it saves most writers two passes.
 */
function isSettled(text: string): boolean {
  if (text.length > SETTLED_LENGTH || !text.startsWith('{') || brackets(text) > SETTLED_DEPTH) return false;
  try {
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

/** Within these no text can be deeper, or hold more values, than the slow way takes. */
const SETTLED_LENGTH = 100_000;
const SETTLED_DEPTH = 64;

/** How many brackets open in a text, those in strings too: it is never nested deeper than that. */
function brackets(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const letter = text.charCodeAt(at);
    if (letter === 0x5b || letter === 0x7b) count++;
  }
  return count;
}

/**
 * The text that is stored and given back.
 * @throws Failure kv.too_large
 */
export function valueText(value: Ordered): string {
  const text = stringify(value);
  if (Buffer.byteLength(text) > VALUE_LIMIT) throw failure('kv.too_large', { limit: VALUE_LIMIT });
  return text;
}

export const rawValue = (text: string): RawJson => new RawJson(text);
