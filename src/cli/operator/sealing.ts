/** operator unseal and seal. */

import type { Command } from 'commander';
import { seal, sealStatus, unseal } from '../../client/sys.ts';
import { asking, type Flags, open, remote, success } from '../session.ts';
import { leaderOf, printSealStatus } from '../status.ts';
import type { Terminal } from '../terminal.ts';
import { shareOf } from './share.ts';

interface UnsealFlags extends Flags {
  readonly reset?: boolean;
  readonly migrate?: boolean;
}

export function declareSealing(group: Command, terminal: Terminal): void {
  remote(group, 'unseal [key]', 'Give one share of the unseal key')
    .option('--reset', 'take back the shares given so far')
    .option('--migrate', 'the share is given to move to another seal')
    .action(async (key: string | undefined, flags: UnsealFlags) => {
      const session = await open(terminal, flags);
      const status = await unseal(
        session.client,
        flags.reset === true
          ? { reset: true }
          : {
              key: await shareOf(session, key),
              ...(flags.migrate === true ? { migrate: true } : {}),
            },
      );
      printSealStatus(session, status, await leaderOf(session));
    });

  remote(
    group,
    'seal',
    'Seal the server: it forgets its keys and answers nothing until it is unsealed',
  ).action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    if ((await sealStatus(asking(session))).sealed) return success(session, 'Vault is already sealed.');
    await seal(session.client);
    success(session, 'Vault is sealed.');
  });
}
