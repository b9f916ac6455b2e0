/**
 * HCL 1, the part that policies and server configurations are written in, and its JSON form, read into one tree that keeps
 * lines and columns. It reads what strangers send: bounded in bytes, depth and count, never recursing deeper than `depth`,
 * and its errors say where and what, in words that name no more of the text than one character.
 * Source followed: the syntax notes of the first version of HashiCorp's configuration language.
 */

import { type Failure, failure } from './errors.ts';

export interface Position {
  readonly line: number;
  readonly column: number;
}

export type HclValue = Position &
  (
    | { readonly kind: 'string'; readonly value: string }
    /** By its digits: who reads it knows what it may be. */
    | { readonly kind: 'number'; readonly text: string }
    | { readonly kind: 'boolean'; readonly value: boolean }
    | { readonly kind: 'list'; readonly items: readonly HclValue[] }
    | { readonly kind: 'object'; readonly items: readonly HclItem[] }
  );

/** `path "secret/*" { ... }` has two keys and an object; `ttl = 5` has one key and a number. */
export interface HclItem extends Position {
  readonly keys: readonly string[];
  readonly value: HclValue;
}

/** A labelled block, however it was spelled: `path "a" {}`, `path = { "a" = {} }`, or the same in JSON. */
export interface HclBlock extends Position {
  readonly label: string;
  readonly items: readonly HclItem[];
}

export interface HclLimits {
  readonly bytes: number;
  readonly depth: number;
  readonly count: number;
}

const HCL_LIMITS: HclLimits = { bytes: 1024 * 1024, depth: 32, count: 100_000 };

/**
 * Reads a document: JSON where its first character is "{", else HCL.
 * @throws Failure hcl.malformed, hcl.too_large
 */
export function parseHcl(text: string, limits: HclLimits = HCL_LIMITS): readonly HclItem[] {
  if (Buffer.byteLength(text) > limits.bytes) throw failure('hcl.too_large', { limit: limits.bytes });
  const source = text.startsWith('\ufeff') ? text.slice(1) : text;
  return /^\s*\{/.test(source)
    ? new Reader(source, limits, true).jsonDocument()
    : new Reader(source, limits, false).document();
}

/**
 * The blocks of an item, with their labels.
 * @throws Failure hcl.malformed where the item is no labelled block
 */
export function blocksOf(item: HclItem): readonly HclBlock[] {
  const [type = '', label, ...more] = item.keys;
  if (more.length > 0) throw malformed(item, `"${type}" has more than one label`, 'give it one label');
  const objects = item.value.kind === 'list' ? item.value.items : [item.value];
  return objects.flatMap((object) => {
    if (object.kind !== 'object')
      throw malformed(object, `"${type}" is not a block`, `write ${type} "name" { ... }`);
    if (label !== undefined) return [{ label, items: object.items, line: item.line, column: item.column }];
    return object.items.flatMap((inner) => blocksOf({ ...inner, keys: [type, ...inner.keys] }));
  });
}

/** What a value is, for messages. */
export const kindOf = (value: HclValue): string => (value.kind === 'object' ? 'block' : value.kind);

const malformed = (at: Position, reason: string, mend: string): Failure =>
  failure('hcl.malformed', { line: at.line, column: at.column, reason, mend });

const IDENTIFIER = /[\p{L}_][\p{L}\p{N}_.-]*/uy;
const NUMBER = /-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\p{L}\p{N}_.])/uy;
const HEREDOC = /<<(-?)([\p{L}_][\p{L}\p{N}_.-]*)[ \t]*\r?\n/uy;
const BLANK = /[ \t\r\n\f\v]+/y;
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  a: '\x07',
  v: '\v',
  '"': '"',
  '\\': '\\',
  '/': '/',
};

class Reader {
  readonly #text: string;
  readonly #limits: HclLimits;
  readonly #json: boolean;
  #at = 0;
  #count = 0;
  #depth = 0;
  /** Where the last line whose position was asked for starts, so that positions cost no second pass. */
  #lineAt = 0;
  #line = 1;

  constructor(text: string, limits: HclLimits, json: boolean) {
    this.#text = text;
    this.#limits = limits;
    this.#json = json;
  }

  document(): readonly HclItem[] {
    const items = this.#items(undefined);
    return items;
  }

  jsonDocument(): readonly HclItem[] {
    this.#space();
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length)
      throw this.#error('there is text after the document', 'remove what follows the last "}"');
    return value.kind === 'object' ? value.items : [];
  }

  /** Items up to `close`, which is left unread; undefined: up to the end of the text. */
  #items(close: '}' | undefined): HclItem[] {
    const items: HclItem[] = [];
    for (;;) {
      this.#space();
      const next = this.#text[this.#at];
      if (next === close) return items;
      if (next === undefined) throw this.#error('the text ends inside a block', 'close it with "}"');
      items.push(this.#item());
      this.#space();
      if (this.#text[this.#at] === ',') {
        this.#at++;
        this.#space();
        if (this.#json && this.#text[this.#at] === close)
          throw this.#error('there is a comma before "}"', 'remove the comma');
      } else if (this.#json && this.#at < this.#text.length && this.#text[this.#at] !== close) {
        throw this.#error('a comma is missing', 'put a comma between two members');
      }
    }
  }

  #item(): HclItem {
    const start = this.#position();
    this.#step();
    const keys: string[] = [];
    for (;;) {
      this.#space();
      const next = this.#text[this.#at];
      if (next === '"') keys.push(this.#string());
      else if (keys.length > 0 && (next === '=' || (next === ':' && this.#json))) {
        this.#at++;
        this.#space();
        break;
      } else if (keys.length > 0 && next === '{' && !this.#json) break;
      else if (this.#json) throw this.#unexpected('a key in double quotes');
      else keys.push(this.#identifier(keys));
      if (this.#json) {
        this.#space();
        if (this.#text[this.#at] !== ':') throw this.#unexpected('":"');
      }
    }
    if (keys.length > 16) throw this.#error('a block has too many labels', 'give it one label');
    return { keys, value: this.#value(), ...start };
  }

  #identifier(keys: readonly string[]): string {
    IDENTIFIER.lastIndex = this.#at;
    const match = IDENTIFIER.exec(this.#text);
    if (match === null) throw this.#unexpected(keys.length === 0 ? 'a name' : '"=" or "{" after the name');
    this.#at = IDENTIFIER.lastIndex;
    return match[0];
  }

  #value(): HclValue {
    const start = this.#position();
    this.#step();
    const next = this.#text[this.#at];
    switch (next) {
      case '"':
        return { kind: 'string', value: this.#string(), ...start };
      case '{': {
        this.#open();
        const items = this.#items('}');
        this.#close();
        return { kind: 'object', items, ...start };
      }
      case '[':
        return { kind: 'list', items: this.#list(), ...start };
      case '<':
        if (this.#json) break;
        return { kind: 'string', value: this.#heredoc(), ...start };
    }
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text);
    if (number !== null) {
      this.#at = NUMBER.lastIndex;
      return { kind: 'number', text: number[0], ...start };
    }
    IDENTIFIER.lastIndex = this.#at;
    const word = IDENTIFIER.exec(this.#text)?.[0];
    if (word === 'true' || word === 'false') {
      this.#at += word.length;
      return { kind: 'boolean', value: word === 'true', ...start };
    }
    if (word !== undefined)
      throw this.#error(
        'a value is a bare word',
        'put text in double quotes; only true and false go without',
      );
    throw this.#unexpected('a value');
  }

  #list(): HclValue[] {
    this.#open();
    const items: HclValue[] = [];
    for (;;) {
      this.#space();
      if (this.#text[this.#at] === ']') {
        if (this.#json && items.length > 0)
          throw this.#error('there is a comma before "]"', 'remove the comma');
        break;
      }
      if (this.#at >= this.#text.length)
        throw this.#error('the text ends inside a list', 'close it with "]"');
      items.push(this.#value());
      this.#space();
      const next = this.#text[this.#at];
      if (next === ']') break;
      if (next === undefined) throw this.#error('the text ends inside a list', 'close it with "]"');
      if (next !== ',') throw this.#error('a comma is missing in a list', 'put a comma between two values');
      this.#at++;
    }
    this.#close();
    return items;
  }

  #string(): string {
    const start = this.#position();
    this.#at++;
    let value = '';
    let plain = this.#at;
    for (;;) {
      const c = this.#text[this.#at];
      if (c === '"') break;
      if (c === undefined || c === '\n')
        throw malformed(start, 'a string is not closed', 'close it with a double quote on the same line');
      if (c === '\\') {
        value += this.#text.slice(plain, this.#at) + this.#escape();
        plain = this.#at;
      } else this.#at++;
    }
    value += this.#text.slice(plain, this.#at);
    this.#at++;
    return value;
  }

  #escape(): string {
    const broken = () =>
      this.#error('an escape in a string is not known', 'use \\n, \\t, \\", \\\\ or \\uXXXX');
    const letter = this.#text[this.#at + 1] ?? '';
    const simple = SIMPLE_ESCAPES[letter];
    if (simple !== undefined && Object.hasOwn(SIMPLE_ESCAPES, letter)) {
      this.#at += 2;
      return simple;
    }
    const digits = { u: 4, U: 8, x: 2 }[letter];
    const text = digits === undefined ? '' : this.#text.slice(this.#at + 2, this.#at + 2 + digits);
    if (digits === undefined || text.length !== digits || !/^[0-9a-fA-F]+$/.test(text)) throw broken();
    const code = Number.parseInt(text, 16);
    if (code > 0x10ffff) throw broken();
    this.#at += 2 + digits;
    return String.fromCodePoint(code);
  }

  #heredoc(): string {
    const start = this.#position();
    HEREDOC.lastIndex = this.#at;
    const head = HEREDOC.exec(this.#text);
    if (head === null)
      throw malformed(start, 'a heredoc has no marker', 'write <<EOT and end it with a line that is EOT');
    const lines: string[] = [];
    let at = HEREDOC.lastIndex;
    for (;;) {
      if (at >= this.#text.length)
        throw malformed(start, 'a heredoc is not closed', 'end it with a line that holds only its marker');
      const end = this.#text.indexOf('\n', at);
      const line = this.#text.slice(at, end === -1 ? this.#text.length : end);
      if (line.trim() === head[2]) {
        this.#at = at + line.length;
        break;
      }
      lines.push(line.replace(/\r$/, ''));
      at = end === -1 ? this.#text.length : end + 1;
    }
    const indent =
      head[1] === '-'
        ? lines
            .filter((l) => l.trim() !== '')
            .reduce((n, l) => Math.min(n, l.length - l.trimStart().length), 1e9)
        : 0;
    return lines.map((line) => `${line.slice(indent)}\n`).join('');
  }

  /** Skips white space and, in HCL, comments. */
  #space(): void {
    for (;;) {
      BLANK.lastIndex = this.#at;
      if (BLANK.test(this.#text)) this.#at = BLANK.lastIndex;
      if (this.#json) return;
      if (this.#text[this.#at] === '#' || this.#text.startsWith('//', this.#at)) {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end === -1 ? this.#text.length : end;
      } else if (this.#text.startsWith('/*', this.#at)) {
        const end = this.#text.indexOf('*/', this.#at + 2);
        if (end === -1) throw this.#error('a comment is not closed', 'close it with "*/"');
        this.#at = end + 2;
      } else return;
    }
  }

  #open(): void {
    if (++this.#depth > this.#limits.depth)
      throw this.#error(`it is nested deeper than ${this.#limits.depth} levels`, 'write it flatter');
    this.#at++;
  }

  #close(): void {
    this.#depth--;
    this.#at++;
  }

  #step(): void {
    if (++this.#count > this.#limits.count)
      throw this.#error(`it has more than ${this.#limits.count} parts`, 'split it');
  }

  #position(): Position {
    for (;;) {
      const end = this.#text.indexOf('\n', this.#lineAt);
      if (end === -1 || end >= this.#at) break;
      this.#lineAt = end + 1;
      this.#line++;
    }
    return { line: this.#line, column: this.#at - this.#lineAt + 1 };
  }

  #unexpected(wanted: string): Failure {
    const c = this.#text[this.#at];
    const found = c === undefined ? 'the text ends' : `found ${JSON.stringify(c)}`;
    return this.#error(`${found} where ${wanted} should be`, `write ${wanted} here`);
  }

  #error(reason: string, mend: string): Failure {
    return malformed(this.#position(), reason, mend);
  }
}
