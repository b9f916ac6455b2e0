/** operator: what is done to a server as a whole, by those who hold its key shares or its root. */

import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { declareCluster } from './cluster.ts';
import { declareGenerateRoot } from './generateroot.ts';
import { declareInit } from './init.ts';
import { declareKeyring } from './keyring.ts';
import { declareRaft } from './raft.ts';
import { declareRekey } from './rekey.ts';
import { declareSealing } from './sealing.ts';

export function declareOperator(program: Command, terminal: Terminal): void {
  const group = program.command('operator').description('Perform operator-specific tasks');
  declareInit(group, terminal);
  declareSealing(group, terminal);
  declareRekey(group, terminal);
  declareGenerateRoot(group, terminal);
  declareKeyring(group, terminal);
  declareRaft(group, terminal);
  declareCluster(group, terminal);
}
