/** The arguments of the client of SSH, as far as they say where to and as whom. Pure. */

export interface Destination {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: string | undefined;
}

/** Options of ssh(1) that take a value, with it or as the next argument; every other letter takes none. */
const VALUED = 'BbcDEeFIiJLlmOoPpQRSWw';

/** Where the arguments lead to, or undefined where they name no host. What comes after the host may be its command. */
export function destinationOf(args: readonly string[]): Destination | undefined {
  let target: string | undefined;
  let user: string | undefined;
  let port: string | undefined;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') {
      target ??= rest.shift();
      break;
    }
    if (!arg.startsWith('-') || arg === '-') {
      // The second bare word begins the command, and what is in that is no option of ours.
      if (target !== undefined) break;
      target = arg;
      continue;
    }
    const at = [...arg].findIndex((letter, place) => place > 0 && VALUED.includes(letter));
    if (at === -1) continue;
    const value = arg.slice(at + 1) || rest.shift() || '';
    const [name, setting] = arg[at] === 'o' ? optionOf(value) : [arg[at], value];
    // As with ssh, what is said first holds.
    if (name === 'p') port ??= setting;
    if (name === 'l') user ??= setting;
  }
  if (target === undefined || target === '') return undefined;
  const sign = target.lastIndexOf('@');
  const host = target.slice(sign + 1);
  if (host === '') return undefined;
  return { host, user: sign > 0 ? target.slice(0, sign) : user, port };
}

/** "-o Port=22" and "-o 'Port 22'" as the letters that say the same. */
function optionOf(text: string): readonly [string | undefined, string] {
  const [, name = '', value = ''] = /^\s*(\w+)(?:\s*=\s*|\s+)(.*)$/.exec(text) ?? [];
  const letters: Readonly<Record<string, string>> = { port: 'p', user: 'l' };
  return [letters[name.toLowerCase()], value];
}

/**
 * Sets "--" before the first argument of `ssh` that is no flag of ours: from there on all is ssh's own, where "-n" is no
 * namespace. @param switches flags that take no value, in their long spelling
 */
export function withEndOfFlags(argv: readonly string[], switches: ReadonlySet<string>): readonly string[] {
  let at = 1;
  while (at < argv.length) {
    const arg = argv[at] ?? '';
    if (arg === '--') return argv;
    if (!arg.startsWith('-') || arg === '-') break;
    const isWhole = arg.includes('=') || switches.has(`--${arg.replace(/^-+/, '')}`) || /^-[hv]$/.test(arg);
    at += isWhole ? 1 : 2;
  }
  return at >= argv.length ? argv : [...argv.slice(0, at), '--', ...argv.slice(at)];
}
