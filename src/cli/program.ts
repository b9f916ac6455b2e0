/** The program's commands, and what happens around each: flags of either spelling, failures told once, exit codes. */

import { Command, CommanderError, type Option } from 'commander';
import { normalizeFlags } from './arguments.ts';
import { declareAudit } from './audit.ts';
import { declareKv } from './kv.ts';
import { declareLogin } from './login.ts';
import { declareMounts } from './mounts.ts';
import { declareOperator } from './operator.ts';
import { declarePolicy } from './policy.ts';
import { declareRead } from './read.ts';
import { declareSeed } from './seed.ts';
import { declareStatus } from './status.ts';
import { type ExitCode, explain, type Terminal } from './terminal.ts';
import { declareToken } from './token.ts';

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
  declareAudit,
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
  inherit(program);
  try {
    await program.parseAsync(normalizeFlags(argv, flagsOf(program)), { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    const { text, code } = explain(error);
    if (text !== '') terminal.err(text);
    return code;
  }
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
