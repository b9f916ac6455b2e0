/**
 * `policy fmt`: the usual layout of HCL, with every comment kept. The text is read token by token beside the parser of
 * `base/hcl`, which knows what it means but not how it is commented; at the end the two are held against each other, so
 * that a policy is never changed by being laid out.
 * Layout followed: the formatter of the first version of HashiCorp's configuration language.
 */

import { failure } from '../base/errors.ts';
import { parseHcl } from '../base/hcl.ts';
import { pretty } from './output.ts';

interface Token {
  readonly kind: 'text' | 'mark' | 'comment' | 'line-end';
  readonly text: string;
  readonly line: number;
}

interface Note {
  readonly line: number;
  readonly text: string;
}

type Value =
  | { readonly kind: 'text'; readonly text: string; readonly line: number }
  | {
      readonly kind: 'list';
      readonly line: number;
      readonly items: readonly Element[];
      readonly notes: readonly Note[];
    }
  | { readonly kind: 'object'; readonly line: number; readonly entries: readonly Entry[] };

interface Element {
  readonly above: readonly Note[];
  readonly value: Value;
  readonly behind: string | undefined;
}

/** An item with the comments on the lines right above it, or comments that stand alone. */
interface Entry {
  readonly above: readonly Note[];
  readonly item?: Item;
}

interface Item {
  readonly keys: readonly string[];
  readonly assigned: boolean;
  readonly value: Value;
  readonly behind: string | undefined;
  readonly line: number;
  readonly endLine: number;
}

/**
 * Lays a document out: HCL, or its form in JSON.
 * @throws Failure hcl.malformed, hcl.too_large; cli.usage where a comment stands where no layout can keep it
 */
export function formatHcl(text: string): string {
  const meaning = meaningOf(text);
  if (/^\ufeff?\s*\{/.test(text)) return pretty(text.replace(/^\ufeff/, ''));
  const tokens = tokensOf(text);
  const laidOut = print(new Reader(tokens).document());
  const comments = (of: readonly Token[]): string[] =>
    of.flatMap(({ kind, text }) => (kind === 'comment' ? [text] : []));
  const kept = comments(tokensOf(laidOut)).join('\n') === comments(tokens).join('\n');
  if (!kept || meaningOf(laidOut) !== meaning) throw misplaced(1);
  return laidOut;
}

const misplaced = (line: number) =>
  failure('cli.usage', {
    reason: `a comment stands inside the item at line ${line}, where it cannot be kept: put it on a line of its own`,
  });

/** What the text says, without where it says it. */
const meaningOf = (text: string): string =>
  JSON.stringify(parseHcl(text), (key, value) => (key === 'line' || key === 'column' ? undefined : value));

const PATTERN =
  /(?<space>[ \t\r\f\v]+)|(?<end>\n)|(?<comment>#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<heredoc><<-?(?<tag>[\p{L}\p{N}_.-]+)[ \t]*\r?\n[\s\S]*?\n[ \t]*\k<tag>(?=\r?\n|$))|(?<string>"(?:\\[\s\S]|[^"\\])*")|(?<mark>[{}[\]=,])|(?<word>[^\s{}[\]=,"#]+)/uy;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  PATTERN.lastIndex = text.startsWith('\ufeff') ? 1 : 0;
  for (let at = PATTERN.exec(text); at !== null; at = PATTERN.exec(text)) {
    const { end, comment, heredoc, string, mark, word } = at.groups ?? {};
    const found = end ?? comment ?? mark ?? heredoc ?? string ?? word;
    const kind =
      end !== undefined
        ? 'line-end'
        : comment !== undefined
          ? 'comment'
          : mark !== undefined
            ? 'mark'
            : 'text';
    if (found !== undefined) tokens.push({ kind, text: found.trimEnd() || found, line });
    line += at[0].split('\n').length - 1;
  }
  return tokens;
}

/** Reads tokens of a document that the parser has taken: what it could not be is not looked for here. */
class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  document(): readonly Entry[] {
    return this.#entries();
  }

  #entries(): Entry[] {
    const entries: Entry[] = [];
    for (;;) {
      const above = this.#notes();
      const next = this.#tokens[this.#at];
      const ends = next === undefined || next.text === '}';
      const attached = ends ? [] : attachedTo(above, next.line);
      for (const group of groups(above.slice(0, above.length - attached.length)))
        entries.push({ above: group });
      if (ends) return entries;
      entries.push({ above: attached, item: this.#item() });
      if (this.#tokens[this.#at]?.text === ',') this.#at++;
    }
  }

  #item(): Item {
    const start = this.#take();
    const keys = [start.text];
    while (this.#peek().kind === 'text') keys.push(this.#take().text);
    const assigned = this.#peek().text === '=';
    if (assigned) this.#take();
    const value = this.#value();
    const last = this.#tokens[this.#at - 1] ?? start;
    const endLine = last.line + last.text.split('\n').length - 1;
    const behind = this.#behind(endLine);
    return { keys, assigned, value, behind, line: start.line, endLine };
  }

  #value(): Value {
    const token = this.#take();
    if (token.text === '{') {
      const entries = this.#entries();
      this.#take();
      return { kind: 'object', line: token.line, entries };
    }
    return token.text === '[' ? this.#list(token.line) : { kind: 'text', text: token.text, line: token.line };
  }

  #list(line: number): Value {
    const items: Element[] = [];
    for (;;) {
      const above = this.#notes();
      if (this.#peek().text === ']') {
        this.#take();
        return { kind: 'list', line, items, notes: above };
      }
      const value = this.#value();
      if (this.#tokens[this.#at]?.text === ',') this.#at++;
      items.push({ above, value, behind: this.#behind(this.#tokens[this.#at - 1]?.line ?? value.line) });
    }
  }

  /** The comments from here to the next thing that is none. */
  #notes(): Note[] {
    const notes: Note[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token?.kind !== 'comment' && token?.kind !== 'line-end') return notes;
      if (token.kind === 'comment') notes.push({ line: token.line, text: token.text });
      this.#at++;
    }
  }

  /** A comment at the end of a line, after what ends on that line. */
  #behind(line: number): string | undefined {
    const skip = this.#tokens[this.#at]?.text === ',' ? 1 : 0;
    const token = this.#tokens[this.#at + skip];
    const next = this.#tokens[this.#at + skip + 1];
    const closes = next === undefined || next.kind === 'line-end';
    if (token?.kind !== 'comment' || token.line !== line || !closes) return undefined;
    this.#at += skip + 1;
    return token.text;
  }

  #peek(): Token {
    while (this.#tokens[this.#at]?.kind === 'line-end') this.#at++;
    return this.#tokens[this.#at] ?? END;
  }

  /** @throws Failure cli.usage where a comment stands between the parts of an item */
  #take(): Token {
    const token = this.#peek();
    if (token.kind === 'comment') throw misplaced(token.line);
    this.#at++;
    return token;
  }
}

const END: Token = { kind: 'mark', text: '}', line: 0 };

const endOf = ({ line, text }: Note): number => line + text.split('\n').length - 1;

/** The comments that end right above a line, without a blank one between them. */
function attachedTo(notes: readonly Note[], line: number): readonly Note[] {
  const last = notes.at(-1);
  if (last === undefined || endOf(last) < line - 1) return [];
  return groups(notes).at(-1) ?? [];
}

/** Comments on lines that follow each other. */
function groups(notes: readonly Note[]): Note[][] {
  const all: Note[][] = [];
  for (const note of notes) {
    const last = all.at(-1)?.at(-1);
    if (last !== undefined && endOf(last) >= note.line - 1) all.at(-1)?.push(note);
    else all.push([note]);
  }
  return all;
}

const STEP = '  ';

function print(entries: readonly Entry[]): string {
  const lines = entries.map((entry) => [...printNotes(entry.above, ''), ...printAlone(entry, '')].join('\n'));
  return lines.length === 0 ? '' : `${lines.join('\n\n')}\n`;
}

const printNotes = (notes: readonly Note[], margin: string): string[] =>
  notes.map(({ text }) => `${margin}${text}`);

function printAlone({ item }: Entry, margin: string): string[] {
  if (item === undefined) return [];
  const sign = item.assigned ? ' = ' : ' ';
  const behind = item.behind === undefined ? '' : ` ${item.behind}`;
  return [`${margin}${item.keys.join(' ')}${sign}${printValue(item.value, margin)}${behind}`];
}

/** The inside of a block: single lines that follow each other are one table, all else stands between blank lines. */
function printInside(entries: readonly Entry[], margin: string): string {
  const tables: Entry[][] = [];
  for (const entry of entries) {
    const last = tables.at(-1)?.at(-1);
    if (last !== undefined && follows(last, entry)) tables.at(-1)?.push(entry);
    else tables.push([entry]);
  }
  return tables.map((rows) => printTable(rows, margin)).join('\n\n');
}

function follows(before: Entry, after: Entry): boolean {
  if (before.item === undefined || after.item === undefined || after.above.length > 0) return false;
  const single = ({ value }: Item): boolean => !printValue(value, '').includes('\n');
  return single(before.item) && single(after.item) && after.item.line - before.item.endLine <= 1;
}

function printTable(rows: readonly Entry[], margin: string): string {
  const [first] = rows;
  if (first?.item === undefined || rows.length === 1)
    return [
      ...printNotes(first?.above ?? [], margin),
      ...(first === undefined ? [] : printAlone(first, margin)),
    ].join('\n');
  const cells = rows.flatMap(({ item }) => (item === undefined ? [] : [item]));
  const keyWidth = Math.max(...cells.map(({ keys }) => keys.join(' ').length));
  const starts = cells.map(
    ({ keys, assigned, value }) =>
      `${margin}${keys.join(' ').padEnd(keyWidth)} ${assigned ? '= ' : ''}${printValue(value, margin)}`,
  );
  const width = Math.max(...starts.map((start) => start.length));
  const lines = starts.map((start, at) => {
    const behind = cells[at]?.behind;
    return behind === undefined ? start : `${start.padEnd(width)} ${behind}`;
  });
  return [...printNotes(first.above, margin), ...lines].join('\n');
}

function printValue(value: Value, margin: string): string {
  if (value.kind === 'text') return value.text;
  if (value.kind === 'object')
    return value.entries.length === 0 ? '{}' : `{\n${printInside(value.entries, margin + STEP)}\n${margin}}`;
  const noted =
    value.notes.length > 0 || value.items.some((e) => e.above.length > 0 || e.behind !== undefined);
  const spread = noted || value.items.some((element) => element.value.line !== value.line);
  if (!spread) return `[${value.items.map((element) => printValue(element.value, margin)).join(', ')}]`;
  const inner = margin + STEP;
  const lines = value.items.map(({ above, value: one, behind }, at) => {
    const gap = at > 0 && above.length > 0 ? '\n' : '';
    const text = `${inner}${printValue(one, inner)},${behind === undefined ? '' : ` ${behind}`}`;
    return gap + [...printNotes(above, inner), text].join('\n');
  });
  return `[\n${[...lines, ...printNotes(value.notes, inner)].join('\n')}\n${margin}]`;
}
