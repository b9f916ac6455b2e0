/** How the "*path" of a route names a secret or a folder. Pure. */

import { z } from 'zod';
import { failure } from '../base/errors.ts';

/** The "*path" of every route here, as the matcher gives it: canonical, folders with a trailing slash. */
export const path = z.string();

/** The secret that is to be read, or undefined where the path names none. */
export const readable = (given: string): string | undefined =>
  given === '' || given.endsWith('/') ? undefined : given;

/**
 * The secret that is to be changed.
 * @throws Failure kv.folder
 */
export function writable(given: string): string {
  if (given === '' || given.endsWith('/')) throw failure('kv.folder');
  return given;
}

/** The folder that is to be listed: "" or ending in "/". */
export const folderOf = (given: string): string =>
  given === '' || given.endsWith('/') ? given : `${given}/`;
