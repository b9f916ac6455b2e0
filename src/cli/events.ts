/** events subscribe: what changes on the server, one line of JSON each, until it is ended. */

import type { Command } from 'commander';
import { type Json, stringify } from '../base/json.ts';
import { subscribe } from '../client/events.ts';
import { countOf } from './operator/share.ts';
import { refuseRehearsal } from './rehearsal.ts';
import { type Flags, open, remote } from './session.ts';
import { Exit, type Terminal } from './terminal.ts';

interface EventFlags extends Flags {
  readonly after?: string;
}

export function declareEvents(program: Command, terminal: Terminal): void {
  const group = program.command('events').description('Hear of changes as they are made');

  remote(
    group,
    'subscribe <type>',
    'Print changes of a type ("kv*", "*"), one line of JSON each, until ended',
  )
    .option(
      '--after <revision>',
      'begin with what came after this one; by default with what comes from now on',
    )
    .action(async (type: string, flags: EventFlags) => {
      const after = flags.after === undefined ? undefined : countOf(flags.after, '-after');
      refuseRehearsal(flags, 'events');
      const session = await open(terminal, flags);
      const ending = new AbortController();
      const end = (): void => ending.abort();
      process.once('SIGINT', end).once('SIGTERM', end);
      try {
        const told = (event: Json): void => terminal.out(`${stringify(event)}\n`);
        for await (const event of subscribe(session.client, { type, after, told, signal: ending.signal })) {
          if ('gone' in event) {
            terminal.err(
              'The server no longer holds what came after that: begin without -after, and read again what matters.\n',
            );
            throw new Exit(2);
          }
        }
      } finally {
        process.off('SIGINT', end).off('SIGTERM', end);
      }
    });
}
