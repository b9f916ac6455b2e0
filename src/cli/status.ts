/** status: whether the server is sealed. Exit 0 unsealed, 2 sealed, 1 where it cannot be asked. */

import type { Command } from 'commander';
import { isBag } from '../client/envelope.ts';
import { type SealStatus, sealStatus } from '../client/sys.ts';
import { keyValueTable, print } from './output.ts';
import { type Flags, open, remote, type Session } from './session.ts';
import { Exit, explain, type Terminal } from './terminal.ts';

export function declareStatus(program: Command, terminal: Terminal): void {
  remote(program, 'status', 'Print whether the server is sealed; exit 2 where it is').action(
    async (flags: Flags) => {
      const session = await open(terminal, flags);
      let status: SealStatus;
      try {
        status = await sealStatus(session.client);
      } catch (error) {
        terminal.err(`Error checking seal status: ${explain(error).text}`);
        throw new Exit(1);
      }
      const leader = await session.client.request('GET', 'sys/leader').then(
        (answer) => answer.json,
        () => undefined,
      );
      printSealStatus(session, status, isBag(leader) ? leader : {});
      if (status.sealed) throw new Exit(2);
    },
  );
}

/** The table of `status` and of `operator unseal`. */
export function printSealStatus(
  { terminal, format }: Session,
  status: SealStatus,
  leader: Readonly<Record<string, unknown>> = {},
): void {
  const { raw } = status;
  print(terminal, format, { ...raw, ...leader }, () =>
    keyValueTable(
      {
        'Seal Type': status.type,
        Initialized: status.initialized,
        Sealed: status.sealed,
        'Total Shares': status.shares,
        Threshold: status.threshold,
        ...(status.sealed && status.initialized
          ? {
              'Unseal Progress': `${status.progress}/${status.threshold}`,
              'Unseal Nonce': raw['nonce'] === '' ? 'n/a' : raw['nonce'],
            }
          : {}),
        Version: status.version,
        'Build Date': raw['build_date'] ?? 'n/a',
        'Storage Type': raw['storage_type'] ?? 'n/a',
        ...(typeof raw['cluster_name'] === 'string' ? { 'Cluster Name': raw['cluster_name'] } : {}),
        ...(typeof raw['cluster_id'] === 'string' ? { 'Cluster ID': raw['cluster_id'] } : {}),
        'HA Enabled': leader['ha_enabled'] ?? false,
      },
      false,
    ),
  );
}
