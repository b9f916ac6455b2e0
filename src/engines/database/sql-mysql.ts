/**
 * The quotes and comments of MySQL and MariaDB ("Literals", "Comments"), for a session whose sql_mode has neither ANSI_QUOTES
 * nor NO_BACKSLASH_ESCAPES: the driver sees to that, because the same text means something else under them.
 */

import { bad, type Dialect, endOfQuote, Pieces, type Segment } from './sql.ts';

export const MYSQL: Dialect = {
  segments,
  escape: (value, kind) =>
    kind === 'name' ? value.replaceAll('`', '``') : value.replace(/[\\'"]/g, (character) => `\\${character}`),
};

/** The session modes under which quotes and backslashes are read otherwise; the combined ones bring ANSI_QUOTES with them. */
export const FOREIGN_MODES: readonly string[] = [
  'NO_BACKSLASH_ESCAPES',
  'ANSI_QUOTES',
  'ANSI',
  'DB2',
  'MAXDB',
  'MSSQL',
  'ORACLE',
  'POSTGRESQL',
];

function segments(text: string): Segment[] {
  const pieces = new Pieces(text);
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === "'" || character === '"') at = pieces.take('escaped', at, endOfQuote(text, at, true));
    else if (character === '`') at = pieces.take('name', at, endOfQuote(text, at, false));
    else if (character === '#' || isDashes(text, at)) at = pieces.take('comment', at, endOfLine(text, at));
    else if (text.startsWith('/*', at)) at = pieces.take('comment', at, endOfComment(text, at));
    else at++;
  }
  return pieces.all();
}

/** Two dashes begin a comment only where a space follows: "5--1" is a sum. */
const isDashes = (text: string, at: number): boolean =>
  text.startsWith('--', at) && text.charCodeAt(at + 2) <= 0x20;

/** A carriage return alone ends no comment here. */
function endOfLine(text: string, start: number): number {
  const end = text.indexOf('\n', start);
  return end === -1 ? text.length : end;
}

/** They do not nest. Those that begin with "!" are run, so that what they hold would be filled with nothing. */
function endOfComment(text: string, start: number): number {
  if (/^\/\*M?!/.test(text.slice(start, start + 4)))
    throw bad('comments that the server runs (/*! */) are not taken; write what they hold by itself');
  const end = text.indexOf('*/', start + 2);
  if (end === -1) throw bad('a comment does not end');
  return end + 2;
}
