/** print: what the command line works with. */

import type { Command } from 'commander';
import { tokenAtHand } from './settings.ts';
import type { Terminal } from './terminal.ts';

export function declarePrint(program: Command, terminal: Terminal): void {
  program
    .command('print')
    .description('Print what the command line works with')
    .command('token')
    .description('Print the token in use: $(holdfast print token) hands it to another command')
    .action(async () => terminal.out(`${(await tokenAtHand(terminal)) ?? ''}\n`));
}
