/**
 * storage verify: whether what lies in the store is what was written. Exit 0: it is whole. 2: something was changed, lost, added
 * or rolled back. 1: it could not be judged, which an alarm must not take for either.
 */

import type { Command } from 'commander';
import { isFailure } from '../base/errors.ts';
import { tame } from '../base/tame.ts';
import { bagOf } from '../client/envelope.ts';
import { keysOf } from './backup.ts';
import type { Offline, StoreState } from './offline.ts';
import { formatOf, keyValueTable, print } from './output.ts';
import { type Flags, open, remote } from './session.ts';
import { more } from './settings.ts';
import { Exit, explain, type Terminal } from './terminal.ts';

type VerifyFlags = Flags & { readonly config?: readonly string[]; readonly key?: readonly string[] };

/** A medium that does not give what it holds, or no longer, is damaged or was rolled back, and nothing else. */
const FINDINGS = ['storage.unreadable', 'storage.corrupt', 'storage.older'] as const;

export function declareStorage(program: Command, terminal: Terminal, offline: Offline): void {
  const group = program.command('storage').description('Look after what lies in the store');
  remote(group, 'verify', 'Tell whether entries were changed, lost, added or rolled back')
    .option('--config <path>', 'without a server: its configuration file; may be given again', more)
    .option(
      '--key <key>',
      'with -config: an unseal key; - reads them, a line each; else they are asked for',
      more,
    )
    .action(async (flags: VerifyFlags) => {
      const found = await look(flags).catch((error: unknown): never => {
        if (error instanceof Exit) throw error;
        terminal.err(explain(error).text);
        throw new Exit(FINDINGS.some((code) => isFailure(error, code)) ? 2 : 1);
      });
      const whole = found.damaged.length === 0 && found.set === 'matches' && found.behind.length === 0;
      print(terminal, formatOf(terminal, flags.format), { whole, ...found }, () => told(found, whole));
      if (!whole) throw new Exit(2);
    });

  async function look(flags: VerifyFlags): Promise<StoreState> {
    const { config, key = [] } = flags;
    if (config !== undefined) return offline.verify(config, await keysOf(terminal, key), terminal);
    const patient = { ...terminal, env: { VAULT_CLIENT_TIMEOUT: '24h', ...terminal.env } };
    const session = await open(patient, flags);
    const answer = await session.client.request('GET', 'sys/storage/verify');
    const data = bagOf(answer.envelope?.data);
    const texts = (name: string): string[] => {
      const value = data[name];
      return Array.isArray(value) ? value.map(String) : [];
    };
    return {
      entries: Number(data['entries'] ?? 0),
      expected: data['expected'] === null ? null : Number(data['expected']),
      damaged: texts('damaged'),
      set: String(data['set'] ?? 'unreadable'),
      behind: texts('behind'),
    };
  }
}

function told({ entries, expected, damaged, set, behind }: StoreState, whole: boolean): string {
  const rows = keyValueTable(
    { Entries: entries, Expected: expected ?? '?', Damaged: damaged.length, 'Set Hash': set },
    false,
  );
  const findings = [
    ...damaged.map((name) => `Damaged: ${tame(name)}\n`),
    ...(set === 'differs' && damaged.length === 0 ? [DIFFERS[compare(entries, expected)]] : []),
    ...(set === 'unreadable' ? ['The record of what should be there does not open.\n'] : []),
    ...behind.map(
      (name) => `The store is older than the newest backup of "${name}": it was restored, or rolled back.\n`,
    ),
  ];
  return `${rows}\n${findings.join('')}${whole ? 'The store is whole.\n' : 'The store is NOT whole: restore a verified backup (holdfast backup restore).\n'}`;
}

const compare = (entries: number, expected: number | null): 'fewer' | 'more' | 'same' =>
  expected === null || entries === expected ? 'same' : entries < expected ? 'fewer' : 'more';

/** A set-hash says that there is something, never where: whatever is there opens. */
const DIFFERS: Readonly<Record<'fewer' | 'more' | 'same', string>> = {
  fewer: 'Entries are missing. What is there opens, so that none can be named.\n',
  more: 'Entries are there that were deleted. All of them open, so that none can be named.\n',
  same: 'An entry is not the newest that was written: it was rolled back. All of them open, so that none can be named.\n',
};
