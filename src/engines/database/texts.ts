/**
 * Statements as they come in a request: a list of texts, one text, a JSON array in a text, or either of these in base64. They are
 * kept as they came, and read when they are used.
 */

import { z } from 'zod';
import { fromBase64, textOf } from '../../base/bytes.ts';

/** The single texts of what was written. Each may still hold several statements. */
export function unpacked(written: readonly string[]): string[] {
  return written.flatMap(unpackedOne).filter((text) => text.trim() !== '');
}

function unpackedOne(written: string): string[] {
  const bytes = written.trim() === '' ? undefined : fromBase64(written.trim());
  const plain = bytes === undefined ? undefined : textOf(bytes);
  // A statement has a space in it, which base64 has not; a list begins with a bracket.
  const text = plain !== undefined && /^\[|\s/.test(plain.trim()) ? plain : written;
  return listOf(text) ?? [text];
}

/** The texts of a JSON array, or undefined where it is none. */
export function listOf(text: string): string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined;
  const list = z.array(z.string()).safeParse(parsed(text));
  return list.success ? list.data : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
