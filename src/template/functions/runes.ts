/** Upper and lower case of one character as Go has it: of one comes one, never two, and a title letter has both. */

const single = (char: string, mapped: string): string => (Array.from(mapped).length === 1 ? mapped : char);
/** Go's unicode.ToUpper of one character. */
export const upperRune = (char: string): string => single(char, char.toUpperCase());
/** Go's unicode.ToLower of one character. */
export const lowerRune = (char: string): string =>
  char === '\u0130' ? 'i' : single(char, char.toLowerCase());

/** Letters that are two: their title form has one capital. */
const DIGRAPHS: Readonly<Record<string, string>> = {
  ǆ: 'ǅ',
  Ǆ: 'ǅ',
  ǉ: 'ǈ',
  Ǉ: 'ǈ',
  ǌ: 'ǋ',
  Ǌ: 'ǋ',
  ǳ: 'ǲ',
  Ǳ: 'ǲ',
};
/** Go's unicode.ToTitle of one character. */
export const titleRune = (char: string): string =>
  /^\p{Lt}$/u.test(char) ? char : (DIGRAPHS[char] ?? upperRune(char));
