/**
 * Texts with places in them, {{name}}. There is nothing else to the language: no function, no condition. What stands in a
 * place is encoded for where it goes, so that no value can end the text that it stands in. Pure.
 */

export interface Template {
  /** Literal texts and names, in turn; begins and ends with a literal text. */
  readonly parts: readonly string[];
}

/** What a value goes into. */
export type Encoding = 'path' | 'json' | 'plain';

const PLACE = /\{\{\s*([a-z_]+(?:\.\w{1,64})?)\s*\}\}/;

/** Reads a text; undefined where a "{{" begins no place. */
export function readTemplate(text: string): Template | undefined {
  const parts = text.split(PLACE);
  return parts.some((part, at) => at % 2 === 0 && part.includes('{{')) ? undefined : { parts };
}

/** The names of its places. */
export const placesOf = ({ parts }: Template): string[] => parts.filter((_, at) => at % 2 === 1);

/** The text with the values in their places. @param value gives what stands in a place */
export const render = ({ parts }: Template, value: (name: string) => string, encoding: Encoding): string =>
  parts.map((part, at) => (at % 2 === 1 ? ENCODE[encoding](value(part)) : part)).join('');

const ENCODE: Readonly<Record<Encoding, (value: string) => string>> = {
  // encodeURIComponent leaves these, some of which mean something to one reader of paths or another.
  path: (value) =>
    encodeURIComponent(value).replace(
      /[!'()*]/g,
      (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
    ),
  json: (value) => JSON.stringify(value).slice(1, -1),
  plain: (value) => value,
};
