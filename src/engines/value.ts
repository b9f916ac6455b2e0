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
  // Most writers send it as it is stored, which saves them two passes.
  const asItIs =
    raw?.settled === true && raw.text.startsWith('{') && Buffer.byteLength(raw.text) <= VALUE_LIMIT;
  return asItIs ? raw.text : valueText(parseValue(raw));
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
