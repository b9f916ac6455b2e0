/** Strangers' words made fit for a message: nothing in them that a terminal or a log would act on. */

// Controls, line separators, and the marks that turn the direction of what follows.
// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal or a log would act on is what is removed
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]+/g;

/** One line of at most `limit` characters; what is longer ends in "…". */
export function tame(text: string, limit = 500): string {
  const line = text.replace(UNPRINTABLE, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}
