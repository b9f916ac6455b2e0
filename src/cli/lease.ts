/** lease: look at, renew and take back what was given out for a time. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { type Flags, open, printSecret, remote, success } from './session.ts';
import type { Terminal } from './terminal.ts';

interface RevokeFlags extends Flags {
  readonly force?: boolean;
  readonly prefix?: boolean;
  readonly sync?: boolean;
}

export function declareLease(program: Command, terminal: Terminal): void {
  const group = program.command('lease').description('Interact with leases');

  remote(group, 'lookup <id>', 'Show when a lease was given and when it ends').action(
    async (id: string, flags: Flags) => {
      const session = await open(terminal, flags);
      const body = { lease_id: id.trim() };
      printSecret(session, await session.client.request('PUT', 'sys/leases/lookup', { body }));
    },
  );

  remote(group, 'renew <id>', 'Give a lease more time')
    .option('-i, --increment <duration>', 'how much, from now')
    .action(async (id: string, flags: Flags & { increment?: string }) => {
      const session = await open(terminal, flags);
      const body = { lease_id: id.trim(), increment: flags.increment ?? 0 };
      printSecret(session, await session.client.request('PUT', 'sys/leases/renew', { body }));
    });

  remote(group, 'revoke <id>', 'Take back a lease, or all below a prefix')
    .option('--prefix', 'the argument is a prefix of leases')
    .option('-f, --force', 'with -prefix: forget them even where taking them back fails')
    .option('--sync', 'wait until it is done, and fail where it fails')
    .action(async (typed: string, flags: RevokeFlags) => {
      const id = typed.trim();
      if (flags.force === true && flags.prefix !== true)
        throw failure('cli.usage', { reason: 'Specifying -force requires also specifying -prefix' });
      const session = await open(terminal, flags);
      if (flags.force === true)
        terminal.err(
          'Warning! What the forgotten leases covered may live on outside: look there, and take it back by hand.\n',
        );
      const kind = flags.force === true ? 'revoke-force' : flags.prefix === true ? 'revoke-prefix' : 'revoke';
      // A prefix may end in a slash; a path that is written to may not.
      const path = `sys/leases/${kind}/${id.replace(/\/+$/, '')}`;
      const body = flags.force === true ? {} : { sync: flags.sync === true };
      await session.client.request('PUT', path, { body });
      if (flags.force === true) return success(session, `Force revoked any leases with prefix: ${id}`);
      if (flags.sync === true)
        return success(
          session,
          flags.prefix === true ? `Revoked any leases with prefix: ${id}` : `Revoked lease: ${id}`,
        );
      if (session.format === 'table') terminal.out('All revocation operations queued successfully!\n');
    });
}
