/** What the routes of identity take, as clients send it: null is a field left out. */

import { z } from 'zod';
import { commaList, keyValues } from '../../../base/schema.ts';

export const nothing = z.object({});
export const text = z.string().nullish();
export const items = commaList().nullish();
export const pairs = keyValues().nullish();
/** Where an alias lies once it was written. */
export const placeOutput = z.object({ id: z.string(), canonical_id: z.string() });

/** The members that were sent, under our names. */
export function given<T extends Readonly<Record<string, unknown>>>(
  members: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value != null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

/** Ids are canonical segments. */
export const byId = z.object({ id: z.string().min(1) });
export const byName = z.object({ name: z.string().min(1) });
