/** The server's configuration file, for commands that do without the server: what it names, and the keys that it takes. */

import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { Terminal } from '../../cli/terminal.ts';
import type { BackupTarget } from '../../server/backup/backups.ts';
import { readServerConfig, type ServerConfig } from '../../server/config/config.ts';
import type { Seals } from '../../server/seal/seal.ts';
import { openBackups } from '../server/backups.ts';
import { readConfigTexts } from '../server/files.ts';
import { openSeals } from '../server/seals.ts';

export interface OfflineWorld {
  readonly config: ServerConfig;
  readonly targets: readonly BackupTarget[];
  readonly seals: Seals;
  close(): void;
}

/** @throws Failure config.*, cli.unreadable */
export async function openWorld(paths: readonly string[], terminal: Terminal): Promise<OfflineWorld> {
  const config = readServerConfig(await readConfigTexts(paths), terminal.env);
  const { seals, close } = await openSeals(config.seals, {
    clock: systemClock,
    log: silentLog,
    env: terminal.env,
  });
  const targets = await openBackups(config.backups);
  return {
    config,
    seals,
    targets,
    close() {
      close();
      for (const { place } of targets) place.close();
    },
  };
}

/** The one that is meant where there is one only. @throws Failure backup.target */
export function targetOf(targets: readonly BackupTarget[], name: string | undefined): BackupTarget {
  const found =
    name === undefined && targets.length === 1 ? targets[0] : targets.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = targets.map((one) => one.name).join(', ');
  throw failure('backup.target', {
    name:
      name === undefined
        ? names === ''
          ? ''
          : `: name one of ${names}`
        : ` by the name ${JSON.stringify(name)}`,
  });
}

/**
 * As many unseal keys as are needed: those given, and the others asked for one by one.
 * @throws Failure cli.no_terminal, cli.usage
 */
export async function sharesOf(
  terminal: Terminal,
  given: readonly string[],
  needed: number,
  what: string,
): Promise<Uint8Array[]> {
  const texts = [...given];
  while (texts.length < needed && given.length === 0)
    texts.push((await terminal.secret(`Unseal key ${texts.length + 1} of ${needed} of ${what}: `)).trim());
  return texts.map(shareOf);
}

function shareOf(text: string): Uint8Array {
  const share = /^([0-9a-fA-F]{2})+$/.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  if (share.length >= 16) return share;
  throw failure('cli.usage', { reason: 'an unseal key is hexadecimal or base64, as operator init gave it' });
}
