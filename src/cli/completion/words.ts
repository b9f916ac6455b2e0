/**
 * What may stand at the end of a command line, as far as the commands themselves say it; pure. Where the server must be
 * asked, it says what for.
 */

import type { Command, Option } from 'commander';

/** What the server knows: paths of data, mounts, names. */
export type Wanted = 'paths' | 'kv-paths' | 'mounts' | 'auth-mounts' | 'policies' | 'audit-devices';

export interface Completions {
  /** Words that begin as the last one does. */
  readonly words: readonly string[];
  readonly wanted?: Wanted;
}

/** A line as far as the cursor, in words; the last one is still being typed, and may be empty. */
export function wordsBefore(line: string, point: number | undefined): string[] {
  const words = line.slice(0, point ?? line.length).split(/[ \t]+/);
  return words[0] === '' ? words.slice(1) : words;
}

const FORMATS = ['table', 'json', 'yaml', 'raw'];
const METHODS = ['token', 'userpass', 'approle', 'kubernetes', 'jwt', 'oidc', 'cert', 'ldap'];

/** Values of flags, by name: of a closed set, or the server's to say. */
const VALUES: Readonly<Record<string, readonly string[] | Wanted>> = {
  '--format': FORMATS,
  '--method': METHODS,
  '--policy': 'policies',
  '--mount': 'mounts',
  '--target': ['barrier', 'recovery'],
  '--mode': ['orphan', 'path'],
  '--type': ['service', 'batch'],
};

/** First arguments of commands, by their full name; a group in front of it stands for all its commands. */
const ARGUMENTS: Readonly<Record<string, readonly string[] | Wanted>> = {
  read: 'paths',
  write: 'paths',
  patch: 'paths',
  list: 'paths',
  delete: 'paths',
  kv: 'kv-paths',
  'kv enable-versioning': 'mounts',
  'policy read': 'policies',
  'policy write': 'policies',
  'policy delete': 'policies',
  'secrets disable': 'mounts',
  'secrets tune': 'mounts',
  'secrets move': 'mounts',
  'auth disable': 'auth-mounts',
  'auth tune': 'auth-mounts',
  'auth move': 'auth-mounts',
  'auth enable': METHODS.filter((method) => method !== 'token'),
  'audit disable': 'audit-devices',
  completion: ['bash', 'zsh', 'fish'],
  'plugin list': ['auth', 'database', 'secret'],
  'plugin info': ['auth', 'database', 'secret'],
};

/** @param words the command line with the program's name first, as `wordsBefore` gives it */
export function complete(program: Command, words: readonly string[]): Completions {
  const typed = words.slice(1, -1);
  const last = words.at(-1) ?? '';
  const { command, names, rest } = descend(program, typed);
  const open = valuedFlag(command, typed.at(-1));
  if (open !== undefined) return told(VALUES[open], last);
  if (last.startsWith('-')) return { words: flagsOf(command).filter((flag) => flag.startsWith(last)) };
  const children = shown(command).map((child) => child.name());
  if (children.length > 0)
    return rest.length > 0
      ? { words: [] }
      : told([...children, ...(names.length === 0 ? ['help'] : [])], last);
  if (rest.length > 0) return { words: [] };
  return told(ARGUMENTS[names.join(' ')] ?? ARGUMENTS[names[0] ?? ''], last);
}

function told(known: readonly string[] | Wanted | undefined, last: string): Completions {
  if (known === undefined) return { words: [] };
  if (typeof known === 'string') return { words: [], wanted: known };
  return { words: known.filter((word) => word.startsWith(last)).sort() };
}

/** The command that words name, and the arguments that follow its name. */
function descend(
  program: Command,
  typed: readonly string[],
): { readonly command: Command; readonly names: readonly string[]; readonly rest: readonly string[] } {
  let command = program;
  const names: string[] = [];
  const rest: string[] = [];
  typed.forEach((word, at) => {
    if (word.startsWith('-') || valuedFlag(command, typed[at - 1]) !== undefined) return;
    const child = rest.length === 0 ? shown(command).find((one) => one.name() === word) : undefined;
    if (child === undefined) rest.push(word);
    else {
      command = child;
      names.push(word);
    }
  });
  return { command, names, rest };
}

/** The long name of a flag that takes the word after it; undefined for all else. */
function valuedFlag(command: Command, word: string | undefined): string | undefined {
  if (word === undefined || !word.startsWith('-') || word.includes('=')) return undefined;
  const name = `--${word.replace(/^-+/, '')}`;
  const found = command.options.find(({ long, short }) => long === name || short === word);
  if (found?.required !== true || found.flags.endsWith(' <bool>')) return undefined;
  return found.long ?? undefined;
}

const shown = (command: Command): readonly Command[] =>
  command.commands.filter((child) => child.name() !== 'help');

/** With one dash, as users of Vault type them. */
const flagsOf = (command: Command): string[] =>
  [...command.options.filter((option: Option) => !option.hidden), ...HELP]
    .flatMap(({ long }) => (typeof long === 'string' ? [long.slice(1)] : []))
    .sort();

const HELP = [{ long: '--help' }];
