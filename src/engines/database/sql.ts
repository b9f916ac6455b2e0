/**
 * Statements of SQL as an administrator writes them: several in one text, with {{name}}, {{password}} and {{expiration}} where
 * the values go. Pure. The text is trusted, the values are not: each is escaped for the kind of quotes that it stands in, and
 * where escaping cannot make it safe it is refused. Quoting follows PostgreSQL, "Lexical Structure" (4.1).
 */

import { failure } from '../../base/errors.ts';

type Kind = 'bare' | 'text' | 'escaped' | 'name' | 'dollar' | 'comment';

interface Segment {
  readonly kind: Kind;
  readonly text: string;
}

/** What may stand for itself outside of quotes. */
const PLAIN = /^[A-Za-z0-9_]+$/;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const PLACEHOLDER = /\{\{\s*([a-z_]+)\s*\}\}/g;
/** Bodies within bodies: deeper than any function that somebody wrote. */
const DEEPEST = 4;

/**
 * The single statements, without their semicolons; empty ones are left out.
 * @throws Failure database.statements for quotes or comments that do not end
 */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  let hasContent = false;
  const close = (): void => {
    if (hasContent) statements.push(current.trim());
    current = '';
    hasContent = false;
  };
  for (const { kind, text: part } of segments(text)) {
    if (kind === 'bare') {
      const pieces = part.split(';');
      pieces.forEach((piece, at) => {
        if (at > 0) close();
        current += piece;
        hasContent ||= piece.trim() !== '';
      });
      continue;
    }
    current += part;
    hasContent ||= kind !== 'comment';
  }
  close();
  return statements;
}

/**
 * The statement with its values in place. Placeholders in comments stay as they are: no escape works there.
 * @throws Failure database.statements for an unknown placeholder, or a value that is not safe where it stands
 */
export function fillStatement(statement: string, values: Readonly<Record<string, string>>): string {
  return fill(statement, values, 0);
}

function fill(statement: string, values: Readonly<Record<string, string>>, depth: number): string {
  if (depth > DEEPEST) throw bad('bodies in dollar quotes are nested too deeply');
  return segments(statement)
    .map(({ kind, text }) => {
      if (kind === 'comment') return text;
      if (kind === 'dollar') return fillBody(text, values, depth);
      return text.replace(PLACEHOLDER, (_, name: string) => escaped(valueFor(values, name), name, kind));
    })
    .join('');
}

/** What stands between dollar quotes is SQL again, and its own quotes are what a value has to be escaped for. */
function fillBody(text: string, values: Readonly<Record<string, string>>, depth: number): string {
  const length = text.indexOf('$', 1) + 1;
  const tag = text.slice(0, length);
  const body = text.slice(length, -length);
  const filled = fill(body, values, depth + 1);
  if (filled !== body && filled.includes(tag)) throw bad(`a value holds ${tag}, which would end the body`);
  return tag + filled + tag;
}

function valueFor(values: Readonly<Record<string, string>>, name: string): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined) throw bad(`there is no value for {{${name.slice(0, 40)}}} in this statement`);
  // The server reads a statement up to the first NUL.
  if (value.includes('\0')) throw bad(`the value of {{${name}}} holds a NUL`);
  return value;
}

function escaped(value: string, name: string, kind: Kind): string {
  if (kind === 'name') return value.replaceAll('"', '""');
  if (kind === 'text') return value.replaceAll("'", "''");
  if (kind === 'escaped') return value.replaceAll('\\', '\\\\').replaceAll("'", "''");
  if (!PLAIN.test(value))
    throw bad(`{{${name}}} must stand in quotes: its value has more than letters and digits`);
  return value;
}

/** The text in pieces that together are the text again. */
export function segments(text: string): Segment[] {
  const found: Segment[] = [];
  let start = 0;
  let at = 0;
  const take = (kind: Kind, from: number, end: number): void => {
    if (from > start) found.push({ kind: 'bare', text: text.slice(start, from) });
    found.push({ kind, text: text.slice(from, end) });
    start = end;
    at = end;
  };
  while (at < text.length) {
    const character = text[at];
    if (character === "'") {
      const isEscape = /(^|[^A-Za-z0-9_$\u0080-\uffff])[eE]$/.test(text.slice(Math.max(0, at - 2), at));
      take(isEscape ? 'escaped' : 'text', at, endOfQuote(text, at, isEscape));
    } else if (character === '"') take('name', at, endOfQuote(text, at, false));
    else if (text.startsWith('--', at)) take('comment', at, endOfLine(text, at));
    else if (text.startsWith('/*', at)) take('comment', at, endOfComment(text, at));
    else if (character === '$' && !/[A-Za-z0-9_$\u0080-\uffff]/.test(text[at - 1] ?? '')) {
      DOLLAR_TAG.lastIndex = at;
      const tag = DOLLAR_TAG.exec(text)?.[0];
      if (tag === undefined) at++;
      else {
        const end = text.indexOf(tag, at + tag.length);
        if (end === -1) throw bad(`the body that begins with ${tag} does not end`);
        take('dollar', at, end + tag.length);
      }
    } else at++;
  }
  if (start < text.length) found.push({ kind: 'bare', text: text.slice(start) });
  return found;
}

function endOfQuote(text: string, start: number, backslashes: boolean): number {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at++) {
    if (backslashes && text[at] === '\\') at++;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  throw bad(`a text in ${quote === '"' ? 'double' : 'single'} quotes does not end`);
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

const bad = (reason: string) => failure('database.statements', { reason });
