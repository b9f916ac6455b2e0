/** Fields that the routes of this engine share. */

import { z } from 'zod';
import { fromBase64, textOf } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { splitStatements } from './sql.ts';

const LIMIT = 64 * 1024;

/** A list of texts, one text, a JSON array in a text, or either of these in base64. Each text may hold several statements. */
export const statements = () =>
  z
    .union([z.array(z.string().max(LIMIT)).max(256), z.string().max(LIMIT)])
    .transform((given) => (typeof given === 'string' ? fromText(given) : given))
    .transform((texts) => texts.filter((text) => text.trim() !== ''));

function fromText(given: string): string[] {
  const bytes = given.trim() === '' ? undefined : fromBase64(given.trim());
  const plain = bytes === undefined ? undefined : textOf(bytes);
  // A statement has a space in it, which base64 has not.
  const text = plain !== undefined && /\s/.test(plain.trim()) ? plain : given;
  if (text.trimStart().startsWith('[')) {
    const list = z.array(z.string()).safeParse(parsed(text));
    if (list.success) return list.data;
  }
  return [text];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whatever cannot be cut into statements is refused when it is written. @throws Failure database.statements */
export function checkedStatements(texts: readonly string[]): readonly string[] {
  for (const text of texts) splitStatements(text);
  return texts;
}

/** @throws Failure database.role */
export function checkedSpan(ms: number, name: string): number {
  if (ms < 0) throw failure('database.role', { reason: `${name} may not be negative` });
  return ms;
}

export const named = z.object({ name: z.string() });
export const nothing = z.object({});
export const keys = z.object({ keys: z.array(z.string()) });
