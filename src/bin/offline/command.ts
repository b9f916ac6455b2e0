/** `backup` and `storage`: declared with what they do without a server, which is loaded only when it is wanted. */

import type { Command } from 'commander';
import { declareBackup } from '../../cli/backup.ts';
import type { Offline } from '../../cli/offline.ts';
import { declareStorage } from '../../cli/storage.ts';
import type { Terminal } from '../../cli/terminal.ts';

const offline: Offline = {
  async list(...given) {
    const { listOffline } = await import('./restore.ts');
    return listOffline(...given);
  },
  async restore(...given) {
    const { restoreOffline } = await import('./restore.ts');
    return restoreOffline(...given);
  },
  async verify(...given) {
    const { verifyOffline } = await import('./verify.ts');
    return verifyOffline(...given);
  },
};

export function declareOffline(program: Command, terminal: Terminal): void {
  declareBackup(program, terminal, offline);
  declareStorage(program, terminal, offline);
}
