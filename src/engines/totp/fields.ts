/** Fields that the routes of this engine share. */

import { z } from 'zod';
import { refused } from './key.ts';

export const name = z.string();
export const nothing = z.object({});

const NAME = /^\w(?:[\w.@-]{0,254}\w)?$/;

/** @throws Failure totp.request: names become storage keys */
export function checkedName(given: string): string {
  if (!NAME.test(given))
    throw refused(
      'the name of a key must be of letters, digits, "_", "-", "." and "@", and begin and end with a letter, digit or "_"',
    );
  return given;
}
