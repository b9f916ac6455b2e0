/**
 * Cuts a template into tokens, by the rules of Go's text/template. Reads a byte string, so that offsets are bytes, as in
 * Go's messages. Lexical errors are the last token, because Go reports them only when the parser gets there.
 */

import { decodeRune, encodeRune, isPrint, isWord, quoteGo } from './text.ts';

export type TokenKind =
  | 'error'
  | 'eof'
  | 'text'
  | 'left' // the left delimiter
  | 'right' // the right delimiter
  | 'space'
  | 'identifier'
  | 'field'
  | 'variable'
  | 'bool'
  | 'dot'
  | 'nil'
  | 'number'
  | 'char constant'
  | 'string' // quoted or raw
  | 'char' // any other printable character
  | 'assign'
  | 'declare'
  | 'pipe'
  | '('
  | ')'
  | Keyword;

const KEYWORDS = [
  'block',
  'break',
  'continue',
  'define',
  'else',
  'end',
  'if',
  'range',
  'template',
  'with',
] as const;
export type Keyword = (typeof KEYWORDS)[number];
const keywords: ReadonlySet<string> = new Set(KEYWORDS);

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in bytes. */
  readonly at: number;
}

export interface Delims {
  readonly left: string;
  readonly right: string;
}

const SPACES = ' \t\r\n';
const isBlank = (char: string | undefined): boolean =>
  char !== undefined && char !== '' && SPACES.includes(char);
const OPEN_COMMENT = '/*';
const CLOSE_COMMENT = '*/';
/** A dash and the blank beside it. */
const TRIM = 2;

/** The tokens of a template; the last is `eof` or `error`. */
export function lex(source: string, { left, right }: Delims): Token[] {
  const tokens: Token[] = [];
  let at = 0;

  const push = (kind: TokenKind, start: number): void => {
    tokens.push({ kind, text: source.slice(start, at), at: start });
  };
  const error = (message: string, start: number): void => {
    tokens.push({ kind: 'error', text: message, at: start });
  };

  /** Where blank text that ends at `end` begins. */
  const trimmedEnd = (start: number, end: number): number => {
    let stop = end;
    while (stop > start && isBlank(source[stop - 1])) stop--;
    return stop;
  };
  const skipBlank = (): void => {
    while (isBlank(source[at])) at++;
  };

  /** Whether the right delimiter is here, and whether a trim marker is before it. */
  const atRight = (from = at): { here: boolean; trim: boolean } => {
    if (isBlank(source[from]) && source[from + 1] === '-' && source.startsWith(right, from + TRIM)) {
      return { here: true, trim: true };
    }
    return { here: source.startsWith(right, from), trim: false };
  };

  /** Reads up to and with the next left delimiter or comment. False at the end of the source. */
  const text = (): boolean => {
    const start = at;
    const found = source.indexOf(left, start);
    if (found === -1) {
      at = source.length;
      if (at > start) push('text', start);
      tokens.push({ kind: 'eof', text: '', at });
      return false;
    }
    const afterLeft = found + left.length;
    const trim = source[afterLeft] === '-' && isBlank(source[afterLeft + 1]);
    at = trim ? trimmedEnd(start, found) : found;
    if (at > start) push('text', start);
    at = afterLeft + (trim ? TRIM : 0);
    if (source.startsWith(OPEN_COMMENT, at)) return comment(at);
    tokens.push({ kind: 'left', text: left, at: found });
    return action();
  };

  const comment = (start: number): boolean => {
    const close = source.indexOf(CLOSE_COMMENT, at + OPEN_COMMENT.length);
    if (close === -1) {
      error('unclosed comment', start);
      return false;
    }
    at = close + CLOSE_COMMENT.length;
    const { here, trim } = atRight();
    if (!here) {
      error('comment ends before closing delimiter', start);
      return false;
    }
    at += right.length + (trim ? TRIM : 0);
    if (trim) skipBlank();
    return true;
  };

  /** Reads what stands between delimiters. False after an error. */
  const action = (): boolean => {
    let parens = 0;
    for (;;) {
      const start = at;
      const delim = atRight();
      if (delim.here) {
        if (parens > 0) {
          error('unclosed left paren', start);
          return false;
        }
        if (delim.trim) at += TRIM;
        const rightAt = at;
        at += right.length;
        push('right', rightAt);
        if (delim.trim) skipBlank();
        return true;
      }
      const char = source[at];
      if (char === undefined) {
        error('unclosed action', start);
        return false;
      }
      if (isBlank(char)) {
        while (isBlank(source[at]) && !(at > start && atRight().trim)) at++;
        push('space', start);
        continue;
      }
      if (char === '(') parens++;
      if (char === ')' && --parens < 0) {
        error('unexpected right paren', start);
        return false;
      }
      const problem = operand(char);
      if (problem !== undefined) {
        error(problem, start);
        return false;
      }
    }
  };

  /** Reads one token of an action; the message where there is none. */
  const operand = (char: string): string | undefined => {
    const start = at;
    switch (char) {
      case '=':
        return single('assign');
      case '|':
        return single('pipe');
      case '(':
      case ')':
        return single(char);
      case ':':
        if (source[at + 1] !== '=') return 'expected :=';
        at += 2;
        push('declare', start);
        return undefined;
      case '"':
        return quoted('string', '"', 'unterminated quoted string');
      case "'":
        return quoted('char constant', "'", 'unterminated character constant');
      case '`': {
        const close = source.indexOf('`', at + 1);
        if (close === -1) return 'unterminated raw quoted string';
        at = close + 1;
        push('string', start);
        return undefined;
      }
      case '$':
        at++;
        return name('variable', start);
      case '.':
        if (at + 1 >= source.length || !/[0-9]/.test(source[at + 1] ?? '')) {
          at++;
          if (atTerminator()) {
            push('dot', start);
            return undefined;
          }
          return name('field', start);
        }
        return number();
      default:
        break;
    }
    if (/[-+0-9]/.test(char)) return number();
    const [rune] = decodeRune(source, at);
    if (isWord(rune)) return word();
    if (rune < 0x80 && isPrint(rune)) return single('char');
    return `unrecognized character in action: ${codePoint(rune)}`;
  };

  const single = (kind: TokenKind): undefined => {
    at++;
    push(kind, at - 1);
  };

  const quoted = (kind: TokenKind, quote: string, unterminated: string): string | undefined => {
    const start = at;
    for (at++; ; at++) {
      const char = source[at];
      if (char === '\\') at++;
      if (source[at] === undefined || source[at] === '\n') return unterminated;
      if (char === quote) break;
    }
    at++;
    push(kind, start);
    return undefined;
  };

  const runWord = (): void => {
    while (at < source.length) {
      const [rune, width] = decodeRune(source, at);
      if (!isWord(rune)) return;
      at += width;
    }
  };

  const atTerminator = (): boolean => {
    const char = source[at];
    return char === undefined || isBlank(char) || '.,|:()'.includes(char) || source.startsWith(right, at);
  };
  const badCharacter = (): string => `bad character ${codePoint(decodeRune(source, at)[0])}`;

  /** A field or variable whose first character has been read. */
  const name = (kind: TokenKind, start: number): string | undefined => {
    if (!atTerminator()) {
      runWord();
      if (!atTerminator()) return badCharacter();
    }
    push(kind, start);
    return undefined;
  };

  const word = (): string | undefined => {
    const start = at;
    runWord();
    if (!atTerminator()) return badCharacter();
    const found = source.slice(start, at);
    if (keywords.has(found)) push(found as Keyword, start);
    else if (found === 'nil') push('nil', start);
    else push(found === 'true' || found === 'false' ? 'bool' : 'identifier', start);
    return undefined;
  };

  const accept = (chars: string): boolean => {
    const char = source[at];
    if (char === undefined || !chars.includes(char)) return false;
    at++;
    return true;
  };
  const run = (chars: string): void => {
    while (accept(chars));
  };

  const number = (): string | undefined => {
    const start = at;
    const bad = (): string => `bad number syntax: ${quoteGo(source.slice(start, at))}`;
    accept('+-');
    let digits = '0123456789_';
    if (accept('0')) {
      if (accept('xX')) digits = '0123456789abcdefABCDEF_';
      else if (accept('oO')) digits = '01234567_';
      else if (accept('bB')) digits = '01_';
    }
    run(digits);
    if (accept('.')) run(digits);
    const exponent = digits.length === 11 ? 'eE' : digits.length === 23 ? 'pP' : '';
    if (exponent !== '' && accept(exponent)) {
      accept('+-');
      run('0123456789_');
    }
    accept('i');
    const [rune, width] = at < source.length ? decodeRune(source, at) : [0, 0];
    if (isWord(rune)) {
      at += width;
      return bad();
    }
    if (source[at] === '+' || source[at] === '-') {
      // Go reads on for a complex constant; here there are none.
      accept('+-');
      run(digits);
      return bad();
    }
    push('number', start);
    return undefined;
  };

  while (text());
  return tokens;
}

/** A rune as %#U prints it. */
function codePoint(rune: number): string {
  const code = `U+${rune.toString(16).toUpperCase().padStart(4, '0')}`;
  return isPrint(rune) ? `${code} '${encodeRune(rune)}'` : code;
}

/** A token as Go's messages show it. */
export function show(token: Token): string {
  if (token.kind === 'eof') return 'EOF';
  if (token.kind === 'error') return token.text;
  if (keywords.has(token.kind) || token.kind === 'dot' || token.kind === 'nil') return `<${token.text}>`;
  return token.text.length > 10 ? `${quoteGo(token.text.slice(0, 10))}...` : quoteGo(token.text);
}
