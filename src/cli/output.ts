/** What commands print: Vault's tables, or the answer itself as JSON or YAML, or one field of it. */

import { Document } from 'yaml';
import { failure } from '../base/errors.ts';
import {
  Exact,
  type Json,
  Ordered,
  type OrderedJson,
  parseOrdered,
  RawJson,
  stringify,
} from '../base/json.ts';
import { own } from '../base/own.ts';
import type { Answer } from '../client/client.ts';
import { setting } from './settings.ts';
import { Exit, type Terminal } from './terminal.ts';

export type Format = 'table' | 'json' | 'yaml' | 'raw';

/** The format that a flag or the environment asks for. @throws Failure cli.usage */
export function formatOf(terminal: Terminal, flag: string | undefined): Format {
  const text = (flag ?? setting(terminal.env, 'FORMAT') ?? 'table').toLowerCase();
  if (text === 'yml') return 'yaml';
  if (text === 'table' || text === 'json' || text === 'yaml' || text === 'raw') return text;
  throw failure('cli.usage', {
    reason: `unknown format ${JSON.stringify(text)}: expected table, json, yaml or raw`,
  });
}

/** Columns, padded to the widest cell, four blanks apart. */
export function columns(rows: readonly (readonly string[])[]): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map(
      (row) =>
        `${row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + 4))).join('')}\n`,
    )
    .join('');
}

/** The same, where the first row is the heading and is underlined. */
export function table(rows: readonly (readonly string[])[]): string {
  const [heading = [], ...body] = rows;
  return columns([heading, heading.map((cell) => '-'.repeat(cell.length)), ...body]);
}

/** Key and value rows of an object, sorted by key as upstream sorts them. */
export function keyValueTable(object: Readonly<Record<string, unknown>>, sorted = true): string {
  const keys = sorted ? Object.keys(object).sort() : Object.keys(object);
  return table([
    ['Key', 'Value'],
    ...keys.map((key) => [key, object[key] === '' ? 'n/a' : cell(object[key])]),
  ]);
}

/** A value in a table, as Go prints it: nil, lists in brackets, maps as map[k:v]. */
export function cell(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (value instanceof Exact || value instanceof RawJson) return value.text;
  if (Array.isArray(value)) return `[${value.map(cell).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, member]) => `${key}:${cell(member)}`).join(' ')}]`;
  }
  return String(value);
}

/** "====== Data ======": a heading as wide as upstream makes it over a table, with the same number of signs on both sides. */
export function banner(title: string, width: number): string {
  const equals = width - (title.length + 2);
  const side = '='.repeat(equals <= 0 ? 2 : Math.ceil(equals / 2));
  return `${side} ${title} ${side}\n`;
}

/** A table under its heading. As upstream does, the width is that of the longest key, the gap and the word "Value". */
export function titledTable(title: string, object: Readonly<Record<string, unknown>>): string {
  const longest = Math.max(0, ...Object.keys(object).map((key) => key.length));
  return `${banner(title, longest + 4 + 'Value'.length)}${keyValueTable(object)}`;
}

/** JSON with two blanks per level, every digit and the order of keys as they came. */
export function pretty(text: string): string {
  return `${indent(parseOrdered(text), '')}\n`;
}

function indent(value: OrderedJson, margin: string): string {
  const inner = `${margin}  `;
  if (value instanceof Ordered) {
    if (value.members.size === 0) return '{}';
    const members = [...value.members].map(
      ([key, member]) => `${inner}${JSON.stringify(key)}: ${indent(member, inner)}`,
    );
    return `{\n${members.join(',\n')}\n${margin}}`;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[\n${value.map((item) => `${inner}${indent(item as OrderedJson, inner)}`).join(',\n')}\n${margin}]`;
  }
  return stringify(value);
}

/** YAML that readers of 1.1 (kubectl, Ansible) take for the same: what is a time, an octal or a yes to them is quoted. */
export const toYaml = (text: string): string =>
  new Document(plain(parseOrdered(text)), { schema: 'core', compat: 'yaml-1.1' }).toString({ lineWidth: 0 });

/** Numbers that a double would change are written as text; YAML readers of other languages keep them so. */
function plain(value: OrderedJson): unknown {
  if (value instanceof Exact) return /^-?\d+$/.test(value.text) ? BigInt(value.text) : value.text;
  if (value instanceof Ordered)
    return new Map([...value.members].map(([key, member]) => [key, plain(member)]));
  return Array.isArray(value) ? value.map((item) => plain(item as OrderedJson)) : value;
}

/** Prints a structured value in the format asked for; `asTable` is called only for tables. */
export function print(terminal: Terminal, format: Format, value: unknown, asTable: () => string): void {
  if (format === 'table') return terminal.out(asTable());
  const text = stringify(value);
  terminal.out(format === 'yaml' ? toYaml(text) : pretty(text));
}

/** Prints an answer: the whole envelope as JSON or YAML, its bytes as they came, or a table. */
export function printAnswer(terminal: Terminal, format: Format, answer: Answer, asTable: () => string): void {
  if (format === 'table') return terminal.out(asTable());
  if (format === 'raw') return printBytes(terminal, answer.bytes);
  const text = Buffer.from(answer.bytes).toString('utf8');
  terminal.out(format === 'yaml' ? toYaml(text) : pretty(text));
}

/** Prints bytes as they are: what a route answers in a format of its own (a certificate in DER) is no text. */
export function printBytes(terminal: Terminal, bytes: Uint8Array): void {
  if (terminal.outBytes === undefined) terminal.out(Buffer.from(bytes).toString('utf8'));
  else terminal.outBytes(bytes);
}

/** Prints one field, bare: what scripts put between backticks; as JSON where that is asked for. Exit 1 where there is none, or null. */
export function printField(
  terminal: Terminal,
  format: Format,
  fields: Readonly<Record<string, Json>>,
  name: string,
): void {
  const value = own(fields, name) ?? null;
  if (value === null) {
    terminal.err(`Field ${JSON.stringify(name)} not present in secret\n`);
    throw new Exit(1);
  }
  if (format === 'json') return terminal.out(pretty(stringify(value)).trimEnd());
  if (format === 'yaml') return terminal.out(toYaml(stringify(value)));
  terminal.out(cell(value));
}
