/** status: whether the server is sealed. Exit 0 unsealed, 2 sealed, 1 where it cannot be asked. */

import type { Command } from 'commander';
import type { Json } from '../base/json.ts';
import { isBag } from '../client/envelope.ts';
import { type SealStatus, sealStatus } from '../client/sys.ts';
import { keyValueTable, print } from './output.ts';
import { type Flags, open, remote, type Session, tellWarnings } from './session.ts';
import { Exit, explain, type Terminal } from './terminal.ts';

export function declareStatus(program: Command, terminal: Terminal): void {
  remote(program, 'status', 'Print whether the server is sealed; exit 2 where it is').action(
    async (flags: Flags) => {
      const session = await open(terminal, flags);
      let status: SealStatus;
      try {
        status = await sealStatus(session.client);
      } catch (error) {
        if (error instanceof Exit) throw error;
        terminal.err(`Error checking seal status: ${explain(error).text}`);
        throw new Exit(1);
      }
      printSealStatus(session, status, await leaderOf(session));
      if (status.sealed) throw new Exit(2);
    },
  );
}

/** What the server says of its leader; nothing where it does not say, as while it is sealed. */
export const leaderOf = async ({ client }: Session): Promise<Readonly<Record<string, Json>>> =>
  client.request('GET', 'sys/leader').then(
    ({ json }) => (isBag(json) ? json : {}),
    () => ({}),
  );

/** The table of `status` and of `operator unseal`. */
export function printSealStatus(
  { terminal, format }: Session,
  status: SealStatus,
  leader: Readonly<Record<string, unknown>> = {},
): void {
  const { raw } = status;
  const recovery = raw['recovery_seal'] === true;
  const warnings = Array.isArray(raw['warnings']) ? raw['warnings'].map(String) : [];
  if (format === 'table') tellWarnings({ terminal }, warnings);
  print(terminal, format, { ...raw, ...leader }, () =>
    keyValueTable(
      {
        'Seal Type': status.type,
        ...(recovery ? { 'Recovery Seal Type': raw['recovery_seal_type'] ?? 'n/a' } : {}),
        Initialized: status.initialized,
        Sealed: status.sealed,
        [recovery ? 'Total Recovery Shares' : 'Total Shares']: status.shares,
        Threshold: status.threshold,
        ...(status.sealed && status.initialized
          ? {
              'Unseal Progress': `${status.progress}/${status.threshold}`,
              'Unseal Nonce': raw['nonce'] === '' ? 'n/a' : raw['nonce'],
            }
          : {}),
        ...(raw['migration'] === true ? { 'Seal Migration in Progress': true } : {}),
        Version: status.version,
        'Build Date': raw['build_date'] ?? 'n/a',
        'Storage Type': raw['storage_type'] ?? 'n/a',
        ...(typeof raw['cluster_name'] === 'string' ? { 'Cluster Name': raw['cluster_name'] } : {}),
        ...(typeof raw['cluster_id'] === 'string' ? { 'Cluster ID': raw['cluster_id'] } : {}),
        'HA Enabled': leader['ha_enabled'] ?? false,
        ...clusterRows(status, leader),
      },
      false,
    ),
  );
}

/** What a server of several nodes says besides. */
function clusterRows(
  status: SealStatus,
  leader: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (leader['ha_enabled'] !== true) return {};
  const index = (name: string): unknown => (Number(leader[name] ?? 0) > 0 ? leader[name] : undefined);
  const rows = {
    'HA Cluster': leader['leader_cluster_address'] || 'n/a',
    'HA Mode': status.sealed ? 'sealed' : leader['is_self'] === true ? 'active' : 'standby',
    'Active Since': leader['is_self'] === true ? leader['active_time'] : undefined,
    'Active Node Address': leader['is_self'] === true ? undefined : leader['leader_address'] || '<none>',
    'Raft Committed Index': index('raft_committed_index'),
    'Raft Applied Index': index('raft_applied_index'),
  };
  return Object.fromEntries(Object.entries(rows).filter(([, value]) => value !== undefined));
}
