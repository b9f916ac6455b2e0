/**
 * backup: copies of the whole store, each verified. A running server makes, lists, verifies, prunes and restores them; with
 * `-config=FILE` the list and the restore need none.
 */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { bagOf, isBag } from '../client/envelope.ts';
import { ageText, sizeText } from './backuptext.ts';
import type { ListedBackup, ListedBackups, Offline, Restored } from './offline.ts';
import { formatOf, keyValueTable, print, table } from './output.ts';
import { type Flags, open, printSecret, remote, type Session } from './session.ts';
import { more } from './settings.ts';
import { Exit, type Terminal } from './terminal.ts';

type BackupFlags = Flags & {
  readonly target?: string;
  readonly config?: readonly string[];
  readonly at?: string;
  readonly key?: readonly string[];
  readonly force?: boolean;
  readonly yes?: boolean;
};

/** A large store takes as long as it takes; the server answers once it is done. */
const PATIENCE = '24h';

export function declareBackup(program: Command, terminal: Terminal, offline: Offline): void {
  const group = program.command('backup').description('Make, verify and restore copies of the whole store');
  const targeted = (usage: string, summary: string): Command =>
    remote(group, usage, summary).option(
      '--target <name>',
      'the backup stanza that is meant, where there are several',
    );
  const configured = (command: Command): Command =>
    command.option('--config <path>', 'without a server: its configuration file; may be given again', more);
  const asked = (flags: BackupFlags): Promise<Session> => open(patient(terminal), flags);

  remote(group, 'status', 'Tell where backups go, when, and how the last of them went').action(
    async (flags: Flags) => {
      const session = await open(terminal, flags);
      const answer = await session.client.request('GET', 'sys/backup');
      const targets = listOf(bagOf(answer.envelope?.data)['targets']);
      print(terminal, session.format, targets, () => statusTable(targets));
    },
  );

  targeted('create', 'Make a backup now, and verify it').action(async (flags: BackupFlags) => {
    const session = await asked(flags);
    const body = { target: flags.target ?? '' };
    printSecret(session, await session.client.request('POST', 'sys/backup/create', { body }));
  });

  configured(targeted('list', 'List the backups that there are')).action(async (flags: BackupFlags) => {
    const found = await listed(flags);
    print(terminal, formatOf(terminal, flags.format), found, () => listTable(found, Date.now()));
  });

  async function listed(flags: BackupFlags): Promise<ListedBackups> {
    const { config, target } = flags;
    if (config !== undefined) return offline.list(config, target, terminal);
    const session = await asked(flags);
    const answer = await session.client.request('GET', 'sys/backup/list', {
      query: { target: target ?? '' },
    });
    const data = bagOf(answer.envelope?.data);
    return {
      target: String(data['target'] ?? ''),
      place: String(data['place'] ?? ''),
      backups: listOf(data['backups']).map(listedOf),
    };
  }

  targeted(
    'verify [name]',
    'Restore a backup, by default the newest, into a store of its own, and compare',
  ).action(async (name: string | undefined, flags: BackupFlags) => {
    const session = await asked(flags);
    const body = { target: flags.target ?? '', ...(name === undefined ? {} : { name }) };
    printSecret(session, await session.client.request('POST', 'sys/backup/verify', { body }));
  });

  targeted('prune', 'Remove backups that are older than they are kept; never the last verified one')
    .option('--yes', 'do it; without, what would be done is told')
    .action(async (flags: BackupFlags) => {
      const session = await asked(flags);
      const query = { target: flags.target ?? '' };
      const answer =
        flags.yes === true
          ? await session.client.request('POST', 'sys/backup/prune', { body: query })
          : await session.client.request('GET', 'sys/backup/prune', { query });
      const data = bagOf(answer.envelope?.data);
      const remove = listOf(data['remove']);
      print(terminal, session.format, data, () => pruneText(data, flags.yes === true));
      if (remove.length > 0 && flags.yes !== true) refuse('removed');
    });

  configured(
    targeted('restore [name]', 'Put a backup, by default the newest verified one, in place of everything'),
  )
    .option('--at <time>', 'the newest verified one at or before this time (RFC 3339)')
    .option(
      '--key <key>',
      'an unseal key of its day, where another server made it; - reads them, a line each',
      more,
    )
    .option('-f, --force', 'even where it is of other keys, is damaged, or (with -config) a store is there')
    .option('--yes', 'do it; without, what would be done is told')
    .action(async (name: string | undefined, flags: BackupFlags) => {
      const at = timeOf(flags.at);
      if (name !== undefined && at !== undefined)
        throw failure('cli.usage', { reason: 'give the name of a backup, or -at, and not both' });
      const keys = await keysOf(terminal, flags.key ?? []);
      const { config, target, force = false, yes = false } = flags;
      if (config !== undefined) {
        const wish = { target, name, at, force, dry: !yes, keys };
        const done = await offline.restore(config, wish, terminal);
        print(terminal, formatOf(terminal, flags.format), done, () => restoreText(done, yes));
        if (!yes) refuse('changed');
        return;
      }
      const session = await asked(flags);
      if (!yes) {
        const found = await listed(flags);
        const backup = chosen(found.backups, name, at);
        const plan = { backup, place: found.place, into: session.client.address, replaces: true };
        print(terminal, session.format, plan, () => restoreText(plan, false));
        refuse('changed');
      }
      const body = {
        ...{ target: target ?? '', force, keys },
        ...(name === undefined ? {} : { name }),
        ...(at === undefined ? {} : { at: new Date(at).toISOString() }),
      };
      printSecret(session, await session.client.request('POST', 'sys/backup/restore', { body }));
    });

  function refuse(what: string): never {
    terminal.err(`Nothing was ${what}: run it again with -yes.\n`);
    throw new Exit(1);
  }
}

/** The terminal, with a client that waits where nobody said for how long. */
const patient = (terminal: Terminal): Terminal => ({
  ...terminal,
  env: { VAULT_CLIENT_TIMEOUT: PATIENCE, ...terminal.env },
});

/** The keys given, those of standard input for "-". */
export async function keysOf(terminal: Terminal, given: readonly string[]): Promise<readonly string[]> {
  const texts = given.includes('-') ? [...given, ...(await terminal.stdin()).split('\n')] : given;
  return texts.map((text) => text.trim()).filter((text) => text !== '' && text !== '-');
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const at = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw failure('cli.usage', {
    reason:
      '-at takes a time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31, of which it is the beginning in UTC',
  });
}

/** As the server would choose, for the plan. @throws Failure backup.absent */
function chosen(
  backups: readonly ListedBackup[],
  name: string | undefined,
  at = Number.POSITIVE_INFINITY,
): ListedBackup {
  const fits = backups.filter((one) =>
    name === undefined ? one.state !== 'unverified' && Date.parse(one.created) <= at : one.name === name,
  );
  const newest = fits.sort((a, b) => Date.parse(a.created) - Date.parse(b.created)).at(-1);
  if (newest !== undefined) return newest;
  throw failure('backup.absent', { name: name ?? 'that was verified, at or before that time' });
}

const listOf = (value: Json | undefined) => (Array.isArray(value) ? value.filter(isBag) : []);
type Bag = ReturnType<typeof bagOf>;

function listedOf(bag: Bag): ListedBackup {
  const text = (key: string): string => String(bag[key] ?? '');
  const number = (key: string): number => Number(bag[key] ?? 0);
  return {
    ...{ name: text('name'), created: text('created'), state: text('state') },
    ...{ bytes: number('bytes'), entries: number('entries'), revision: number('revision') },
  };
}

const ROW = (one: ListedBackup, now: number): string[] => [
  one.name,
  ageText(now - Date.parse(one.created)),
  sizeText(one.bytes),
  one.entries === 0 ? '?' : String(one.entries),
  one.state,
];

const listTable = ({ target, place, backups }: ListedBackups, now: number): string =>
  backups.length === 0
    ? `There are no backups of "${target}" in ${place}.\n`
    : table([['Name', 'Age', 'Size', 'Entries', 'State'], ...backups.map((one) => ROW(one, now))]);

function statusTable(targets: readonly Bag[]): string {
  if (targets.length === 0) return 'No backups are configured: see docs/backup.md.\n';
  const text = (value: Json | undefined): string =>
    value === '' || value === undefined ? '-' : String(value);
  return targets
    .map((one) =>
      keyValueTable(
        {
          Name: text(one['name']),
          Place: text(one['place']),
          Schedule: text(one['schedule']),
          'Kept For': ageText(Number(one['keep'] ?? 0) * 1000),
          'Last Verified': text(one['last_verified']),
          'Last Try': text(one['last_try']),
          'Next Try': text(one['next']),
          Problem: text(one['problem']),
          ...(one['running'] === true ? { Running: 'true' } : {}),
          ...(one['behind'] === true ? { Warning: 'the store is older than its newest backup' } : {}),
        },
        false,
      ),
    )
    .join('\n');
}

function pruneText(data: Bag, done: boolean): string {
  const remove = listOf(data['remove']).map(listedOf);
  const spared = listOf(data['spared']);
  const lines = [
    remove.length === 0
      ? 'No backup is older than it is kept.\n'
      : `${done ? 'Removed' : 'Would remove'}:\n\n${table([['Name', 'Age', 'Size', 'Entries', 'State'], ...remove.map((one) => ROW(one, Date.now()))])}`,
    ...spared.map((one) => `Kept: ${String(one['name'])}, ${REASONS[String(one['reason'])] ?? ''}\n`),
  ];
  return lines.join('');
}

const REASONS: Readonly<Record<string, string>> = {
  'last verified': 'the last that was verified',
  foreign: 'which this server did not make',
};

function restoreText({ backup, place, into, replaces }: Restored, done: boolean): string {
  const head = done ? 'Restored' : 'Would restore';
  const rows = keyValueTable(
    {
      Backup: backup.name,
      From: place,
      Into: into,
      Made: backup.created,
      Entries: backup.entries === 0 ? '?' : backup.entries,
      State: backup.state,
    },
    false,
  );
  const lost = replaces ? `Everything written since ${backup.created} is gone afterwards.\n` : '';
  const after = done ? 'Start the server, and unseal it with the keys of that day.\n' : '';
  return `${head}:\n\n${rows}\n${done ? '' : lost}${after}`;
}
