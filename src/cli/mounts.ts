/** secrets and auth: enable, list, tune and disable what is mounted. The two differ in one word of the API's path. */

import { type Command, Option } from 'commander';
import { failure } from '../base/errors.ts';
import { sleep } from '../base/retry.ts';
import { bagOf } from '../client/envelope.ts';
import { authMounts, type MountInfo, mounts } from '../client/sys.ts';
import { declareAuthHelp } from './authhelp.ts';
import { configOf, given, optionsOf, type TuningFlags, withTuning } from './mounttuning.ts';
import { cell, print, table } from './output.ts';
import { type Flags, open, remote, type Session, spell, success } from './session.ts';
import { Exit, type Terminal } from './terminal.ts';

interface EnableFlags extends TuningFlags {
  readonly path?: string;
  readonly local?: boolean;
  readonly sealWrap?: boolean;
  readonly externalEntropyAccess?: boolean;
  readonly pluginName?: string;
}

interface Side {
  readonly command: 'secrets' | 'auth';
  readonly api: 'sys/mounts' | 'sys/auth';
  readonly noun: string;
  readonly list: typeof mounts;
}

const SIDES: readonly Side[] = [
  { command: 'secrets', api: 'sys/mounts', noun: 'secrets engine', list: mounts },
  { command: 'auth', api: 'sys/auth', noun: 'auth method', list: authMounts },
];

export function declareMounts(program: Command, terminal: Terminal): void {
  for (const side of SIDES) declareSide(program, side, terminal);
}

function declareSide(program: Command, { command, api, noun, list }: Side, terminal: Terminal): void {
  const group = program.command(command).description(`Interact with ${noun}s`);

  withTuning(remote(group, 'enable <type>', `Enable a ${noun}`), command)
    .option('--path <path>', 'where; by default under the name of its type')
    .option('--local', 'accepted for compatibility: there is one cluster')
    .addOption(new Option('--seal-wrap', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--external-entropy-access', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--plugin-name <name>', 'accepted for compatibility').hideHelp())
    .action(async (typed: string, flags: EnableFlags) => {
      const type = typed === 'plugin' ? (flags.pluginName ?? typed) : typed;
      const path = (flags.path ?? type).replace(/\/+$/, '');
      const body = given({
        type,
        description: flags.description,
        config: configOf(flags),
        ...optionsOf(flags),
        local: flags.local,
        seal_wrap: flags.sealWrap,
        external_entropy_access: flags.externalEntropyAccess,
      });
      const session = await open(terminal, flags);
      await session.client.request('POST', `${api}/${path}`, { body });
      success(
        session,
        command === 'secrets'
          ? `Enabled the ${type} ${noun} at: ${path}/`
          : `Enabled ${type} ${noun} at: ${path}/`,
      );
    });

  remote(group, 'list', `List the ${noun}s`)
    .option('--detailed', 'all there is to tell')
    .action(async (flags: Flags & { detailed?: boolean }) => {
      const session = await open(terminal, flags);
      const found = [...(await list(session.client))].sort((a, b) => (a.path < b.path ? -1 : 1));
      print(
        terminal,
        session.format,
        Object.fromEntries(found.map((mount) => [mount.path, mount.raw])),
        () => (flags.detailed === true ? detailed(found, command) : brief(found)),
      );
    });

  withTuning(remote(group, 'tune <path>', `Change the settings of a ${noun}`), command).action(
    async (typed: string, flags: TuningFlags) => {
      const path = typed.replace(/\/+$/, '');
      const body = { ...configOf(flags), ...given({ description: flags.description }), ...optionsOf(flags) };
      const session = await open(terminal, flags);
      await session.client.request('POST', `${api}/${path}/tune`, { body });
      success(session, `Tuned the ${noun} at: ${path}/`);
    },
  );

  remote(group, 'move <from> <to>', `Move a ${noun} to another path, with all it holds`).action(
    async (from: string, to: string, flags: Flags) =>
      move(await open(terminal, flags), { command, noun, from: folder(from), to: folder(to) }),
  );

  remote(group, 'disable <path>', `Disable a ${noun}, with all it holds`).action(
    async (typed: string, flags: Flags) => {
      const session = await open(terminal, flags);
      const path = typed.replace(/\/+$/, '');
      await session.client.request('DELETE', `${api}/${path}`);
      success(session, `Disabled the ${noun} (if it existed) at: ${path}/`);
    },
  );
  if (command === 'auth') declareAuthHelp(group, terminal);
}

const folder = (path: string): string => `${path.replace(/^\/+|\/+$/g, '')}/`;

/** Between questions about a move that takes its time. */
const MOVE_WAIT_MS = 1000;

/** Asks for the move, and goes on asking until it has come to an end. */
async function move(
  session: Session,
  {
    command,
    noun,
    from,
    to,
  }: { readonly command: Side['command']; readonly noun: string; readonly from: string; readonly to: string },
): Promise<void> {
  const { client, terminal, format } = session;
  const prefix = command === 'auth' ? 'auth/' : '';
  const answer = await client.request('POST', 'sys/remount', {
    body: { from: prefix + from, to: prefix + to },
  });
  const id = bagOf(answer.envelope?.data)['migration_id'];
  if (typeof id !== 'string')
    throw failure('api.garbage', { address: client.address, reason: 'it did not name the move' });
  const tell = (text: string): void => {
    if (format === 'table') terminal.out(`${text} ${noun} ${from} to ${to}, with migration ID ${id}\n`);
  };
  tell('Started moving');
  for (;;) {
    const told = await client.request('GET', `sys/remount/status/${id}`);
    const status = bagOf(bagOf(told.envelope?.data)['migration_info'])['status'];
    if (status === 'success') return tell('Success! Finished moving');
    if (status !== 'in-progress') {
      terminal.err(`Failure! Error encountered moving ${noun} ${from} to ${to}, with migration ID ${id}\n`);
      throw new Exit(2);
    }
    await sleep(MOVE_WAIT_MS);
  }
}

const brief = (found: readonly MountInfo[]): string =>
  table([
    ['Path', 'Type', 'Accessor', 'Description'],
    ...found.map((m) => [m.path, m.type, m.accessor, m.description || 'n/a']),
  ]);

const detailed = (found: readonly MountInfo[], side: Side['command']): string =>
  table([
    [
      'Path',
      'Plugin',
      'Accessor',
      'Default TTL',
      'Max TTL',
      side === 'auth' ? 'Token Type' : 'Force No Cache',
      'Replication',
      'Seal Wrap',
      'External Entropy Access',
      'Options',
      'Description',
      'UUID',
      'Version',
      'Running Version',
      'Running SHA256',
      'Deprecation Status',
    ],
    ...found.map((m) => [
      m.path,
      m.type,
      m.accessor,
      lifeOf(m, 'default_lease_ttl'),
      lifeOf(m, 'max_lease_ttl'),
      side === 'auth'
        ? cell(bagOf(m.raw['config'])['token_type'] || 'n/a')
        : cell(bagOf(m.raw['config'])['force_no_cache'] === true),
      m.raw['local'] === true ? 'local' : 'replicated',
      cell(m.raw['seal_wrap'] === true),
      cell(m.raw['external_entropy_access'] === true),
      cell(m.options),
      m.description || 'n/a',
      cell(m.raw['uuid'] || 'n/a'),
      cell(m.raw['plugin_version'] || 'n/a'),
      cell(m.raw['running_plugin_version'] || 'n/a'),
      cell(m.raw['running_sha256'] || 'n/a'),
      cell(m.raw['deprecation_status'] || 'n/a'),
    ]),
  ]);

/** A time of a mount's settings; 0 is the server's own, and mounts that give out no leases have none. */
function lifeOf(mount: MountInfo, setting: string): string {
  if (mount.type === 'system' || mount.type === 'cubbyhole') return 'n/a';
  const seconds = bagOf(mount.raw['config'])[setting];
  return typeof seconds === 'number' && seconds > 0 ? spell(seconds) : 'system';
}
