/**
 * YAML as a person wrote it: each document's value, and where in the file its keys stand, down to a character inside a text
 * (a template's mistake is told where the template is written). A document that cannot be read spoils no other.
 */

import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  Scalar,
  visit,
  type YAMLParseError,
} from 'yaml';
import { parseYaml, plainOf, wrongYaml } from '../files.ts';
import type { Spot } from './finding.ts';

type Path = readonly PropertyKey[];

/** One document of a file. */
export interface Source {
  readonly file: string;
  /** The line of its first key. */
  readonly line: number;
  readonly value: unknown;
  /** Where the key at a path stands, or the item of a list, or the nearest thing above it that is there. */
  at(path: Path): Spot;
  /**
   * Where a place inside the text at a path stands in the file: lines from 1, columns from 0. Where the text is folded or
   * escaped over lines that cannot be told; it is the place of the key then.
   */
  within(path: Path, line: number, column: number): Spot;
}

export interface Unreadable {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
  readonly mend: string;
}

/** The documents of a file that hold anything. @param chart whether it is a template of a chart, where it has any braces */
export function sourcesOf(file: string, text: string, chart = false): (Source | Unreadable)[] {
  const braces = chart ? text.indexOf('{{') : -1;
  if (braces >= 0) return [{ file, line: text.slice(0, braces).split('\n').length, ...OF_CHART }];
  const { documents, lines } = parseYaml(text);
  return documents.flatMap((document): (Source | Unreadable)[] => {
    const [mistake] = document.errors;
    if (mistake !== undefined) return [{ file, ...unreadable(text, mistake, lines) }];
    if (document.contents === null) return [];
    const filled = blankOf(document);
    if (filled !== undefined) return [{ file, line: lines.linePos(filled).line, ...kindOfTemplate(text) }];
    const { line } = lines.linePos(document.contents.range?.[0] ?? 0);
    try {
      const value = plainOf(document);
      return value === null ? [] : [{ ...new Placed(document, text, lines).source(), file, line, value }];
    } catch {
      const reason = 'its aliases (*name) do not resolve, or multiply without end';
      return [{ file, line, reason, mend: 'write the values out' }];
    }
  });
}

type Why = Pick<Unreadable, 'reason' | 'mend'>;

const OF_CHART: Why = {
  reason: 'it is a template of a chart, no manifest',
  mend: 'check what `helm template` makes of it',
};
const OF_SOMETHING: Why = {
  reason: 'it seems to be a template, no manifest',
  mend: 'check what is made of it',
};

const kindOfTemplate = (text: string): Why =>
  /\{\{-?\s*(\.Values|\.Release|include|if|range|with|define|template|toYaml)\b/.test(text)
    ? OF_CHART
    : OF_SOMETHING;

/** Where a value is `{{ name }}` without quotes: YAML takes it for a map whose key is a map, which no manifest has. */
function blankOf(document: Document.Parsed): number | undefined {
  let at: number | undefined;
  visit(document, {
    Pair(_, { key }) {
      if (!isCollection(key)) return undefined;
      at = key.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return at;
}

function unreadable(text: string, mistake: YAMLParseError, lines: LineCounter): Omit<Unreadable, 'file'> {
  const { line } = lines.linePos(mistake.pos[0]);
  if (/\{[{%]/.test(text)) return { line, ...kindOfTemplate(text) };
  const [reason, mend] = wrongYaml(mistake);
  return { line, reason, mend };
}

class Placed {
  readonly #document: Document;
  readonly #text: string;
  readonly #lines: LineCounter;

  constructor(document: Document, text: string, lines: LineCounter) {
    this.#document = document;
    this.#text = text;
    this.#lines = lines;
  }

  source(): Pick<Source, 'at' | 'within'> {
    return {
      at: (path) => this.#spot(this.#find(path).offset),
      within: (path, line, column) => {
        const { node, offset } = this.#find(path);
        const inside = isScalar(node) ? this.#inside(node, line, column) : undefined;
        return inside ?? this.#spot(offset);
      },
    };
  }

  #spot(offset: number): Spot {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  /** The node at a path and where its key begins; where a step leads nowhere, the last place that was reached. */
  #find(path: Path): { readonly node: unknown; readonly offset: number } {
    let node: unknown = this.#document.contents;
    let offset = (node as Node | null)?.range?.[0] ?? 0;
    for (const step of path) {
      const next = this.#step(node, step);
      if (next === undefined) return { node: undefined, offset };
      node = next.value;
      offset = next.at ?? offset;
    }
    return { node, offset };
  }

  #step(from: unknown, step: PropertyKey): { readonly value: unknown; readonly at?: number } | undefined {
    const node = isAlias(from) ? from.resolve(this.#document) : from;
    if (isMap(node)) {
      // The last of equal keys is the one that holds.
      const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (pair === undefined) return undefined;
      const at = (pair.key as Scalar).range?.[0];
      return { value: pair.value, ...(at === undefined ? {} : { at }) };
    }
    if (!isSeq(node) || typeof step !== 'number') return undefined;
    const item = node.items[step];
    const at = (item as Node | undefined)?.range?.[0];
    return item === undefined ? undefined : { value: item, ...(at === undefined ? {} : { at }) };
  }

  #inside(scalar: Scalar, line: number, column: number): Spot | undefined {
    const start = scalar.range?.[0] ?? 0;
    const source = this.#text.slice(start, scalar.range?.[1]);
    const begin = this.#lines.linePos(start);
    if (scalar.type === Scalar.BLOCK_LITERAL) {
      const [, ...body] = source.split('\n');
      const first = body.find((text) => text.trim() !== '') ?? '';
      const indent = first.length - first.trimStart().length;
      return { line: begin.line + line, column: indent + column + 1 };
    }
    if (scalar.type === Scalar.BLOCK_FOLDED || source.includes('\n')) return undefined;
    const before = String(scalar.value)
      .split('\n')
      .slice(0, line - 1);
    const count = before.reduce((sum, text) => sum + text.length + 1, column);
    const raw =
      scalar.type === Scalar.QUOTE_DOUBLE
        ? 1 + rawLength(source.slice(1), ESCAPES, count)
        : scalar.type === Scalar.QUOTE_SINGLE
          ? 1 + rawLength(source.slice(1), DOUBLED, count)
          : count;
    return { line: begin.line, column: begin.col + raw };
  }
}

const ESCAPES = /\\(?:x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|.)|./gsy;
const DOUBLED = /''|./gsy;

/** How many characters of a quoted text are written for the first `count` of its value. */
function rawLength(source: string, units: RegExp, count: number): number {
  const pattern = new RegExp(units);
  for (let seen = 0; seen < count; seen++) if (pattern.exec(source) === null) break;
  return pattern.lastIndex;
}
