/**
 * YAML that a stranger wrote. The library composes what is nested by calling itself: a hundred thousand brackets take it minutes, and
 * near the end of the stack V8 does not throw but ends the process. So tokens are counted while they are read, and depth is known before
 * anything is composed.
 */

import {
  Composer,
  type Document,
  type DocumentOptions,
  Lexer,
  type ParseOptions,
  Parser,
  type SchemaOptions,
} from 'yaml';

/** What keeps a text from being read. It names no part of the text, which may be a secret. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
}

export interface YamlLimits {
  /** Collections within collections. */
  readonly depth: number;
  /** Lexical tokens: a plain `key: value` line has seven. */
  readonly tokens: number;
  /** How often aliases may stand for what they point to; 0: never. */
  readonly aliases: number;
  /** Told of each token; may throw. */
  readonly pay?: () => void;
  /** Mappings become plain objects. */
  readonly objects?: boolean;
}

/**
 * The value of the one document in the text; undefined where there is none. Mappings become Maps, unless objects are wanted.
 * @throws YamlError, and what `pay` throws
 */
export function parseYaml(
  text: string,
  limits: YamlLimits,
  options: ParseOptions & DocumentOptions & SchemaOptions = {},
): unknown {
  // Keys that stand twice are compared each with each by the library; the last one wins, as in Go's decoder.
  const composer = new Composer({ ...options, uniqueKeys: false, logLevel: 'error' });
  const documents: Document.Parsed[] = [...composer.compose(tokensOf(text, limits), false)];
  const [document] = documents;
  if (document === undefined) return undefined;
  if (documents.length > 1) throw new YamlError('there is more than one document');
  if (document.errors.length > 0) throw new YamlError('the text is not YAML');
  try {
    return document.toJS({ mapAsMap: limits.objects !== true, maxAliasCount: limits.aliases });
  } catch {
    throw new YamlError('an alias stands for too much');
  }
}

/** Concrete syntax, all of it read before the first of it is composed. @throws YamlError */
function tokensOf(text: string, { depth, tokens, pay }: YamlLimits) {
  const parser = new Parser();
  const found = [];
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (++count > tokens) throw new YamlError('the text is too long');
    pay?.();
    for (const token of parser.next(lexeme)) found.push(token);
    // What is open: the document, its collections, and a scalar.
    if (parser.stack.length > depth + 2) throw new YamlError('the text is nested too deeply');
  }
  for (const token of parser.end()) found.push(token);
  return found;
}
