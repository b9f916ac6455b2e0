/** How go-yaml writes a text: plain where it reads back as that text, else quoted, or as a block where it has lines. */

import type { Meter } from '../fuel.ts';
import { fromText, isPrint, toText } from '../text.ts';

/** What YAML 1.1 would read as something else than a text. */
const RESOLVED =
  /^(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|y|Y|n|N|<<|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9][0-9_]*)|[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]|[ \t]+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::?\d\d)?))?)?)$/;
const INDICATOR_FIRST = /^(?:[#,[\]{}&*!|>'"%@`]|[-?:](?:\s|$)|---|\.\.\.)/;

/** A text as a YAML scalar; the lines of a block are indented under `pad`. */
export function plainScalar(meter: Meter, bytes: string, pad: string): string {
  meter.alloc(bytes.length + 2);
  const text = toText(bytes);
  if (text === '' || RESOLVED.test(text)) return fromText(`"${text}"`);
  const printable = Array.from(text).every((char) => char === '\n' || isPrint(char.codePointAt(0) ?? 0));
  if (printable && text.includes('\n')) return fromText(block(meter, text, pad));
  if (!printable) return fromText(doubleQuoted(text));
  const plain = !INDICATOR_FIRST.test(text) && !/: |:$| #|^ | $/.test(text);
  return fromText(plain ? text : `'${text.replaceAll("'", "''")}'`);
}

function block(meter: Meter, text: string, pad: string): string {
  if (/ \n|^\n*$| $/.test(text)) return doubleQuoted(text);
  const lines = text.split('\n');
  meter.alloc(lines.length * (pad.length + 2));
  const chomp = !text.endsWith('\n') ? '-' : text.endsWith('\n\n') ? '+' : '';
  const hint = /^[ \n]/.test(text) ? '2' : '';
  const body = text.endsWith('\n') ? lines.slice(0, -1) : lines;
  const indent = pad === '' ? '  ' : pad;
  return `|${hint}${chomp}\n${body.map((line) => (line === '' ? '' : indent + line)).join('\n')}`;
}

const NAMES: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\x85': '\\N',
  '\xa0': '\\_',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

function doubleQuoted(text: string): string {
  const body = Array.from(text, (char) => {
    const known = NAMES[char];
    if (known !== undefined) return known;
    const code = char.codePointAt(0) ?? 0;
    if (isPrint(code)) return char;
    const hex = code.toString(16).toUpperCase();
    return code < 0x100
      ? `\\x${hex.padStart(2, '0')}`
      : code < 0x10000
        ? `\\u${hex.padStart(4, '0')}`
        : `\\U${hex.padStart(8, '0')}`;
  });
  return `"${body.join('')}"`;
}
