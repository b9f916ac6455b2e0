/** What is taken from the answer of a source: texts, found by JSON pointers (RFC 6901). Pure; nothing here is believed. */

import { textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { type Json, parseJson } from '../../base/json.ts';
import { own } from '../../base/own.ts';

const VALUE_LIMIT = 16 * 1024;
const POINTER = /^(?:\/(?:[^~/]|~[01])*)+$/;
/** Tabs and line ends are part of keys in PEM; nothing else that does not print is part of a credential. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd]/;

export const isPointer = (text: string): boolean => text.length <= 512 && POINTER.test(text);

/**
 * The fields of a credential.
 * @param pointers the pointer to each field
 * @throws Failure custom.answer naming the field, never with a part of the answer
 */
export function readFields(
  body: Uint8Array,
  pointers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const names = Object.keys(pointers);
  if (names.length === 0) return {};
  const whole = parsed(body);
  return Object.fromEntries(
    Object.entries(pointers).map(([name, pointer]) => {
      const value = whole === undefined ? undefined : at(whole, pointer);
      if (typeof value !== 'string' || !isValue(value)) throw failure('custom.answer', { field: name });
      return [name, value];
    }),
  );
}

const isValue = (value: string): boolean =>
  value !== '' && value.length <= VALUE_LIMIT && !UNPRINTABLE.test(value) && isWellFormed(value);

/** Whether a text is one in UTF-8 as well: half a surrogate pair has no bytes. */
export const isWellFormed = (text: string): boolean => Buffer.from(text, 'utf8').toString('utf8') === text;

function parsed(body: Uint8Array): Json | undefined {
  const text = textOf(body);
  try {
    return text === undefined ? undefined : parseJson(text);
  } catch {
    return undefined;
  }
}

function at(whole: Json, pointer: string): unknown {
  let found: unknown = whole;
  for (const raw of pointer.split('/').slice(1)) {
    const name = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null) return undefined;
    if (Array.isArray(found) && !/^(?:0|[1-9]\d{0,6})$/.test(name)) return undefined;
    found = own(found as Record<string, unknown>, name);
  }
  return found;
}
