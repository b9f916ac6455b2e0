/**
 * Statements of SQL as an administrator writes them: several in one text, with {{name}}, {{password}} and {{expiration}} where
 * the values go. Pure. The text is trusted, the values are not: each is escaped for the kind of quotes that it stands in, and
 * where escaping cannot make it safe it is refused. Which quotes there are is told by the dialect of the database.
 */

import { failure } from '../../base/errors.ts';
import { own } from '../../base/own.ts';

/** What a piece of a statement is: `escaped` is a text with backslashes, `dollar` a body of SQL in dollar quotes. */
export type Kind = 'bare' | 'text' | 'escaped' | 'name' | 'dollar' | 'comment';

export interface Segment {
  readonly kind: Kind;
  readonly text: string;
}

export interface Dialect {
  /** The text in pieces that together are the text again. @throws Failure database.statements for quotes that do not end */
  segments(text: string): Segment[];
  /** The value as it may stand within a piece of the kind. */
  escape(value: string, kind: 'text' | 'escaped' | 'name'): string;
}

/** What may stand for itself outside of quotes. */
const PLAIN = /^[A-Za-z0-9_]+$/;
const PLACEHOLDER = /\{\{\s*([a-z_]+)\s*\}\}/g;
/** Bodies within bodies: deeper than any function that somebody wrote. */
const DEEPEST = 4;

/**
 * The single statements, without their semicolons; empty ones are left out.
 * @throws Failure database.statements for quotes or comments that do not end
 */
export function splitStatements(dialect: Dialect, text: string): string[] {
  const statements: string[] = [];
  let current = '';
  let hasContent = false;
  const close = (): void => {
    if (hasContent) statements.push(current.trim());
    current = '';
    hasContent = false;
  };
  for (const { kind, text: part } of dialect.segments(text)) {
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
export function fillStatement(
  dialect: Dialect,
  statement: string,
  values: Readonly<Record<string, string>>,
): string {
  return fill(dialect, statement, values, 0);
}

function fill(
  dialect: Dialect,
  statement: string,
  values: Readonly<Record<string, string>>,
  depth: number,
): string {
  if (depth > DEEPEST) throw bad('bodies in dollar quotes are nested too deeply');
  return dialect
    .segments(statement)
    .map(({ kind, text }) => {
      if (kind === 'comment') return text;
      if (kind === 'dollar') return fillBody(dialect, text, values, depth);
      return text.replace(PLACEHOLDER, (_, name: string) => {
        const value = valueFor(values, name);
        return kind === 'bare' ? plain(value, name) : dialect.escape(value, kind);
      });
    })
    .join('');
}

/** What stands between dollar quotes is SQL again, and its own quotes are what a value has to be escaped for. */
function fillBody(
  dialect: Dialect,
  text: string,
  values: Readonly<Record<string, string>>,
  depth: number,
): string {
  const length = text.indexOf('$', 1) + 1;
  const tag = text.slice(0, length);
  const body = text.slice(length, -length);
  const filled = fill(dialect, body, values, depth + 1);
  if (filled !== body && filled.includes(tag)) throw bad(`a value holds ${tag}, which would end the body`);
  return tag + filled + tag;
}

function valueFor(values: Readonly<Record<string, string>>, name: string): string {
  const value = own(values, name);
  if (value === undefined) throw bad(`there is no value for {{${name.slice(0, 40)}}} in this statement`);
  // The server reads a statement up to the first NUL.
  if (value.includes('\0')) throw bad(`the value of {{${name}}} holds a NUL`);
  return value;
}

function plain(value: string, name: string): string {
  if (!PLAIN.test(value))
    throw bad(`{{${name}}} must stand in quotes: its value has more than letters and digits`);
  return value;
}

/** The end of what is in quotes that begin at `start`; a doubled quote is one in the text. @throws Failure database.statements */
export function endOfQuote(text: string, start: number, backslashes: boolean): number {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at++) {
    if (backslashes && text[at] === '\\') at++;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  const called = quote === "'" ? 'single quotes' : quote === '"' ? 'double quotes' : 'backticks';
  throw bad(`a text in ${called} does not end`);
}

/** Gathers the pieces of a text; what lies between those that are taken is bare. */
export class Pieces {
  readonly #text: string;
  readonly #found: Segment[] = [];
  #start = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @returns `end`, where to read on */
  take(kind: Kind, from: number, end: number): number {
    this.#bare(from);
    this.#found.push({ kind, text: this.#text.slice(from, end) });
    this.#start = end;
    return end;
  }

  all(): Segment[] {
    this.#bare(this.#text.length);
    this.#start = this.#text.length;
    return this.#found;
  }

  #bare(end: number): void {
    if (end > this.#start) this.#found.push({ kind: 'bare', text: this.#text.slice(this.#start, end) });
  }
}

export const bad = (reason: string) => failure('database.statements', { reason });
