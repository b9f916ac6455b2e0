/**
 * The files that a person writes: TOML, YAML and the manifests. Each mistake becomes one line naming file, line and mend.
 * The parsers' own messages quote their input, which may be a password, so they are replaced and never wrapped.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import {
  type CollectionTag,
  isNode,
  LineCounter,
  parseAllDocuments,
  type ScalarTag,
  type YAMLParseError,
  type Document as YamlDocument,
} from 'yaml';
import { failure } from '../base/errors.ts';

/** Reads a file as UTF-8 text. @throws Failure platform.unreadable */
export async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (error) {
    throw failure('platform.unreadable', { file, reason: reasonOf(error), mend: mendOf(error) });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof TypeError) return 'it is not UTF-8 text';
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'this user may not read it';
  if (code === 'EISDIR') return 'it is a folder';
  return code ?? 'it cannot be read';
}

function mendOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'create it, or name the folder that holds it';
  if (code === 'EACCES') return 'chmod it, or run as its owner';
  if (code === 'EISDIR') return 'name a file';
  return 'save it as UTF-8 text';
}

/** Reads TOML. @throws Failure platform.bad_file with file and line */
export function readToml(file: string, text: string): Record<string, unknown> {
  try {
    return parseToml(text) as Record<string, unknown>;
  } catch (error) {
    const line = error instanceof TomlError ? error.line : 1;
    throw failure('platform.bad_file', {
      file,
      line,
      reason: 'this is not valid TOML',
      mend: 'write name = "value", with text in double quotes, under a [section]',
    });
  }
}

/** A YAML document and the line it starts on, in the file as a whole. */
export interface Document {
  readonly file: string;
  readonly line: number;
  readonly value: unknown;
  /** The line of what stands at a path of keys and positions, or of the nearest thing above it that is there. */
  readonly lineAt?: (path: readonly PropertyKey[]) => number;
}

/**
 * The tags that kubectl's reader (a fork of go-yaml 2) does not have, though YAML 1.1 does: it takes times of day and
 * dates for text, and knows no base 60.
 */
const NOT_IN_GO_YAML = new Set([
  'tag:yaml.org,2002:timestamp',
  'tag:yaml.org,2002:set',
  'tag:yaml.org,2002:omap',
  'tag:yaml.org,2002:pairs',
]);

/**
 * Reads all documents of a YAML text the way kubectl does: version 1.1, so that 0600 is octal and `yes` is true, and a key
 * given twice keeps its last value (`strict` refuses it: in a file of ours it is a mistake).
 * @throws Failure platform.bad_file
 */
export function readYaml(file: string, text: string, { strict = false } = {}): Document[] {
  const { documents, lines } = parseYaml(text, strict);
  return documents.map((document) => {
    const mistake = document.errors[0];
    if (mistake !== undefined) throw badYaml(file, lines.linePos(mistake.pos[0]).line, mistake);
    const start = document.contents?.range?.[0] ?? document.range[0];
    return {
      file,
      line: lines.linePos(start).line,
      value: toPlain(file, lines.linePos(start).line, document),
      lineAt(path) {
        for (let length = path.length; length > 0; length--) {
          const node = document.getIn(path.slice(0, length), true);
          if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
        }
        return lines.linePos(start).line;
      },
    };
  });
}

/** The documents of a YAML text as trees, broken ones among them, and what tells their lines. Read as `readYaml` says. */
export function parseYaml(
  text: string,
  strict = false,
): { readonly documents: readonly YamlDocument.Parsed[]; readonly lines: LineCounter } {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    merge: true,
    prettyErrors: false,
    // A key that is a map is told by us where it matters; by itself it would be a line on standard error.
    logLevel: 'error',
    uniqueKeys: strict,
    lineCounter: lines,
    customTags: (tags) => [modernOctal, noNumber, ...tags.filter((tag) => !isForeign(tag))],
  });
  return { documents: Array.isArray(documents) ? documents : [], lines };
}

/** The value of a document, its aliases resolved. @throws where there are too many */
export const plainOf = (document: Pick<YamlDocument, 'toJS'>): unknown =>
  document.toJS({ maxAliasCount: 100 });

function toPlain(file: string, line: number, document: YamlDocument.Parsed): unknown {
  try {
    return plainOf(document);
  } catch {
    throw failure('platform.bad_file', {
      file,
      line,
      reason: 'its aliases (*name) do not resolve, or multiply without end',
      mend: 'write the values out',
    });
  }
}

/** `0o17`, which go-yaml 2 took over from YAML 1.2. */
const modernOctal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^0o[0-7_]+$/,
  resolve: (text) => Number.parseInt(text.slice(2).replaceAll('_', ''), 8),
};

/**
 * What YAML 1.1 takes for a number though no digit stands before the exponent (".", "e1"), and go-yaml for text: a pattern
 * that any name fits, and a name.
 */
const noNumber: ScalarTag = {
  tag: 'tag:yaml.org,2002:str',
  default: true,
  test: /^[-+]?(?:[._]+|[._]*[eE][-+]?\d+)$/,
  resolve: (text) => text,
};

function isForeign(tag: string | CollectionTag | ScalarTag): boolean {
  if (typeof tag === 'string') return false;
  return NOT_IN_GO_YAML.has(tag.tag) || ('format' in tag && tag.format === 'TIME');
}

const YAML_MENDS: Readonly<Record<string, readonly [reason: string, mend: string]>> = {
  TAB_AS_INDENT: ['a tab indents this line', 'indent with spaces'],
  BAD_INDENT: ['this line is indented differently from its neighbours', 'line it up with the keys around it'],
  DUPLICATE_KEY: ['this key stands twice in one map', 'remove one of the two'],
  MISSING_CHAR: ['a closing quote, bracket or colon is missing here', 'close it'],
  MULTILINE_IMPLICIT_KEY: [
    'this line is neither "key: value" nor a list item',
    'add the colon, or quote the text',
  ],
  BLOCK_AS_IMPLICIT_KEY: [
    'two "key: value" pairs share this line',
    'quote the value, or put it on a line of its own',
  ],
};

/** What is wrong with a YAML text, and the mend, without the text: it may be a password. */
export const wrongYaml = (mistake: YAMLParseError): readonly [reason: string, mend: string] =>
  YAML_MENDS[mistake.code] ?? [
    `this is not valid YAML (${mistake.code})`,
    'check quotes, colons and indentation',
  ];

function badYaml(file: string, line: number, mistake: YAMLParseError) {
  const [reason, mend] = wrongYaml(mistake);
  return failure('platform.bad_file', { file, line, reason, mend });
}

/** All `.yaml` and `.yml` files below a folder, in byte order of their paths; none where there is no such folder. */
export async function yamlFiles(folder: string): Promise<string[]> {
  let entries: Awaited<ReturnType<typeof entriesOf>>;
  try {
    entries = await entriesOf(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw failure('platform.unreadable', { file: folder, reason: reasonOf(error), mend: mendOf(error) });
  }
  return entries
    .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort((a, b) => (relative(folder, a) < relative(folder, b) ? -1 : 1));
}

const entriesOf = (folder: string) => readdir(folder, { recursive: true, withFileTypes: true });
