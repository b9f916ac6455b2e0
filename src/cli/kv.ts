/** kv: the key/value engine, both versions. Which one is asked of the server, as every client of Vault does. */

import type { Command } from 'commander';
import { failure, isFailure } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { type Answer, problemOf } from '../client/client.ts';
import { answerFailure, bagOf } from '../client/envelope.ts';
import { mountOf } from '../client/kv.ts';
import { type Data, readData, truth } from './arguments.ts';
import { banner, printAnswer, printField, titledTable } from './output.ts';
import { barePath } from './read.ts';
import {
  asking,
  type Flags,
  nothingAt,
  open,
  printKeys,
  printSecret,
  readOrNothing,
  remote,
  type Session,
  success,
  warn,
} from './session.ts';
import { more } from './settings.ts';
import { Exit, type Terminal } from './terminal.ts';

type KvFlags = Flags & { readonly mount?: string };

interface Place {
  readonly version: 1 | 2;
  readonly mount: string;
  readonly key: string;
  /** The API path of a part of the engine: `at('data')` is "secret/data/app", or "secret/app" in version 1. */
  at(part: string): string;
}

/** Where a key lies. Both "secret/app" and "-mount=secret app" are understood, and "secret/data/app" is not doubled. */
async function locate(session: Session, typed: string, mountFlag: string | undefined): Promise<Place> {
  const path = barePath(typed);
  // Asked for in the clear even where the answer itself shall be wrapped.
  const found = await mountOf(
    asking(session),
    mountFlag === undefined ? path : `${barePath(mountFlag).replace(/\/+$/, '')}`,
  );
  const mount =
    found?.path ??
    (mountFlag === undefined ? (path.split('/')[0] ?? path) : barePath(mountFlag).replace(/\/+$/, ''));
  const version = found?.version ?? 1;
  const inside = mountFlag === undefined ? path.slice(mount.length).replace(/^\//, '') : path;
  const key = inside;
  return {
    version,
    mount,
    key,
    at: (part) => (version === 1 ? `${mount}/${key}` : `${mount}/${part}/${key}`).replace(/\/+$/, ''),
  };
}

const kv = (parent: Command, usage: string, summary: string): Command =>
  remote(parent, usage, summary).option(
    '--mount <path>',
    'path of the engine, when it is not part of the key',
  );

export function declareKv(program: Command, terminal: Terminal): void {
  const group = program.command('kv').description('Interact with the key/value engine');

  kv(group, 'get <key>', 'Retrieve a secret')
    .option('--version <number>', 'a version other than the latest')
    .action(async (key: string, flags: KvFlags & { version?: string }) => {
      const session = await open(terminal, flags);
      const version = flags.version === undefined ? undefined : versionOf(flags.version);
      const place = await locate(session, key, flags.mount);
      const found = await readVersion(session, place, version);
      if (found === undefined) return nothingAt(session, place.at('data'));
      printKv(session, place, found);
    });

  kv(group, 'put <key> [data...]', 'Set or update a secret; replaces what was there')
    .option('--cas <version>', 'only if the current version is this one; 0: only if there is none')
    .action(async (key: string, args: string[], flags: KvFlags & { cas?: string }) => {
      // The command line is at fault before the server is: nothing is asked of it until the arguments are read.
      const data = await someData(args, terminal);
      const options = casOf(flags.cas);
      const session = await open(terminal, flags);
      const place = await locate(session, key, flags.mount);
      if (place.version === 1) {
        await session.client.request('PUT', place.at('data'), { body: data });
        return success(session, `Data written to: ${place.at('data')}`);
      }
      printVersion(
        session,
        place,
        await session.client.request('PUT', place.at('data'), { body: { data, options } }),
      );
    });

  kv(group, 'patch <key> [data...]', 'Set single keys of a secret; the others stay')
    .option('--cas <version>', 'only if the current version is this one')
    .option(
      '--method <method>',
      'patch, or rw (read, then write); by default patch, and rw where the server has none',
    )
    .option('--remove-data <key>', 'a key to remove; may be given again', more)
    .action(
      async (
        key: string,
        args: string[],
        flags: KvFlags & { cas?: string; method?: string; removeData?: string[] },
      ) => {
        const removed: Data = Object.fromEntries((flags.removeData ?? []).map((name) => [name, null]));
        const data: Data = {
          ...(args.length === 0 && flags.removeData ? {} : await someData(args, terminal)),
          ...removed,
        };
        const session = await open(terminal, flags);
        const place = await locate(session, key, flags.mount);
        if (place.version === 1)
          throw failure('cli.usage', {
            reason: `${place.mount} is of version 1, which cannot patch: use kv put`,
          });
        const answer =
          flags.method === 'rw'
            ? await patchByWriting(session, place, data)
            : await patch(session, place, data, flags);
        if (answer === undefined) return nothingAt(session, place.at('data'));
        printVersion(session, place, answer);
      },
    );

  kv(group, 'list [key]', 'List secrets').action(async (key: string | undefined, flags: KvFlags) => {
    const session = await open(terminal, flags);
    const place = await locate(session, key ?? '', flags.mount);
    const path = place.at('metadata');
    printKeys(session, path, await readOrNothing(session, session.client.request('LIST', path)));
  });

  kv(group, 'delete <key>', 'Delete the latest version, or those named; undelete brings them back')
    .option('--versions <numbers>', 'versions, separated by commas', numbers)
    .action(async (key: string, flags: KvFlags & { versions?: number[] }) => {
      const session = await open(terminal, flags);
      const place = await locate(session, key, flags.mount);
      if (flags.versions === undefined || place.version === 1)
        await session.client.request('DELETE', place.at('data'));
      else await session.client.request('PUT', place.at('delete'), { body: { versions: flags.versions } });
      success(session, `Data deleted (if it existed) at: ${place.at('data')}`);
    });

  for (const verb of ['undelete', 'destroy'] as const) {
    kv(
      group,
      `${verb} <key>`,
      verb === 'undelete' ? 'Bring deleted versions back' : 'Remove versions for good',
    )
      .requiredOption('--versions <numbers>', 'versions, separated by commas', numbers)
      .action(async (key: string, flags: KvFlags & { versions: number[] }) => {
        const session = await open(terminal, flags);
        const place = await locateV2(session, key, flags.mount);
        await session.client.request('PUT', place.at(verb), { body: { versions: flags.versions } });
        success(session, `Data written to: ${place.at(verb)}`);
      });
  }

  kv(group, 'rollback <key>', 'Write an earlier version again, as the newest')
    .requiredOption('--version <number>', 'the version to go back to')
    .action(async (key: string, flags: KvFlags & { version: string }) => {
      const session = await open(terminal, flags);
      const place = await locateV2(session, key, flags.mount);
      const version = versionOf(flags.version);
      const newest = bagOf((await readVersion(session, place, undefined))?.bag['metadata'])['version'];
      const earlier = await readVersion(session, place, version);
      if (newest === undefined || earlier === undefined) return nothingAt(session, place.at('data'));
      if (earlier.lost !== undefined) {
        terminal.err(`Cannot roll back to a version that has been ${earlier.lost}\n`);
        throw new Exit(2);
      }
      const body = { data: earlier.bag['data'], options: { cas: newest } };
      printSecret(session, await session.client.request('PUT', place.at('data'), { body }));
    });

  kv(group, 'enable-versioning <mount>', 'Turn an engine of version 1 into version 2').action(
    async (mount: string, flags: KvFlags) => {
      const session = await open(terminal, flags);
      const path = barePath(mount).replace(/\/+$/, '');
      await session.client.request('POST', `sys/mounts/${path}/tune`, {
        body: { options: { version: '2' } },
      });
      success(session, `Tuned the secrets engine at: ${path}/`);
    },
  );

  declareMetadata(group, terminal);
}

function declareMetadata(parent: Command, terminal: Terminal): void {
  const group = parent
    .command('metadata')
    .description('Interact with what is kept of a secret beside its data');

  kv(group, 'get <key>', 'Retrieve the metadata of a secret').action(async (key: string, flags: KvFlags) => {
    const session = await open(terminal, flags);
    const place = await locateV2(session, key, flags.mount);
    const answer = await readOrNothing(session, session.client.request('GET', place.at('metadata')));
    if (answer === undefined) return nothingAt(session, place.at('metadata'));
    printMetadata(session, place, answer);
  });

  for (const [verb, method] of [
    ['put', 'PUT'],
    ['patch', 'PATCH'],
  ] as const) {
    kv(
      group,
      `${verb} <key>`,
      verb === 'put' ? 'Set the metadata of a secret' : 'Change single fields of the metadata',
    )
      .option('--max-versions <number>', 'how many versions are kept; 0: as the engine has it')
      .option('--cas-required <bool>', 'whether every write must carry -cas')
      .option('--delete-version-after <duration>', 'delete versions after this time')
      .option('--custom-metadata <key=value>', 'a note; may be given again', more)
      .action(
        async (
          key: string,
          flags: KvFlags & {
            maxVersions?: string;
            casRequired?: string;
            deleteVersionAfter?: string;
            customMetadata?: string[];
          },
        ) => {
          const session = await open(terminal, flags);
          const place = await locateV2(session, key, flags.mount);
          const body = {
            ...(flags.maxVersions === undefined ? {} : { max_versions: Number(flags.maxVersions) }),
            ...(flags.casRequired === undefined
              ? {}
              : { cas_required: truth(flags.casRequired, '-cas-required') }),
            ...(flags.deleteVersionAfter === undefined
              ? {}
              : { delete_version_after: flags.deleteVersionAfter }),
            ...(flags.customMetadata === undefined
              ? {}
              : { custom_metadata: await readData(flags.customMetadata, terminal) }),
          };
          await session.client.request(method, place.at('metadata'), { body });
          success(session, `Data written to: ${place.at('metadata')}`);
        },
      );
  }

  kv(group, 'delete <key>', 'Remove a secret with all its versions').action(
    async (key: string, flags: KvFlags) => {
      const session = await open(terminal, flags);
      const place = await locateV2(session, key, flags.mount);
      await session.client.request('DELETE', place.at('metadata'));
      success(session, `Data deleted (if it existed) at: ${place.at('metadata')}`);
    },
  );

  kv(group, 'list [key]', 'List secrets').action(async (key: string | undefined, flags: KvFlags) => {
    const session = await open(terminal, flags);
    const path = (await locateV2(session, key ?? '', flags.mount)).at('metadata');
    printKeys(session, path, await readOrNothing(session, session.client.request('LIST', path)));
  });
}

async function locateV2(session: Session, key: string, mount: string | undefined): Promise<Place> {
  const place = await locate(session, key, mount);
  if (place.version === 2) return place;
  throw failure('cli.usage', {
    reason: `${place.mount} is of version 1, which keeps one version and no metadata`,
  });
}

/** What the server has of a version: its data, or, where that is gone, its metadata alone. */
interface Found {
  readonly answer: Answer;
  readonly bag: Readonly<Record<string, Json>>;
  readonly lost: 'deleted' | 'destroyed' | undefined;
}

/** Reads a version. A deleted one answers 404 with its metadata, and is found; undefined where there is nothing. */
async function readVersion(
  session: Session,
  place: Place,
  version: number | undefined,
): Promise<Found | undefined> {
  const { client } = session;
  const query = place.version === 2 && version !== undefined ? { version: String(version) } : {};
  const answer = await client.request('GET', place.at('data'), { query, accept: [404] });
  const found = bagOf(answer.envelope?.data);
  if (answer.status !== 404) return { answer, bag: found, lost: undefined };
  const metadata = bagOf(found['metadata']);
  if (found['metadata'] !== undefined)
    return { answer, bag: found, lost: metadata['destroyed'] === true ? 'destroyed' : 'deleted' };
  const told = answerFailure(answer, `GET ${place.at('data')}`, client.address);
  if ((problemOf(told)?.errors.length ?? 0) > 0) throw told;
  warn(session, answer);
  return undefined;
}

async function patch(
  session: Session,
  place: Place,
  data: Data,
  flags: { cas?: string; method?: string },
): Promise<Answer | undefined> {
  try {
    return await readOrNothing(
      session,
      session.client.request('PATCH', place.at('data'), { body: { data, options: casOf(flags.cas) } }),
    );
  } catch (error) {
    // Servers and policies without `patch`: read and write instead, held together by check-and-set.
    const refused = isFailure(error, 'api.unsupported') || isFailure(error, 'api.denied');
    if (!refused || flags.method === 'patch') throw error;
    return patchByWriting(session, place, data);
  }
}

async function patchByWriting(session: Session, place: Place, data: Data): Promise<Answer | undefined> {
  const current = (await readVersion(session, place, undefined))?.bag ?? {};
  if (current['data'] === undefined || current['data'] === null) return undefined;
  const merged = Object.fromEntries(
    Object.entries({ ...bagOf(current['data']), ...data }).filter(([, value]) => value !== null),
  );
  const version = bagOf(current['metadata'])['version'] ?? 0;
  return session.client.request('PUT', place.at('data'), {
    body: { data: merged, options: { cas: version } },
  });
}

async function someData(args: readonly string[], terminal: Terminal): Promise<Data> {
  if (args.length === 0) throw failure('cli.usage', { reason: 'Must supply data' });
  return readData(args, terminal);
}

function casOf(text: string | undefined): { cas?: number } {
  if (text === undefined || text === '-1') return {};
  const cas = Number(text);
  if (Number.isInteger(cas) && cas >= 0) return { cas };
  throw failure('cli.usage', { reason: '-cas takes a version number, or 0 for "only if there is none"' });
}

function versionOf(text: string): number {
  const [version, ...more] = numbers(text);
  if (version !== undefined && more.length === 0) return version;
  throw failure('cli.usage', { reason: '-version takes one version number' });
}

function numbers(text: string): number[] {
  const all = text.split(',').map(Number);
  if (all.every((number) => Number.isInteger(number) && number > 0)) return all;
  throw failure('cli.usage', { reason: `not a version number: ${JSON.stringify(text)}` });
}

function printKv(session: Session, place: Place, { answer, bag: found }: Found): void {
  const { terminal, format, flags } = session;
  if (answer.envelope?.wrapInfo !== undefined) return printSecret(session, answer);
  warn(session, answer);
  const gone = place.version === 2 && (found['data'] === null || found['data'] === undefined);
  const data = place.version === 1 ? found : bagOf(found['data']);
  if (flags.field !== undefined) {
    if (!gone) return printField(terminal, format, data, flags.field);
    terminal.err(`No data found at ${place.at('data')}\n`);
    throw new Exit(2);
  }
  printAnswer(terminal, format, answer, () => {
    const head = place.version === 1 ? '' : `${metadataTable(place, bagOf(found['metadata']))}\n`;
    return gone ? head : `${head}${titledTable('Data', data)}`;
  });
}

const metadataTable = (place: Place, metadata: Readonly<Record<string, Json>>): string =>
  `${pathTitle('Secret Path', place.at('data'))}${titledTable('Metadata', metadata)}`;

const pathTitle = (title: string, path: string): string => `${banner(title, path.length)}${path}\n\n`;

function printVersion(session: Session, place: Place, answer: Answer): void {
  const { terminal, format, flags } = session;
  if (answer.envelope?.wrapInfo !== undefined) return printSecret(session, answer);
  warn(session, answer);
  const data = bagOf(answer.envelope?.data);
  if (flags.field !== undefined) return printField(terminal, format, data, flags.field);
  printAnswer(terminal, format, answer, () => metadataTable(place, data));
}

function printMetadata(session: Session, place: Place, answer: Answer): void {
  const { terminal, format, flags } = session;
  if (answer.envelope?.wrapInfo !== undefined) return printSecret(session, answer);
  const { versions, ...rest } = bagOf(answer.envelope?.data);
  if (flags.field !== undefined)
    return printField(terminal, format, { ...rest, versions: versions ?? null }, flags.field);
  printAnswer(terminal, format, answer, () => {
    const each = Object.entries(bagOf(versions)).sort(([a], [b]) => Number(a) - Number(b));
    const tables = each.map(([number, version]) => `\n${titledTable(`Version ${number}`, bagOf(version))}`);
    return `${pathTitle('Metadata Path', place.at('metadata'))}${titledTable('Metadata', rest)}${tables.join('')}`;
  });
}
