/** Names from camel case to snake, kebab and Pascal case and back, by the rules of huandu/xstrings that Sprig uses. */

import { fromText, isSpace, toText } from '../text.ts';
import { upperRune } from './runes.ts';

type Kind = 'number' | 'upper' | 'alphabet' | 'connector' | 'punctuation' | 'other' | 'none';
interface Word {
  readonly kind: Kind;
  readonly text: string;
}

const is =
  (pattern: RegExp) =>
  (char: string | undefined): boolean =>
    char !== undefined && pattern.test(char);
const isUpper = is(/^\p{Lu}$/u);
const isNumber = is(/^\p{N}$/u);
const isPunctuation = is(/^\p{P}$/u);
/** A letter that has a case. */
const isAlphabet = is(/^[\p{Lu}\p{Ll}\p{Lt}]$/u);
const isConnector = (char: string | undefined): boolean =>
  char !== undefined && (char === '-' || char === '_' || isSpace(char.codePointAt(0) ?? 0));

/** The first word of the characters from `at`. */
function nextWord(chars: readonly string[], at: number): Word {
  const first = chars[at];
  if (first === undefined) return { kind: 'none', text: '' };
  const run = (from: number, test: (char: string | undefined) => boolean): number => {
    let end = from;
    while (end < chars.length && test(chars[end])) end++;
    return end;
  };
  const word = (kind: Kind, end: number): Word => ({ kind, text: chars.slice(at, end).join('') });
  const isRest = (char: string | undefined): boolean => isAlphabet(char) && !isUpper(char);

  if (isConnector(first)) return word('connector', run(at, isConnector));
  if (isPunctuation(first)) return word('punctuation', run(at, isPunctuation));
  if (isUpper(first)) {
    if (isUpper(chars[at + 1])) {
      const end = run(at + 1, isUpper);
      // The last capital of "HTTPServer" begins the next word.
      return word('upper', end < chars.length && isAlphabet(chars[end]) ? end - 1 : end);
    }
    return word('upper', run(at + 1, isRest));
  }
  if (isAlphabet(first)) return word('alphabet', run(at, isRest));
  if (isNumber(first)) return word('number', run(at, isNumber));
  return word(
    'other',
    run(at, (char) => !isConnector(char) && !isAlphabet(char) && !isNumber(char) && !isPunctuation(char)),
  );
}

function joined(bytes: string, connector: string): string {
  const chars = Array.from(toText(bytes));
  let at = 0;
  const take = (): Word => {
    const word = nextWord(chars, at);
    at += Array.from(word.text).length;
    return word;
  };
  const more = (): boolean => at < chars.length;
  let out = '';
  const put = (word: Word): void => {
    if (word.kind === 'connector') out += connector.repeat(Array.from(word.text).length);
    else out += word.kind === 'upper' ? word.text.toLowerCase() : word.text;
  };
  const separates = (kind: Kind): boolean =>
    kind !== 'connector' && kind !== 'punctuation' && kind !== 'none';
  const joinsNumber = (kind: Kind): boolean => kind === 'alphabet' || kind === 'number';

  let word = take();
  while (more()) {
    if (word.kind !== 'connector') put(word);
    const last = word;
    word = take();
    if (last.kind === 'number') {
      while (joinsNumber(word.kind)) {
        put(word);
        word = take();
      }
      if (separates(word.kind)) out += connector;
    } else if (last.kind === 'connector') {
      put(last);
    } else if (last.kind !== 'punctuation') {
      if (word.kind !== 'number') {
        if (separates(word.kind)) out += connector;
        continue;
      }
      if (!more()) continue;
      const number = word;
      word = take();
      if (word.kind !== 'alphabet') {
        put(number);
        if (separates(word.kind)) out += connector;
        continue;
      }
      out += connector;
      put(number);
      while (joinsNumber(word.kind)) {
        put(word);
        word = take();
      }
      if (separates(word.kind)) out += connector;
    }
  }
  put(word);
  return fromText(out);
}

export const toSnake = (bytes: string): string => joined(bytes, '_');
export const toKebab = (bytes: string): string => joined(bytes, '-');

/** Words that connectors part, each with a capital first; a word that begins with capitals loses the others. */
export function toPascal(bytes: string): string {
  const chars = Array.from(toText(bytes));
  const start = chars.findIndex((char) => !isConnector(char));
  // xstrings writes the last connector twice; names that are nothing else are rare enough to keep to its letter.
  if (start === -1) return fromText(chars.join('') + (chars.at(-1) ?? ''));
  let out = chars.slice(0, start).join('');
  let current = chars[start] ?? '';
  let capitals = isUpper(current);
  current = upperRune(current);
  for (const char of chars.slice(start + 1)) {
    const previous = current;
    current = char;
    if (isConnector(current) && isConnector(previous)) {
      out += previous;
      continue;
    }
    if (isConnector(previous)) {
      capitals = isUpper(current);
      current = upperRune(current);
      continue;
    }
    if (capitals) {
      if (isUpper(current)) current = current.toLowerCase();
      else capitals = false;
    }
    out += previous;
  }
  return fromText(out + current);
}
