/** The program's commands, and what happens around each: flags of either spelling, failures told once, exit codes. */

import { Command, CommanderError, type Option } from 'commander';
import { nearestName } from '../base/nearest.ts';
import { normalizeFlags } from './arguments.ts';
import { declareAudit } from './audit.ts';
import { completing, declareCompletion } from './completion/index.ts';
import { declareEvents } from './events.ts';
import { declareKv } from './kv.ts';
import { declareLease } from './lease.ts';
import { declareLogin } from './login.ts';
import { declareMounts } from './mounts.ts';
import { declareNamespace } from './namespace.ts';
import { declareOperator } from './operator/index.ts';
import { declarePathHelp } from './pathhelp.ts';
import { declarePlugin } from './plugin.ts';
import { declarePolicy } from './policy.ts';
import { declarePrint } from './print.ts';
import { declareRead } from './read.ts';
import { declareSeed } from './seed.ts';
import { declareSsh } from './ssh.ts';
import { withEndOfFlags } from './sshline.ts';
import { declareStatus } from './status.ts';
import { type ExitCode, explain, type Terminal } from './terminal.ts';
import { declareToken } from './token.ts';
import { declareVersion } from './version.ts';

/** Declares a command on the program. */
export type Declare = (program: Command, terminal: Terminal) => void;

const COMMANDS: readonly Declare[] = [
  declareRead,
  declareKv,
  declareStatus,
  declareOperator,
  declareLogin,
  declarePolicy,
  declareMounts,
  declareToken,
  declareLease,
  declareAudit,
  declarePlugin,
  declareEvents,
  declarePathHelp,
  declarePrint,
  declareCompletion,
  declareNamespace,
  declareSsh,
  declareSeed,
];

/**
 * Runs one command line (without the program's own name) and gives its exit code. `more` are commands that only `bin` can
 * declare, because they start programs.
 */
export async function runCli(
  argv: readonly string[],
  terminal: Terminal,
  version: string,
  more: readonly Declare[] = [],
): Promise<ExitCode> {
  const program = new Command('holdfast')
    .description('A secrets platform for Kubernetes: it stores, issues, delivers and rotates secrets.')
    .version(`holdfast ${version}`, '-v, --version')
    .enablePositionalOptions(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) });
  for (const declare of [...more, ...COMMANDS]) declare(program, terminal);
  declareVersion(program, terminal, version);
  inherit(program);
  try {
    const completed = await completing(program, argv, terminal);
    if (completed !== undefined) return completed;
    const flags = flagsOf(program);
    const typed =
      argv[0] === 'ssh' ? withEndOfFlags(argv, new Set([...flags.switches, ...flags.truths])) : argv;
    await program.parseAsync(normalizeFlags(typed, flags), { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      terminal.err(flagMeant(error, program));
      return usageCode(error, program, argv);
    }
    const { text, code } = explain(error);
    if (text !== '') terminal.err(text);
    return code;
  }
}

/** As shells and Vault have it, 127 where there is no such command; 1 for what else is wrong with a command line. */
function usageCode(error: CommanderError, program: Command, argv: readonly string[]): ExitCode {
  if (error.exitCode === 0) return 0;
  const known = program.commands.some((command) => command.name() === argv[0]);
  return error.code === 'commander.unknownCommand' && !known ? 127 : 1;
}

/** The parser finds no near name for a flag that was typed with its value. */
function flagMeant({ message }: CommanderError, program: Command): string {
  const [, typed] = /unknown option '--([\w-]+)=/.exec(message) ?? [];
  const names = allOptions(program).flatMap(({ long }) => (typeof long === 'string' ? [long.slice(2)] : []));
  const near = typed === undefined ? undefined : nearestName(typed, new Set(names));
  return near === undefined ? '' : `(Did you mean -${near}?)\n`;
}

/** The flags of all commands that take no value, and those that say yes or no. */
function flagsOf(command: Command): { readonly switches: Set<string>; readonly truths: Set<string> } {
  const options = allOptions(command);
  const valued = new Set(
    options.flatMap(({ long, required, optional }) => (required || optional ? [long] : [])),
  );
  const names = (chosen: readonly Option[]): Set<string> =>
    new Set(chosen.flatMap(({ long }) => (typeof long === 'string' ? [long] : [])));
  return {
    // `--version` is a switch of the program and takes a number in `kv get`: what takes a value anywhere is none.
    switches: names(options.filter(({ long }) => !valued.has(long))),
    truths: names(options.filter(({ flags }) => flags.endsWith(' <bool>'))),
  };
}

const allOptions = (command: Command): Option[] => [
  ...command.options,
  ...command.commands.flatMap(allOptions),
];

/** Every command ends and prints the way the program does. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inherit(child);
  }
}
