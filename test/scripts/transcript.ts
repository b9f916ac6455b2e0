/**
 * Transcripts: what is typed and what is seen, in one file that reads like a terminal.
 *
 *   # a remark                      @ NAME=value        sets the environment of the commands below
 *   $ kv get -field=a secret/app    @ file NAME         the lines after it, up to a blank one, are put into a file
 *   < text of standard input        @ keep NAME         keeps what the command above printed, for $NAME below
 *                                   @ keep NAME /RE/    of that, only what the first group of the expression matches
 *     a line of standard output (two blanks before it)
 *   2> a line of standard error
 *   exit 2                          where it is not 0
 *
 * What differs from run to run is written as <token>, <uuid>, <time> and so on: see `masked`.
 */

export interface Step {
  readonly line: number;
  readonly command: string;
  readonly stdin: string;
  /** What was seen, as it stands in the file. */
  readonly seen: string;
  readonly keep: readonly Keep[];
}

/** What of a command's output is kept, and under which name. */
export interface Keep {
  readonly name: string;
  readonly pattern: RegExp | undefined;
}

export type Directive =
  | { readonly kind: 'run'; readonly step: Step }
  | { readonly kind: 'set'; readonly name: string; readonly value: string }
  | { readonly kind: 'file'; readonly name: string; readonly text: string };

export interface Seen {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

/** Reads a transcript. @throws Error naming the line that is none */
export function readTranscript(text: string): Directive[] {
  const lines = text.split('\n');
  const directives: Directive[] = [];
  let at = 0;
  const take = (wanted: RegExp): string[] => {
    const taken: string[] = [];
    while (at < lines.length && wanted.test(lines[at] ?? '')) taken.push(lines[at++] ?? '');
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at++] ?? '';
    const [, name = '', value = ''] = /^@ (?:file )?([\w./-]+)(?:=(.*))?$/.exec(line) ?? [];
    if (line === '' || line.startsWith('#')) continue;
    else if (line.startsWith('@ file '))
      directives.push({ kind: 'file', name, text: `${take(/./).join('\n')}\n` });
    else if (line.startsWith('@ ') && name !== '') directives.push({ kind: 'set', name, value });
    else if (line.startsWith('$ ')) {
      const start = at;
      const stdin = take(/^< ?/).map((typed) => `${typed.replace(/^< ?/, '')}\n`);
      const seen = take(/^( {2}|2> ?|exit |$)/).join('\n');
      const keep = take(/^@ keep /).map(keepOf);
      const step = { line: start, command: line.slice(2), stdin: stdin.join(''), seen: seen.trimEnd(), keep };
      directives.push({ kind: 'run', step });
    } else throw new Error(`line ${at} is no line of a transcript: ${JSON.stringify(line)}`);
  }
  return directives;
}

function keepOf(line: string): Keep {
  const [, name = '', pattern] = /^@ keep (\w+)(?: \/(.+)\/)?$/.exec(line) ?? [];
  return { name, pattern: pattern === undefined ? undefined : new RegExp(pattern, 'm') };
}

/** What is kept of an output. */
export const kept = (out: string, { pattern }: Keep): string =>
  (pattern === undefined ? out : (pattern.exec(out)?.[1] ?? '')).trim();

/** Standard input with the names that are known put in; what else follows a "$" is left. */
export const expanded = (text: string, env: Readonly<Record<string, string | undefined>>): string =>
  text.replace(/\$(\w+)/g, (whole, name: string) => env[name] ?? whole);

/** Splits a command as a shell does: blanks, '...' and "...", and $NAME outside single quotes. */
export function wordsOf(command: string, env: Readonly<Record<string, string | undefined>>): string[] {
  const value = (text: string): string => text.replace(/\$(\w+)/g, (_, name: string) => env[name] ?? '');
  return [...command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(
      /'([^']*)'|"([^"]*)"|([^'"]+)/g,
      (_, single?: string, double?: string, bare?: string) => single ?? value(double ?? bare ?? ''),
    ),
  );
}

/** What was seen, in the spelling of the file, without what changes from run to run. */
export function spelled({ out, err, code }: Seen, names: Readonly<Record<string, string>>): string {
  const lines = (text: string, prefix: string): string[] =>
    text === ''
      ? []
      : text
          .replace(/\n+$/, '')
          .split('\n')
          .map((line) => `${prefix}${line}`);
  return masked(
    [...lines(out, '  '), ...lines(err, '2> '), ...(code === 0 ? [] : [`exit ${code}`])]
      .map((line) => line.trimEnd())
      .join('\n'),
    names,
  );
}

const MASKS: readonly (readonly [RegExp, string])[] = [
  [/\bhv[sb]\.[\w-]+/g, '<token>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<uuid>'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)/g, '<time>'],
  [/\b((?:auth_)?[a-z]+)_[0-9a-f]{8}\b/g, '$1_<id>'],
  [/\$2y\$10\$[./\w]{53}/g, '<bcrypt>'],
  [/(accessor:? +|"accessor": ")[A-Za-z0-9]{24}\b/g, '$1<accessor>'],
  [/^( {2})[A-Za-z0-9]{24}$/gm, '$1<accessor>'],
  [/((?:\bkey \d+|root_token_b64): )\S+/gi, '$1<key>'],
  [/^( {2}(?:OTP|Encoded Token) +)\S+$/gm, '$1<encoded>'],
  [/(\bInstall Time +).*/g, '$1<time>'],
  [/\b[0-9a-f]{64}\b/g, '<hex>'],
  [/(\/|"otp": ")[A-Za-z0-9]{24,28}\b/g, '$1<id>'],
  [/(Encryption Count +|"encryptions": )\d+/g, '$1<count>'],
  [/(token_duration +).*/g, '$1<duration>'],
  [/("?(?:creation_time|ttl)"?:? +)\d[\dhms]*/g, '$1<seconds>'],
];

function masked(text: string, names: Readonly<Record<string, string>>): string {
  const named = Object.entries(names).reduce(
    (all, [name, value]) => all.replaceAll(value, `<${name}>`),
    text,
  );
  return MASKS.reduce((all, [pattern, by]) => all.replace(pattern, by), named);
}

/** The file again, with what was really seen: for writing a new transcript, to be read by a person before it is kept. */
export function rewritten(text: string, seen: ReadonlyMap<number, string>): string {
  const kept: string[] = [];
  let skipping = false;
  text.split('\n').forEach((line, at) => {
    const wasSeen = /^( {2}|2> ?|exit )/.test(line) || (line === '' && skipping);
    if (!wasSeen || !skipping) kept.push(line);
    if (line.startsWith('$ ')) skipping = true;
    else if (!wasSeen && !line.startsWith('< ')) skipping = false;
    const next = text.split('\n')[at + 1] ?? '';
    const found = seen.get(commandLine(text, at));
    if (
      skipping &&
      (line.startsWith('$ ') || line.startsWith('<')) &&
      !next.startsWith('<') &&
      found !== undefined
    )
      kept.push(...(found === '' ? [] : found.split('\n')), ...(next.startsWith('@ keep') ? [] : ['']));
  });
  return kept
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/\n*$/, '\n')
    .replace(/\n\n@ keep/g, '\n@ keep');
}

/** The number of the command that the line at `at` belongs to, counted as `Step.line` is. */
function commandLine(text: string, at: number): number {
  const lines = text.split('\n');
  for (let line = at; line >= 0; line--) if (lines[line]?.startsWith('$ ')) return line + 1;
  return 0;
}
