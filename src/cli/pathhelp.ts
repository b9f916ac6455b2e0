/** path-help: what a path of the API is for, as the server itself tells it. */

import type { Command } from 'commander';
import { bagOf } from '../client/envelope.ts';
import { print } from './output.ts';
import { barePath } from './read.ts';
import { type Flags, nothingAt, open, readOrNothing, remote } from './session.ts';
import type { Terminal } from './terminal.ts';

export function declarePathHelp(program: Command, terminal: Terminal): void {
  remote(program, 'path-help <path>', 'Tell what a path of the API is for and what it takes').action(
    async (typed: string, flags: Flags) => {
      const session = await open(terminal, flags);
      const path = barePath(typed).replace(/\/+$/, '');
      const answer = await readOrNothing(
        session,
        session.client.request('GET', path, { query: { help: '1' } }),
      );
      // Upstream answers it bare; a server that puts it into an envelope is understood as well.
      const whole = bagOf(answer?.json);
      const told = typeof whole['help'] === 'string' ? whole : bagOf(whole['data']);
      const text = told['help'];
      if (typeof text !== 'string') return nothingAt(session, path);
      print(terminal, session.format, told['openapi'] ?? told, () => `${text.trimEnd()}\n`);
    },
  );
}
