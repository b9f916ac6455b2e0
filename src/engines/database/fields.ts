/** Fields that the routes of this engine share. */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';

const LIMIT = 64 * 1024;

/** A list of texts, or one text: kept as they came, without those that are empty. */
export const statements = () =>
  z
    .union([z.array(z.string().max(LIMIT)).max(256), z.string().max(LIMIT)])
    .transform((given) => (typeof given === 'string' ? [given] : given))
    .transform((texts) => texts.filter((text) => text.trim() !== ''));

/** @throws Failure database.role */
export function checkedSpan(ms: number, name: string): number {
  if (ms < 0) throw failure('database.role', { reason: `${name} may not be negative` });
  return ms;
}

export const named = z.object({ name: z.string() });
export const nothing = z.object({});
