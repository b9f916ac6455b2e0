/** operator members and step-down: the nodes of a cluster. */

import type { Command } from 'commander';
import { bagOf } from '../../client/envelope.ts';
import { cell, print, table } from '../output.ts';
import { type Flags, open, remote, success } from '../session.ts';
import type { Terminal } from '../terminal.ts';

export function declareCluster(group: Command, terminal: Terminal): void {
  remote(group, 'members', 'List the nodes of the cluster').action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    const answer = await session.client.request('GET', 'sys/ha-status');
    const nodes = bagOf(answer.envelope?.data)['nodes'];
    // Upstream spells this one with a capital letter, and scripts read it so.
    print(terminal, session.format, { Nodes: nodes ?? [] }, () =>
      table([
        [
          'Host Name',
          'API Address',
          'Cluster Address',
          'Active Node',
          'Version',
          'Upgrade Version',
          'Last Echo',
        ],
        ...(Array.isArray(nodes) ? nodes : []).map((node) => {
          const of = (name: string): string => cell(bagOf(node)[name] || 'n/a');
          return [
            of('hostname'),
            of('api_address'),
            of('cluster_address'),
            cell(bagOf(node)['active_node'] === true),
            of('version'),
            of('upgrade_version'),
            of('last_echo'),
          ];
        }),
      ]),
    );
  });

  remote(group, 'step-down', 'Make the active node give its place to another').action(
    async (flags: Flags) => {
      const session = await open(terminal, flags);
      await session.client.request('PUT', 'sys/step-down', { body: {} });
      success(session, `Stepped down: ${session.client.address}`);
    },
  );
}
