/** `holdfast server`: its flags, and nothing else; the server is loaded only when it is wanted. */

import type { Command } from 'commander';
import { failure } from '../../base/errors.ts';
import type { Terminal } from '../../cli/terminal.ts';

export function declareServer(program: Command, terminal: Terminal): void {
  program
    .command('server')
    .description('Run the server that a configuration file describes')
    .option(
      '--config <path>',
      'a configuration file, or a folder whose .hcl and .json files are read; may be given again',
      (value: string, all: string[] = []) => [...all, value],
    )
    .action(async ({ config }: { readonly config?: readonly string[] }) => {
      if (config === undefined)
        throw failure('cli.usage', {
          reason: 'name the configuration with -config=FILE; to try things out, run holdfast dev',
        });
      const { runServer } = await import('./run.ts');
      await runServer(config, terminal.env);
    });
}
