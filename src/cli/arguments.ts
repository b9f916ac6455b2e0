/** Arguments as Vault's users type them: `-flag=value` with one dash, and data as key=value, key=@file, key=-, @file, -. */

import { failure } from '../base/errors.ts';
import { type Json, parseJson } from '../base/json.ts';
import type { Terminal } from './terminal.ts';

/**
 * Brings flags into the spelling of the parser: two dashes for long ones, and of `switches` (flags without a value) the
 * forms that Go's parser takes beside the bare one, `-flag=true` and `-flag=false`. What follows `--` is left alone.
 * `truths` are flags that say yes or no: bare, they say yes, and never take the next argument for their value.
 */
export function normalizeFlags(
  argv: readonly string[],
  { switches, truths }: { readonly switches: ReadonlySet<string>; readonly truths: ReadonlySet<string> },
): string[] {
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  return [
    ...flags.flatMap((arg) => {
      // "-i=1h" is a short flag with its value, which the parser wants without the sign between them.
      const short = /^-([a-zA-Z])=(.*)$/s.exec(arg);
      if (short !== null) return shortFlag(short[1] ?? '', short[2] ?? '', arg);
      const flag = /^-[a-zA-Z][\w-]+(=|$)/.test(arg) ? `-${arg}` : arg;
      const [name = '', value] = flag.split(/=(.*)/s);
      if (truths.has(flag)) return [`${flag}=true`];
      if (value === undefined || !switches.has(name)) return [flag];
      return truth(value, name.slice(1)) ? [name] : [];
    }),
    ...(end === -1 ? [] : argv.slice(end)),
  ];
}

const SHORT_SWITCHES = ['f', 'h', 'v'];

function shortFlag(name: string, value: string, arg: string): string[] {
  if (!SHORT_SWITCHES.includes(name)) return [`-${name}`, value];
  return truth(value, arg.slice(0, 2)) ? [`-${name}`] : [];
}

/** Yes or no, in the spellings of Go's parser. @throws Failure cli.usage */
export function truth(text: string, flag: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw failure('cli.usage', { reason: `${flag} is true or false` });
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
  const value = jsonOf(text, from);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Data;
  throw failure('cli.usage', { reason: `${from} does not hold a JSON object` });
}

function jsonOf(text: string, from: string): Json {
  try {
    return parseJson(text);
  } catch {
    throw failure('cli.usage', { reason: `${from} does not hold JSON` });
  }
}
