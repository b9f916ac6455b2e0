/**
 * Go's strings are bytes. Inside this room every string is a byte string: one character per byte (U+0000 to U+00FF), so
 * that length, slicing and order are Go's. Text in UTF-16 appears only between `toText` and `fromText`.
 */

export const RUNE_ERROR = 0xfffd;

/** The bytes of a byte string, in memory of their own. */
export const toBytes = (bytes: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(bytes, 'latin1'));

/** The byte string of bytes. */
export const fromBytes = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

const ASCII = /^[\0-\x7f]*$/; // the fast path for nearly every template and key
const isAscii = (bytes: string): boolean => ASCII.test(bytes);

const SURROGATE = /\p{Surrogate}/u;
/** The UTF-8 byte string of text; lone surrogates that `toText` made become their bytes again. */
export function fromText(text: string): string {
  if (isAscii(text)) return text;
  if (!SURROGATE.test(text)) return Buffer.from(text, 'utf8').toString('latin1');
  let out = '';
  for (const char of text) out += encodeRune(char.codePointAt(0) ?? RUNE_ERROR);
  return out;
}

/** The text of a UTF-8 byte string. A byte that is not UTF-8 becomes the lone surrogate U+DC00 + byte, so nothing is lost. */
export function toText(bytes: string): string {
  if (isAscii(bytes)) return bytes;
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    const [rune, width] = decodeRune(bytes, at);
    out += String.fromCodePoint(rune === RUNE_ERROR && width === 1 ? 0xdc00 + bytes.charCodeAt(at) : rune);
    at += width;
  }
  return out;
}

/** The rune at `at` and its width in bytes; U+FFFD and 1 where the bytes are not UTF-8, as Go reads them. */
export function decodeRune(bytes: string, at: number): [rune: number, width: number] {
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return [first, 1];
  const need =
    first >= 0xc2 && first < 0xe0
      ? 1
      : first >= 0xe0 && first < 0xf0
        ? 2
        : first >= 0xf0 && first < 0xf5
          ? 3
          : 0;
  if (need === 0) return [RUNE_ERROR, 1];
  let rune = first & (0x3f >> need);
  for (let i = 1; i <= need; i++) {
    const next = bytes.charCodeAt(at + i);
    if ((next & 0xc0) !== 0x80 || next > 0xff) return [RUNE_ERROR, 1];
    rune = (rune << 6) | (next & 0x3f);
  }
  const least = need === 1 ? 0x80 : need === 2 ? 0x800 : 0x10000;
  if (rune < least || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) return [RUNE_ERROR, 1];
  return [rune, need + 1];
}

/** The bytes of one rune; an invalid one becomes U+FFFD, an escaped byte of `toText` the byte itself. */
export function encodeRune(rune: number): string {
  if (rune >= 0 && rune < 0x80) return String.fromCharCode(rune);
  if (rune >= 0xdc80 && rune <= 0xdcff) return String.fromCharCode(rune - 0xdc00);
  const valid = rune >= 0 && rune <= 0x10ffff && !(rune >= 0xd800 && rune < 0xe000);
  return Buffer.from(String.fromCodePoint(valid ? rune : RUNE_ERROR), 'utf8').toString('latin1');
}

/** Every rune of a byte string, with its offset and width. */
export function* runes(bytes: string): Generator<{ rune: number; at: number; width: number }> {
  for (let at = 0; at < bytes.length; ) {
    const [rune, width] = decodeRune(bytes, at);
    yield { rune, at, width };
    at += width;
  }
}

/** How many runes a byte string holds. */
export function runeCount(bytes: string): number {
  if (isAscii(bytes)) return bytes.length;
  let count = 0;
  for (let at = 0; at < bytes.length; count++) at += decodeRune(bytes, at)[1];
  return count;
}

const SPACE = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;
/** Go's unicode.IsSpace. */
export const isSpace = (rune: number): boolean => SPACE.test(String.fromCodePoint(rune));

const WORD = /^[\p{L}\p{Nd}_]$/u;
/** Letters, digits and the underscore, of any script: what names in templates consist of. */
export const isWord = (rune: number): boolean =>
  rune < 0x80 ? /\w/.test(String.fromCharCode(rune)) : WORD.test(String.fromCodePoint(rune));

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
/** Go's unicode.IsPrint. */
export const isPrint = (rune: number): boolean =>
  rune < 0x80 ? rune >= 0x20 && rune < 0x7f : PRINTABLE.test(String.fromCodePoint(rune));

const ESCAPES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  92: '\\\\',
};

/** Go's strconv.Quote (or QuoteToASCII, or with `'` QuoteRune's text) of a byte string. */
export function quoteGo(bytes: string, quote = '"', ascii = false): string {
  let out = quote;
  for (const { rune, at, width } of runes(bytes)) {
    if (rune === RUNE_ERROR && width === 1) out += `\\x${hexOf(bytes.charCodeAt(at), 2)}`;
    else out += escapeRune(rune, quote, ascii);
  }
  return out + quote;
}

/** One rune as it stands between quotes in Go source. */
export function escapeRune(rune: number, quote: string, ascii: boolean): string {
  if (rune === quote.charCodeAt(0)) return `\\${quote}`;
  const known = ESCAPES[rune];
  if (known !== undefined) return known;
  if (rune < 0x80 ? isPrint(rune) : !ascii && isPrint(rune)) return encodeRune(rune);
  if (rune < 0x20 || rune === 0x7f) return `\\x${hexOf(rune, 2)}`;
  return rune < 0x10000 ? `\\u${hexOf(rune, 4)}` : `\\U${hexOf(rune, 8)}`;
}

const hexOf = (value: number, width: number): string => value.toString(16).padStart(width, '0');

/** Go's strconv.Unquote of a string, raw string or character literal, or undefined where it is not one. */
export function unquoteGo(literal: string): string | undefined {
  const quote = literal[0];
  if (literal.length < 2 || quote === undefined || literal.at(-1) !== quote) return undefined;
  const body = literal.slice(1, -1);
  if (quote === '`') return body.includes('`') ? undefined : body.replaceAll('\r', '');
  if (body.includes('\n')) return undefined;
  let out = '';
  for (let at = 0; at < body.length; ) {
    if (body[at] === quote) return undefined;
    if (body[at] !== '\\') {
      const [rune, width] = decodeRune(body, at);
      // An invalid byte stays in a string; as a character it is U+FFFD.
      out +=
        quote === "'" && width === 1 && rune === RUNE_ERROR ? encodeRune(rune) : body.slice(at, at + width);
      at += width;
      continue;
    }
    const read = readEscape(body, at + 1, quote);
    if (read === undefined) return undefined;
    out += read.text;
    at = read.next;
  }
  return out;
}

const SIMPLE: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

function readEscape(body: string, at: number, quote: string): { text: string; next: number } | undefined {
  const char = body[at] ?? '';
  const simple = SIMPLE[char];
  if (simple !== undefined) return { text: simple, next: at + 1 };
  if (char === quote) return { text: quote, next: at + 1 };
  const digits = char === 'x' ? 2 : char === 'u' ? 4 : char === 'U' ? 8 : 0;
  if (digits > 0) {
    const code = body.slice(at + 1, at + 1 + digits);
    if (code.length !== digits || !/^[0-9a-fA-F]+$/.test(code)) return undefined;
    const value = Number.parseInt(code, 16);
    const next = at + 1 + digits;
    if (char === 'x') return { text: quote === "'" ? encodeRune(value) : String.fromCharCode(value), next };
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return undefined;
    return { text: encodeRune(value), next };
  }
  const octal = /^[0-7]{3}/.exec(body.slice(at, at + 3))?.[0];
  if (octal === undefined) return undefined;
  const value = Number.parseInt(octal, 8);
  if (value > 255) return undefined;
  return { text: quote === "'" ? encodeRune(value) : String.fromCharCode(value), next: at + 3 };
}
