/**
 * Passwords, kept as bcrypt hashes. A comparison costs the same whether there is such a user or not, and they are made one
 * after the other: bcrypt runs on the thread that serves everybody else, so logins must not crowd it out.
 */

import { compare, genSaltSync, hash, truncates } from 'bcryptjs';
import { failure } from '../../base/errors.ts';

/** As upstream's: 2^10 rounds. */
const COST = 10;
/** A hash of more rounds would hold up the server for minutes with each login. */
const LARGEST_COST = 14;
const SHAPE = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** Waiting logins of all mounts together; whoever comes beyond is turned away at once. */
const WAITING = 128;

/** A hash that no password has been found for: of random text, made once, for users who do not exist. */
export const NOBODY = `${genSaltSync(COST)}${'.'.repeat(31)}`;

let waiting = 0;
let last: Promise<unknown> = Promise.resolve();

/** @throws Failure userpass.invalid where bcrypt would not read all of the password */
export function hashPassword(password: string): Promise<string> {
  if (truncates(password))
    throw failure('userpass.invalid', {
      reason: 'the password is longer than the 72 bytes that bcrypt reads',
    });
  return inTurn(() => hash(password, COST));
}

/**
 * Whether the password has this hash; absent: nobody's, at the same cost.
 * @throws Failure login.busy
 */
export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const same = await inTurn(() => compare(password, stored ?? NOBODY));
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

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (waiting >= WAITING) throw failure('login.busy');
  waiting++;
  const done = last.then(work).finally(() => {
    waiting--;
  });
  last = done.then(
    () => new Promise((resolve) => setImmediate(resolve)),
    () => {},
  );
  return done;
}
