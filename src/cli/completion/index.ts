/** Completion of command lines: `completion`, -autocomplete-install, and the answers to shells. */

import { homedir } from 'node:os';
import { Argument, type Command } from 'commander';
import type { ExitCode, Terminal } from '../terminal.ts';
import { predict } from './predict.ts';
import { install, type Shell, scriptOf, uninstall } from './shells.ts';
import { complete, wordsBefore } from './words.ts';

export function declareCompletion(program: Command, terminal: Terminal): void {
  program
    .option('--autocomplete-install', 'have the shells of this user complete commands of holdfast')
    .option('--autocomplete-uninstall', 'take that back');
  program
    .command('completion')
    .description('Print what a shell runs to complete commands: eval "$(holdfast completion bash)"')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .action((shell: Shell) => terminal.out(scriptOf(shell)));
}

/**
 * Answers a shell that asks for completions (COMP_LINE is set), or installs or removes them. Undefined: this is a command
 * like any other.
 */
export async function completing(
  program: Command,
  argv: readonly string[],
  terminal: Terminal,
): Promise<ExitCode | undefined> {
  const line = terminal.env['COMP_LINE'];
  if (line !== undefined && line !== '') {
    await answer(program, line, terminal);
    return 0;
  }
  const home = terminal.env['HOME'] ?? homedir();
  if (isFlag(argv, 'autocomplete-install')) {
    tell(terminal, await install(home), 'Completion is installed; it works in new shells. Changed');
    return 0;
  }
  if (isFlag(argv, 'autocomplete-uninstall')) {
    tell(terminal, await uninstall(home), 'Completion is removed. Changed');
    return 0;
  }
  return undefined;
}

const isFlag = (argv: readonly string[], name: string): boolean =>
  argv.length === 1 && (argv[0] === `-${name}` || argv[0] === `--${name}`);

function tell(terminal: Terminal, files: readonly string[], what: string): void {
  terminal.out(
    files.length === 0
      ? 'Nothing to change: no file of bash, zsh or fish in the home folder wants it.\n'
      : `${what}:\n${files.map((file) => `  ${file}\n`).join('')}`,
  );
}

async function answer(program: Command, line: string, terminal: Terminal): Promise<void> {
  const point = Number(terminal.env['COMP_POINT'] ?? Number.NaN);
  const words = wordsBefore(line, Number.isInteger(point) && point >= 0 ? point : undefined);
  const found = complete(program, words);
  const names = found.wanted === undefined ? [] : await predict(terminal, words, found.wanted);
  terminal.out(
    [...found.words, ...[...names].sort()]
      .map((word) => (word.endsWith('/') ? `${word}\n` : `${word} \n`))
      .join(''),
  );
}
