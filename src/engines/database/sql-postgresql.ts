/** The quotes and comments of PostgreSQL ("Lexical Structure", 4.1), with standard_conforming_strings on. */

import { bad, type Dialect, endOfQuote, Pieces, type Segment } from './sql.ts';

const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const ESCAPE_PREFIX = /(^|[^A-Za-z0-9_$\u0080-\uffff])[eE]$/;

export const POSTGRESQL: Dialect = {
  segments,
  escape(value, kind) {
    if (kind === 'name') return value.replaceAll('"', '""');
    const doubled = value.replaceAll("'", "''");
    return kind === 'escaped' ? doubled.replaceAll('\\', '\\\\') : doubled;
  },
};

function segments(text: string): Segment[] {
  const pieces = new Pieces(text);
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === "'") {
      const isEscape = ESCAPE_PREFIX.test(text.slice(Math.max(0, at - 2), at));
      at = pieces.take(isEscape ? 'escaped' : 'text', at, endOfQuote(text, at, isEscape));
    } else if (character === '"') at = pieces.take('name', at, endOfQuote(text, at, false));
    else if (text.startsWith('--', at)) at = pieces.take('comment', at, endOfLine(text, at));
    else if (text.startsWith('/*', at)) at = pieces.take('comment', at, endOfComment(text, at));
    else if (character === '$' && !/[A-Za-z0-9_$\u0080-\uffff]/.test(text[at - 1] ?? '')) {
      DOLLAR_TAG.lastIndex = at;
      const tag = DOLLAR_TAG.exec(text)?.[0];
      if (tag === undefined) at++;
      else {
        const end = text.indexOf(tag, at + tag.length);
        if (end === -1) throw bad(`the body that begins with ${tag} does not end`);
        at = pieces.take('dollar', at, end + tag.length);
      }
    } else at++;
  }
  return pieces.all();
}

function endOfLine(text: string, start: number): number {
  const found = /[\r\n]/.exec(text.slice(start));
  return found === null ? text.length : start + found.index;
}

/** Comments of this kind nest. */
function endOfComment(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length - 1; at++) {
    const two = text.slice(at, at + 2);
    if (two !== '/*' && two !== '*/') continue;
    depth += two === '/*' ? 1 : -1;
    at++;
    if (depth === 0) return at + 1;
  }
  throw bad('a comment does not end');
}
