/** secrets and auth: enable, list, tune and disable what is mounted. The two differ in one word of the API's path. */

import type { Command } from 'commander';
import { isBag } from '../client/envelope.ts';
import { authMounts, type MountInfo, mounts } from '../client/sys.ts';
import { print, table } from './output.ts';
import { type Flags, open, remote, spell, success } from './session.ts';
import type { Terminal } from './terminal.ts';

interface MountFlags extends Flags {
  readonly path?: string;
  readonly description?: string;
  readonly defaultLeaseTtl?: string;
  readonly maxLeaseTtl?: string;
  readonly version?: string;
  readonly listingVisibility?: string;
  readonly local?: boolean;
  readonly options?: readonly string[];
  readonly auditNonHmacRequestKeys?: readonly string[];
  readonly auditNonHmacResponseKeys?: readonly string[];
  readonly detailed?: boolean;
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

const more = (value: string, all: string[] = []): string[] => [...all, value];

function tuning(command: Command): Command {
  return command
    .option('--description <text>', 'what it is for')
    .option('--default-lease-ttl <duration>', 'life of a lease or token where none is asked for')
    .option('--max-lease-ttl <duration>', 'the longest life of one')
    .option('--version <number>', 'version of a key/value engine: 1 or 2')
    .option('--listing-visibility <who>', 'unauth: show it to whoever is not logged in')
    .option('--options <key=value>', 'an option of the engine; may be given again', more)
    .option(
      '--audit-non-hmac-request-keys <key>',
      'a key left in the clear in the audit trail; may be given again',
      more,
    )
    .option('--audit-non-hmac-response-keys <key>', 'the same for answers', more);
}

function configOf(flags: MountFlags): Record<string, unknown> {
  return {
    ...(flags.defaultLeaseTtl === undefined ? {} : { default_lease_ttl: flags.defaultLeaseTtl }),
    ...(flags.maxLeaseTtl === undefined ? {} : { max_lease_ttl: flags.maxLeaseTtl }),
    ...(flags.listingVisibility === undefined ? {} : { listing_visibility: flags.listingVisibility }),
    ...(flags.auditNonHmacRequestKeys === undefined
      ? {}
      : { audit_non_hmac_request_keys: flags.auditNonHmacRequestKeys }),
    ...(flags.auditNonHmacResponseKeys === undefined
      ? {}
      : { audit_non_hmac_response_keys: flags.auditNonHmacResponseKeys }),
  };
}

function optionsOf(flags: MountFlags): { options?: Record<string, string> } {
  const pairs = (flags.options ?? []).map((text) => text.split(/=(.*)/s).slice(0, 2) as [string, string]);
  const options = {
    ...Object.fromEntries(pairs),
    ...(flags.version === undefined ? {} : { version: flags.version }),
  };
  return Object.keys(options).length === 0 ? {} : { options };
}

function declareSide(program: Command, { command, api, noun, list }: Side, terminal: Terminal): void {
  const group = program.command(command).description(`Interact with ${noun}s`);

  tuning(remote(group, 'enable <type>', `Enable a ${noun}`))
    .option('--path <path>', 'where; by default under the name of its type')
    .option('--local', 'accepted for compatibility: there is one cluster')
    .action(async (type: string, flags: MountFlags) => {
      const session = await open(terminal, flags);
      const path = (flags.path ?? type).replace(/\/+$/, '');
      const body = {
        type,
        ...(flags.description === undefined ? {} : { description: flags.description }),
        config: configOf(flags),
        ...optionsOf(flags),
        ...(flags.local ? { local: true } : {}),
      };
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
    .action(async (flags: MountFlags) => {
      const session = await open(terminal, flags);
      const found = [...(await list(session.client))].sort((a, b) => (a.path < b.path ? -1 : 1));
      print(
        terminal,
        session.format,
        Object.fromEntries(found.map((mount) => [mount.path, mount.raw])),
        () => (flags.detailed === true ? detailed(found) : brief(found)),
      );
    });

  tuning(remote(group, 'tune <path>', `Change the settings of a ${noun}`)).action(
    async (typed: string, flags: MountFlags) => {
      const session = await open(terminal, flags);
      const path = typed.replace(/\/+$/, '');
      await session.client.request('POST', `${api}/${path}/tune`, {
        body: {
          ...configOf(flags),
          ...(flags.description === undefined ? {} : { description: flags.description }),
          ...optionsOf(flags),
        },
      });
      success(session, `Tuned the ${noun} at: ${path}/`);
    },
  );

  remote(group, 'disable <path>', `Disable a ${noun}, with all it holds`).action(
    async (typed: string, flags: MountFlags) => {
      const session = await open(terminal, flags);
      const path = typed.replace(/\/+$/, '');
      await session.client.request('DELETE', `${api}/${path}`);
      success(session, `Disabled the ${noun} (if it existed) at: ${path}/`);
    },
  );
}

const brief = (found: readonly MountInfo[]): string =>
  table([
    ['Path', 'Type', 'Accessor', 'Description'],
    ...found.map((m) => [m.path, m.type, m.accessor, m.description === '' ? 'n/a' : m.description]),
  ]);

const detailed = (found: readonly MountInfo[]): string =>
  table([
    ['Path', 'Plugin', 'Accessor', 'Default TTL', 'Max TTL', 'Options', 'Description', 'UUID'],
    ...found.map((m) => [
      m.path,
      m.type,
      m.accessor,
      lifeOf(m, 'default_lease_ttl'),
      lifeOf(m, 'max_lease_ttl'),
      `map[${Object.entries(m.options)
        .map(([k, v]) => `${k}:${v}`)
        .join(' ')}]`,
      m.description === '' ? 'n/a' : m.description,
      String(m.raw['uuid'] ?? ''),
    ]),
  ]);

/** A time of a mount's settings; 0 is the server's own. */
function lifeOf(mount: MountInfo, setting: string): string {
  const config = mount.raw['config'];
  const seconds = isBag(config) ? config[setting] : undefined;
  return typeof seconds === 'number' && seconds > 0 ? spell(seconds) : 'system';
}
