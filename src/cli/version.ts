/** version, and version-history: what runs here, and what has run there. */

import type { Command } from 'commander';
import { bagOf } from '../client/envelope.ts';
import { cell, printAnswer, table } from './output.ts';
import { type Flags, nothingAt, open, readOrNothing, remote } from './session.ts';
import type { Terminal } from './terminal.ts';

export function declareVersion(program: Command, terminal: Terminal, version: string): void {
  program
    .command('version')
    .description('Print the version of this program')
    .action(() => terminal.out(`Holdfast v${version}\n`));

  remote(program, 'version-history', 'List the versions that the server has run as').action(
    async (flags: Flags) => {
      const session = await open(terminal, flags);
      const path = 'sys/version-history';
      const answer = await readOrNothing(session, session.client.request('LIST', path));
      const { keys, key_info: info } = bagOf(answer?.envelope?.data);
      if (answer === undefined || !Array.isArray(keys)) return nothingAt(session, path);
      printAnswer(terminal, session.format, answer, () =>
        table([
          ['Version', 'Installation Time', 'Build Date'],
          ...keys.map((key) => {
            const of = bagOf(bagOf(info)[String(key)]);
            return [cell(key), cell(of['timestamp_installed'] || 'n/a'), cell(of['build_date'] || 'n/a')];
          }),
        ]),
      );
    },
  );
}
