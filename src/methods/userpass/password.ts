/**
 * Passwords, kept as bcrypt hashes. A comparison costs the same whether there is such a user or not, and is made on threads of
 * its own, a few for all mounts together, so that logins crowd out nobody.
 */

import { genSaltSync, truncates } from 'bcryptjs';
import { failure } from '../../base/errors.ts';
import { Hashers } from './hashers.ts';

/** As upstream's: 2^10 rounds. */
const COST = 10;
/** A hash of more rounds would hold up the server for minutes with each login. */
const LARGEST_COST = 14;
const SHAPE = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** A hash that no password has been found for: of random text, made once, for users who do not exist. */
export const NOBODY = `${genSaltSync(COST)}${'.'.repeat(31)}`;

const hashers = new Hashers();

/** @throws Failure userpass.invalid where bcrypt would not read all of the password, login.busy */
export async function hashPassword(password: string): Promise<string> {
  if (truncates(password))
    throw failure('userpass.invalid', {
      reason: 'the password is longer than the 72 bytes that bcrypt reads',
    });
  return hashers.hash(password, COST);
}

/**
 * Whether the password has this hash; absent: nobody's, at the same cost.
 * @throws Failure login.busy
 */
export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const same = await hashers.compare(password, stored ?? NOBODY);
  // Of two long passwords that begin alike, bcrypt would take one for the other.
  return same && stored !== undefined && !truncates(password);
}

/** @throws Failure userpass.invalid for what is no bcrypt hash, or one that takes too long */
export function checkHash(given: string): string {
  const cost = Number(SHAPE.exec(given)?.[1] ?? Number.NaN);
  if (!(cost >= 4 && cost <= LARGEST_COST))
    throw failure('userpass.invalid', {
      reason: `"password_hash" must be a bcrypt hash with a cost of at most ${LARGEST_COST}`,
    });
  return given;
}
