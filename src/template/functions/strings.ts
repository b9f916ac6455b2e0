/** Sprig's functions on text. Offsets and widths are bytes wherever Sprig counts bytes. */

import { sprint } from '../format.ts';
import type { Meter } from '../fuel.ts';
import { decodeRune, fromText, isSpace, quoteGo, RUNE_ERROR, runes, toText } from '../text.ts';
import { Dict, strings as stringList, type Value } from '../value.ts';
import { toStringGo, toStrings } from './cast.ts';
import { lowerRune, titleRune, upperRune } from './runes.ts';
import { type Call, CallError, fn, type Row, type Table } from './table.ts';
import { toKebab, toPascal, toSnake } from './words.ts';

/** A rune that a function looks at takes some 0.3 µs; a step stands for about one. */
const payRunes = (call: Call, bytes: number): void => call.meter.step(Math.ceil(bytes / 4));

/** A function that looks at each rune of one text, and pays for that. */
const eachRune = (run: (text: string) => string): Row =>
  fn('string', (call, text) => {
    payRunes(call, text.length);
    return run(text);
  });

export const strings: Table = {
  hello: fn('', () => 'Hello!'),
  upper: eachRune((text) => mapValid(text, upperRune)),
  lower: eachRune((text) => mapValid(text, lowerRune)),
  title: eachRune((text) => title(text)),
  untitle: eachRune((text) => untitle(text)),
  swapcase: eachRune((text) => swapCase(text)),
  snakecase: eachRune((text) => toSnake(text)),
  kebabcase: eachRune((text) => toKebab(text)),
  camelcase: eachRune((text) => toPascal(text)),
  trim: eachRune((text) => trimSpace(text)),
  trimAll: fn('string, string', (call, cut, text) => {
    payRunes(call, cut.length + text.length);
    return trimCut(text, cut);
  }),
  trimall: fn('string, string', (call, cut, text) => {
    payRunes(call, cut.length + text.length);
    return trimCut(text, cut);
  }),
  trimPrefix: fn('string, string', (_, prefix, text) =>
    text.startsWith(prefix) ? text.slice(prefix.length) : text,
  ),
  trimSuffix: fn('string, string', (_, suffix, text) =>
    suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text,
  ),
  nospace: eachRune((text) =>
    fromText(
      Array.from(toText(text))
        .filter((char) => !spaceChar(char))
        .join(''),
    ),
  ),
  initials: eachRune((text) => initials(text)),
  substr: fn('int, int, string', (_, start, end, text) => substring(Number(start), Number(end), text)),
  trunc: fn('int, string', (_, count, text) => {
    if (count < 0n && BigInt(text.length) + count > 0n) return text.slice(Number(count));
    return count >= 0n && BigInt(text.length) > count ? text.slice(0, Number(count)) : text;
  }),
  abbrev: fn('int, string', (_, width, text) => (width < 4n ? text : abbreviate(text, 0, Number(width)))),
  abbrevboth: fn('int, int, string', (_, left, right, text) =>
    right < 4n || (left > 0n && right < 7n) ? text : abbreviate(text, Number(left), Number(right)),
  ),
  repeat: fn('int, string', (call, count, text) => {
    if (count < 0n) throw new CallError('strings: negative Repeat count');
    call.meter.alloc(Number(count) * text.length);
    return text === '' ? '' : text.repeat(Number(count));
  }),
  wrap: fn('int, string', (call, width, text) => wrap(call.meter, text, Number(width), '\n', false)),
  wrapWith: fn('int, string, string', (call, width, separator, text) =>
    wrap(call.meter, text, Number(width), separator === '' ? '\n' : separator, true),
  ),
  contains: fn('string, string', (_, part, text) => text.includes(part)),
  hasPrefix: fn('string, string', (_, prefix, text) => text.startsWith(prefix)),
  hasSuffix: fn('string, string', (_, suffix, text) => text.endsWith(suffix)),
  quote: fn('...any', (call, ...values) => quoted(values, call.meter, (text) => quoteGo(text))),
  squote: fn('...any', (call, ...values) => quoted(values, call.meter, (text) => `'${text}'`)),
  cat: fn('...any', (call, ...values) =>
    values
      .filter((value) => value !== null)
      .map((value) => sprint([value], call.meter))
      .join(' '),
  ),
  indent: fn('int, string', (call, spaces, text) => indent(call.meter, Number(spaces), text)),
  nindent: fn('int, string', (call, spaces, text) => `\n${indent(call.meter, Number(spaces), text)}`),
  replace: fn('string, string, string', (call, old, next, text) => replace(call.meter, text, old, next)),
  plural: fn('string, string, int', (_, one, many, count) => (count === 1n ? one : many)),
  toString: fn('any', (call, value) => toStringGo(value, call.meter)),
  toStrings: fn('any', (call, value) => stringList(toStrings(value, call.meter))),
  join: fn('string, any', (call, separator, value) => {
    const parts = toStrings(value, call.meter);
    call.meter.alloc(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
    return parts.join(separator);
  }),
  splitList: fn('string, string', (call, separator, text) =>
    stringList(split(call.meter, text, separator, -1)),
  ),
  split: fn('string, string', (call, separator, text) => numbered(split(call.meter, text, separator, -1))),
  splitn: fn('string, int, string', (call, separator, count, text) =>
    numbered(split(call.meter, text, separator, Number(count))),
  ),
};

const spaceChar = (char: string): boolean => isSpace(char.codePointAt(0) ?? 0);

/** Maps the characters of text one by one: Go's case mapping never makes two of one. */
const mapText = (bytes: string, map: (char: string) => string): string => {
  let out = '';
  for (const char of toText(bytes)) out += map(char);
  return fromText(out);
};
/** As `mapText`; a byte that is not UTF-8 becomes U+FFFD, as Go's strings.Map has it. */
const mapValid = (bytes: string, map: (char: string) => string): string =>
  mapText(bytes, (char) => map(/\p{Surrogate}/u.test(char) ? '\ufffd' : char));
const UPPER = /^\p{Lu}$/u;
const LOWER = /^\p{Ll}$/u;
const TITLE = /^\p{Lt}$/u;

/** Go's strings.Title: a word begins after anything but letters, digits and the underscore. */
function title(bytes: string): string {
  let previous = ' ';
  return mapValid(bytes, (char) => {
    const begins = /^[\0-\x7f]$/.test(previous)
      ? !/\w/.test(previous)
      : !/[\p{L}\p{Nd}]/u.test(previous) && spaceChar(previous);
    previous = char;
    return begins ? titleRune(char) : char;
  });
}

function untitle(bytes: string): string {
  let next = true;
  return mapText(bytes, (char) => {
    const begins = next && !spaceChar(char);
    next = spaceChar(char) || (next && !begins);
    return begins ? lowerRune(char) : char;
  });
}

function swapCase(bytes: string): string {
  return mapValid(bytes, (char) => {
    if (UPPER.test(char) || TITLE.test(char)) return lowerRune(char);
    return LOWER.test(char) ? upperRune(char) : char;
  });
}

function initials(bytes: string): string {
  let next = true;
  return mapText(bytes, (char) => {
    const begins = next && !spaceChar(char);
    next = spaceChar(char);
    return begins ? char : '';
  });
}

const trimSpace = (bytes: string): string =>
  trimWhere(bytes, (rune) => spaceChar(String.fromCodePoint(rune)));

function trimCut(bytes: string, cut: string): string {
  const set = new Set<number>();
  for (const { rune } of runes(cut)) set.add(rune);
  return trimWhere(bytes, (rune) => set.has(rune));
}

/**
 * Looks at the ends alone: what lies between may be a mebibyte, and to take it apart costs more than its fuel pays for.
 * A byte that is not UTF-8 is the rune U+FFFD, as in Go.
 */
function trimWhere(bytes: string, isCut: (rune: number) => boolean): string {
  let start = 0;
  while (start < bytes.length) {
    const [rune, width] = decodeRune(bytes, start);
    if (!isCut(rune)) break;
    start += width;
  }
  let end = bytes.length;
  while (end > start) {
    const [rune, width] = lastRune(bytes, start, end);
    if (!isCut(rune)) break;
    end -= width;
  }
  return bytes.slice(start, end);
}

/** The rune that ends at `end`; U+FFFD of one byte where no whole one does. */
function lastRune(bytes: string, start: number, end: number): readonly [rune: number, width: number] {
  for (let width = 1; width <= Math.min(4, end - start); width++) {
    const found = decodeRune(bytes, end - width);
    if (found[1] === width && (width > 1 || found[0] !== RUNE_ERROR)) return found;
  }
  return [RUNE_ERROR, 1];
}

function substring(start: number, end: number, text: string): string {
  const [from, to] = start < 0 ? [0, end] : [start, end < 0 || end > text.length ? text.length : end];
  if (to < 0 || to > text.length || from > to)
    throw new CallError('runtime error: slice bounds out of range');
  return text.slice(from, to);
}

function abbreviate(text: string, wanted: number, width: number): string {
  if (text === '' || width < 4) return '';
  if (text.length <= width) return text;
  let offset = Math.min(wanted, text.length);
  if (text.length - offset < width - 3) offset = text.length - (width - 3);
  if (offset <= 4) return `${text.slice(0, width - 3)}...`;
  if (width < 7) return '';
  if (offset + width - 3 < text.length) return `...${abbreviate(text.slice(offset), 0, width - 3)}`;
  return `...${text.slice(text.length - (width - 3))}`;
}

function wrap(meter: Meter, text: string, wanted: number, separator: string, breakWords: boolean): string {
  const width = Math.max(wanted, 1);
  meter.alloc(text.length + (Math.ceil(text.length / width) + 1) * separator.length);
  let out = '';
  let at = 0;
  while (text.length - at > width) {
    meter.step();
    if (text[at] === ' ') {
      at++;
      continue;
    }
    const space = text.slice(at, at + width + 1).lastIndexOf(' ');
    if (space >= 0) {
      out += text.slice(at, at + space) + separator;
      at += space + 1;
    } else if (breakWords) {
      out += text.slice(at, at + width) + separator;
      at += width;
    } else {
      const next = text.indexOf(' ', at + width);
      out += next === -1 ? text.slice(at) : text.slice(at, next) + separator;
      at = next === -1 ? text.length : next + 1;
    }
  }
  return out + text.slice(at);
}

function quoted(values: readonly Value[], meter: Meter, quote: (text: string) => string): string {
  const texts = values.filter((value) => value !== null).map((value) => toStringGo(value, meter));
  meter.alloc(texts.reduce((sum, text) => sum + text.length * 4 + 3, 0));
  return texts.map(quote).join(' ');
}

function indent(meter: Meter, spaces: number, text: string): string {
  if (spaces < 0) throw new CallError('strings: negative Repeat count');
  const lines = text.split('\n');
  meter.alloc(text.length + lines.length * spaces);
  const pad = ' '.repeat(spaces);
  return pad + lines.join(`\n${pad}`);
}

/** Go's strings.Replace of all; the empty text is found between any two characters. */
function replace(meter: Meter, text: string, old: string, next: string): string {
  if (old === next) return text;
  const found = old === '' ? text.length + 1 : text.split(old).length - 1;
  meter.alloc(text.length + found * next.length);
  if (old !== '') return text.split(old).join(next);
  let out = next;
  for (const { at, width } of runes(text)) out += text.slice(at, at + width) + next;
  return out;
}

/** Go's strings.SplitN; an empty separator splits between characters. */
function split(meter: Meter, text: string, separator: string, count: number): string[] {
  if (count === 0) return [];
  meter.alloc(text.length * 2);
  const parts =
    separator === ''
      ? Array.from(runes(text), ({ at, width }) => text.slice(at, at + width))
      : text.split(separator);
  meter.alloc(parts.length * 16);
  if (count < 0 || parts.length <= count) return parts;
  const kept = parts.slice(0, count - 1);
  return [...kept, parts.slice(count - 1).join(separator)];
}

const numbered = (parts: readonly string[]): Dict =>
  new Dict(new Map(parts.map((part, i) => [`_${i}`, part])), 'string');
