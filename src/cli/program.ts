/** The program's commands, and what happens around each: flags of either spelling, failures told once, exit codes. */

import { Command, CommanderError } from 'commander';
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
    await program.parseAsync(normalizeFlags(argv), { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    const { text, code } = explain(error);
    if (text !== '') terminal.err(text);
    return code;
  }
}

/** Every command ends and prints the way the program does. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inherit(child);
  }
}
