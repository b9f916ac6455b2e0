/** Fields that the routes of this engine share, and the rules for text that goes into certificates. */

import { z } from 'zod';
import { compareBytes } from '../../base/bytes.ts';
import { isCidr } from '../../base/cidr.ts';
import { failure } from '../../base/errors.ts';
import { anyNames } from '../../base/schema.ts';

export const refused = (reason: string) => failure('ssh.request', { reason });

export const nothing = z.object({});

const MOST_TEXT = 16 * 1024;
/** Text, or a number that clients did not put in quotes. */
export const text = () => z.union([z.string().max(MOST_TEXT), z.number().transform(String)]);

/** Names and their values, as an object or, as older documents have it, as a list of objects. */
export const options = () => {
  const one = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
  return anyNames(
    z
      .union([one, z.array(one).max(64)])
      .transform((given) => (Array.isArray(given) ? Object.assign({}, ...given) : given))
      .pipe(z.record(z.string(), z.string())),
  );
};

/** The items of a text, separated by commas: trimmed, each once, in byte order. */
export const items = (given: string): readonly string[] =>
  [...new Set(given.split(',').map((item) => item.trim()))].filter((item) => item !== '').sort(compareBytes);

/** What a person is told of text that somebody else wrote. */
export const shown = (given: string): string => given.replace(/\p{Cc}/gu, '?').slice(0, 128);

/**
 * Text that OpenSSH will compare or run: to a program in C it would end at a NUL, and a line break would begin another entry.
 * @throws Failure ssh.request
 */
export function checkedText(given: string, what: string): string {
  if (/\p{Cc}/u.test(given)) throw refused(`${what} holds a control character`);
  return given;
}

const NAME = /^\w(?:[\w.@-]{0,254}\w)?$/;

/** @throws Failure ssh.request: names become storage keys and parts of key ids */
export function checkedName(given: string): string {
  if (!NAME.test(given))
    throw refused(
      'the name of a role must be of letters, digits, "_", "-", "." and "@", and begin and end with a letter, digit or "_"',
    );
  return given;
}

/** A list of networks as it was written, once each of its networks was read. @throws Failure ssh.request */
export function checkedCidrs(given: string, field: string): string {
  const wrong = items(given).find((item) => !item.includes('/') || item.includes('%') || !isCidr(item));
  if (wrong !== undefined)
    throw refused(`failed to validate ${field}: invalid CIDR address: ${shown(wrong)}`);
  return given;
}
