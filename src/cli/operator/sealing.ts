/** operator unseal and seal. */

import type { Command } from 'commander';
import { type SealStatus, seal, sealStatus, unseal } from '../../client/sys.ts';
import { asking, type Flags, open, remote, type Session, success } from '../session.ts';
import { leaderOf, printSealStatus } from '../status.ts';
import type { Terminal } from '../terminal.ts';
import { shareOf } from './share.ts';

interface UnsealFlags extends Flags {
  readonly reset?: boolean;
  readonly migrate?: boolean;
}

/** What a share is for, where it is not that of an unseal key: people else search for unseal keys that do not exist. */
function tellWhose({ terminal, format }: Session, { raw, type, sealed, initialized }: SealStatus): void {
  if (format !== 'table' || !sealed || !initialized) return;
  if (raw['migration'] === true)
    terminal.err(
      `The store of this server waits to be moved to the seal "${type}": give the shares of the old seal (unseal keys, or\n` +
        'recovery keys), each with -migrate. They stay valid, and have the other meaning afterwards.\n',
    );
  else if (raw['recovery_seal'] === true)
    terminal.err(
      `This server is opened by its seal "${type}", by itself, when it starts. Shares of the recovery key open nothing:\n` +
        'enough of them have it ask its seal again now.\n',
    );
}

export function declareSealing(group: Command, terminal: Terminal): void {
  remote(group, 'unseal [key]', 'Give one share of the unseal key')
    .option('--reset', 'take back the shares given so far')
    .option('--migrate', 'the share is given to move to another seal')
    .action(async (key: string | undefined, flags: UnsealFlags) => {
      const session = await open(terminal, flags);
      if (flags.reset === true)
        return printSealStatus(
          session,
          await unseal(session.client, { reset: true }),
          await leaderOf(session),
        );
      const before = await sealStatus(asking(session));
      tellWhose(session, before);
      const whose =
        before.raw['recovery_seal'] === true && before.raw['migration'] !== true ? 'Recovery' : 'Unseal';
      const share = {
        key: await shareOf(session, key, `${whose} Key (will be hidden): `),
        ...(flags.migrate === true ? { migrate: true } : {}),
      };
      printSealStatus(session, await unseal(session.client, share), await leaderOf(session));
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
