/** Arguments as Vault's users type them: `-flag=value` with one dash, and data as key=value, key=@file, key=-, @file, -. */

import { failure } from '../base/errors.ts';
import { type Json, parseJson } from '../base/json.ts';
import type { Terminal } from './terminal.ts';

/** Gives long flags the two dashes that the parser knows them by. What follows `--` is left alone. */
export function normalizeFlags(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((arg, at) =>
    (end === -1 || at < end) && /^-[a-zA-Z][\w-]+(=|$)/.test(arg) ? `-${arg}` : arg,
  );
}

export type Data = { [key: string]: Json };

/**
 * Reads data arguments. A key given twice becomes a list, as upstream has it; "\@text" is the text "@text".
 * @throws Failure cli.usage, cli.unreadable; never names a value
 */
export async function readData(args: readonly string[], terminal: Terminal): Promise<Data> {
  const data: Data = Object.create(null) as Data;
  for (const arg of args) {
    if (arg === '-') {
      Object.assign(data, objectOf(await terminal.stdin(), 'standard input'));
    } else if (arg.startsWith('@')) {
      Object.assign(data, objectOf(await terminal.readFile(arg.slice(1)), arg.slice(1)));
    } else {
      const at = arg.indexOf('=');
      if (at < 1)
        throw failure('cli.usage', {
          reason: 'each data argument is key=value, key=@file, key=- or @file.json',
        });
      add(data, arg.slice(0, at), await textOfArgument(arg.slice(at + 1), terminal));
    }
  }
  return data;
}

async function textOfArgument(text: string, terminal: Terminal): Promise<string> {
  if (text === '-') return terminal.stdin();
  if (text.startsWith('@')) return terminal.readFile(text.slice(1));
  return text.startsWith('\\@') ? text.slice(1) : text;
}

function add(data: Data, key: string, value: string): void {
  const present = data[key];
  if (present === undefined) data[key] = value;
  else data[key] = Array.isArray(present) ? [...present, value] : [present, value];
}

function objectOf(text: string, from: string): Data {
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Data;
  throw failure('cli.usage', { reason: `${from} does not hold a JSON object` });
}
