/** operator init: the keys and the root token of a new server, shown once. */

import type { Command } from 'commander';
import { type InitWish, init, initialized, sealStatus } from '../../client/sys.ts';
import { print } from '../output.ts';
import { asking, type Flags, open, remote, type Session } from '../session.ts';
import { Exit, type Terminal } from '../terminal.ts';
import { pgpKeyOf, pgpKeysOf } from './pgp.ts';
import { countOf } from './share.ts';

interface InitFlags extends Flags {
  readonly keyShares: string;
  readonly keyThreshold: string;
  readonly recoveryShares: string;
  readonly recoveryThreshold: string;
  readonly pgpKeys?: string;
  readonly recoveryPgpKeys?: string;
  readonly rootTokenPgpKey?: string;
  readonly storedShares?: string;
  readonly status?: boolean;
}

export function declareInit(group: Command, terminal: Terminal): void {
  remote(group, 'init', 'Initialize a server: its keys are shown once, here')
    .option('--key-shares <number>', 'how many shares the unseal key is split into', '5')
    .option('--key-threshold <number>', 'how many of them unseal', '3')
    .option('--pgp-keys <files>', 'a PGP key for each share, which it is encrypted for; separated by commas')
    .option('--root-token-pgp-key <file>', 'a PGP key, which the root token is encrypted for')
    .option('--recovery-shares <number>', 'shares of the recovery key, where a service unseals', '5')
    .option('--recovery-threshold <number>', 'how many of them are enough', '3')
    .option('--recovery-pgp-keys <files>', 'a PGP key for each of them')
    .option('--stored-shares <number>', 'accepted for compatibility: it has no effect')
    .option('--status', 'only say whether it is initialized: exit 0 yes, 2 no')
    .action(async (flags: InitFlags) => {
      const session = await open(terminal, flags);
      if (flags.status === true) return tellStatus(session);
      const wish = await wishOf(flags);
      const auto = (await sealStatus(asking(session))).raw['recovery_seal'] === true;
      const made = await init(session.client, wish, auto ? 'recovery' : 'shares');
      const { shares, threshold } = wish;
      const whole = {
        unseal_keys_b64: made.keysBase64,
        unseal_keys_hex: made.keys,
        unseal_shares: auto ? 0 : shares,
        unseal_threshold: auto ? 0 : threshold,
        recovery_keys_b64: made.recoveryKeysBase64,
        recovery_keys_hex: made.recoveryKeys,
        recovery_keys_shares: auto ? wish.recoveryShares : 0,
        recovery_keys_threshold: auto ? wish.recoveryThreshold : 0,
        root_token: made.rootToken,
      };
      print(terminal, session.format, whole, () =>
        [
          ...made.keysBase64.map((key, at) => `Unseal Key ${at + 1}: ${key}`),
          ...made.recoveryKeysBase64.map((key, at) => `Recovery Key ${at + 1}: ${key}`),
          '',
          `Initial Root Token: ${made.rootToken}`,
          '',
          ...(auto ? recoveryAdvice(wish) : sharesAdvice(shares, threshold)),
          '',
        ].join('\n'),
      );
    });
}

async function wishOf(flags: InitFlags): Promise<InitWish> {
  return {
    shares: countOf(flags.keyShares, '-key-shares'),
    threshold: countOf(flags.keyThreshold, '-key-threshold'),
    recoveryShares: countOf(flags.recoveryShares, '-recovery-shares'),
    recoveryThreshold: countOf(flags.recoveryThreshold, '-recovery-threshold'),
    pgpKeys: await pgpKeysOf(flags.pgpKeys),
    recoveryPgpKeys: await pgpKeysOf(flags.recoveryPgpKeys),
    rootTokenPgpKey: flags.rootTokenPgpKey === undefined ? undefined : await pgpKeyOf(flags.rootTokenPgpKey),
  };
}

async function tellStatus(session: Session): Promise<void> {
  const done = await initialized(session.client);
  print(session.terminal, session.format, { initialized: done }, () =>
    done ? 'Vault is initialized\n' : 'Vault is not initialized\n',
  );
  if (!done) throw new Exit(2);
}

const sharesAdvice = (shares: number, threshold: number): string[] => [
  `The server is initialized with ${shares} key share${shares === 1 ? '' : 's'} and a threshold of ${threshold}. Give the shares to`,
  `different people and keep them safe: whenever the server restarts, ${threshold} of them unseal it.`,
  `Without them nothing in it can be read again, by anybody.`,
];

const recoveryAdvice = ({ recoveryShares, recoveryThreshold }: InitWish): string[] => [
  'Success! Vault is initialized',
  '',
  `The recovery key has ${recoveryShares} shares and a threshold of ${recoveryThreshold}. Give the shares to different people and`,
  'keep them safe: with them a root token is made, and the shares themselves are replaced.',
];
