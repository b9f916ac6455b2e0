/** operator: init, unseal, seal. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { init, initialized, seal, sealStatus, unseal } from '../client/sys.ts';
import { print } from './output.ts';
import { type Flags, open, remote, success } from './session.ts';
import { printSealStatus } from './status.ts';
import { Exit, type Terminal } from './terminal.ts';

interface InitFlags extends Flags {
  readonly keyShares: string;
  readonly keyThreshold: string;
  readonly status?: boolean;
}

export function declareOperator(program: Command, terminal: Terminal): void {
  const group = program.command('operator').description('Perform operator-specific tasks');

  remote(group, 'init', 'Initialize a server: its keys are shown once, here')
    .option('--key-shares <number>', 'how many shares the unseal key is split into', '5')
    .option('--key-threshold <number>', 'how many of them unseal', '3')
    .option('--status', 'only say whether it is initialized: exit 0 yes, 2 no')
    .action(async (flags: InitFlags) => {
      const shares = countOf(flags.keyShares, '-key-shares');
      const threshold = countOf(flags.keyThreshold, '-key-threshold');
      const session = await open(terminal, flags);
      if (flags.status === true) {
        const done = await initialized(session.client);
        terminal.out(done ? 'Vault is initialized\n' : 'Vault is not initialized\n');
        if (!done) throw new Exit(2);
        return;
      }
      const made = await init(session.client, shares, threshold);
      const whole = {
        unseal_keys_b64: made.keysBase64,
        unseal_keys_hex: made.keys,
        unseal_shares: shares,
        unseal_threshold: threshold,
        recovery_keys_b64: [],
        recovery_keys_hex: [],
        recovery_keys_shares: 0,
        recovery_keys_threshold: 0,
        root_token: made.rootToken,
      };
      print(terminal, session.format, whole, () =>
        [
          ...made.keysBase64.map((key, at) => `Unseal Key ${at + 1}: ${key}`),
          '',
          `Initial Root Token: ${made.rootToken}`,
          '',
          `The server is initialized with ${shares} key share${shares === 1 ? '' : 's'} and a threshold of ${threshold}. Give the shares to`,
          `different people and keep them safe: whenever the server restarts, ${threshold} of them unseal it.`,
          `Without them nothing in it can be read again, by anybody.`,
          '',
        ].join('\n'),
      );
    });

  remote(group, 'unseal [key]', 'Give one share of the unseal key')
    .option('--reset', 'take back the shares given so far')
    .action(async (key: string | undefined, flags: Flags & { reset?: boolean }) => {
      const session = await open(terminal, flags);
      if (flags.reset === true)
        return printSealStatus(session, await unseal(session.client, { reset: true }));
      const share =
        key === undefined
          ? await terminal.secret('Unseal Key (will be hidden): ')
          : key === '-'
            ? await terminal.stdin()
            : key;
      printSealStatus(session, await unseal(session.client, { key: share.trim() }));
    });

  remote(
    group,
    'seal',
    'Seal the server: it forgets its keys and answers nothing until it is unsealed',
  ).action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    if ((await sealStatus(session.client)).sealed) return success(session, 'Vault is already sealed.');
    await seal(session.client);
    success(session, 'Vault is sealed.');
  });
}

function countOf(text: string, flag: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw failure('cli.usage', { reason: `${flag} takes a number` });
}
