/** seed: bring the secrets of a matrix, or one by hand, into the store. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { failure, isFailure } from '../base/errors.ts';
import type { VaultClient } from '../client/client.ts';
import { isBag } from '../client/envelope.ts';
import { kvPatch, kvPut, kvRead, mountOf } from '../client/kv.ts';
import { readText } from '../platform/files.ts';
import { constraintsOn, readMatrix, readValues, type SeedEntry } from '../platform/matrix.ts';
import { type Mode, type Seeded, type SeedRequest, type SeedStore, seed } from '../platform/seed.ts';
import { print } from './output.ts';
import { type Flags, open, remote } from './session.ts';
import type { Terminal } from './terminal.ts';

interface SeedFlags extends Flags {
  readonly dir: string;
  readonly mode: string;
  readonly rotate?: readonly string[];
}

export function declareSeed(program: Command, terminal: Terminal): void {
  remote(
    program,
    'seed [path] [key] [value] [encoding] [hashing]',
    'Seed secrets from DIR/secrets.yaml and DIR/config.toml, or one by hand',
  )
    .option('--dir <folder>', 'the folder of secrets.yaml and config.toml', '.')
    .option('--mode <mode>', 'demo takes values from config.toml; production refuses them', 'demo')
    .option(
      '--rotate <path#key>',
      'make this random value anew; may be given again',
      (value: string, all: string[] = []) => [...all, value],
    )
    .action(
      async (
        path: string | undefined,
        key: string | undefined,
        value: string | undefined,
        encoding: string | undefined,
        hashing: string | undefined,
        flags: SeedFlags,
      ) => {
        const mode = modeOf(flags.mode);
        const requests =
          path === undefined
            ? await matrixRequests(flags.dir)
            : [oneRequest(path, key, value, encoding, hashing)];
        const session = await open(terminal, flags);
        const rotate = rotationOf(flags.rotate ?? [], requests);
        const done: Seeded[] = [];
        for await (const seeded of seed(storeOf(session.client), requests, { mode, rotate })) {
          done.push(seeded);
          if (session.format === 'table') terminal.out(seedLine(seeded));
        }
        if (session.format !== 'table') print(terminal, session.format, done, () => '');
      },
    );
}

/** One line per seeded key; never its value. */
export const seedLine = ({ path, key, outcome, plaintextAt }: Seeded): string =>
  `${outcome.padEnd(9)} ${path} ${key}${plaintextAt === undefined ? '' : `  (the text behind the hash: holdfast kv get -field=${key} ${plaintextAt})`}\n`;

/** What a folder's matrix asks for, with the values of its config.toml. @throws Failure platform.* */
export async function matrixRequests(folder: string): Promise<SeedRequest[]> {
  const matrixFile = join(folder, 'secrets.yaml');
  const matrix = readMatrix(matrixFile, await readText(matrixFile));
  const valuesFile = join(folder, 'config.toml');
  const values = readValues(valuesFile, await readText(valuesFile));
  return matrix.entries.map((entry) => ({
    entry,
    given: entry.variable === '' ? undefined : values(matrix.variables[entry.variable] ?? ''),
  }));
}

function oneRequest(
  path: string,
  key: string | undefined,
  value: string | undefined,
  encoding = 'base64',
  hashing = 'none',
): SeedRequest {
  if (key === undefined)
    throw failure('cli.usage', { reason: 'seed PATH KEY [VALUE] [base64|hex] [bcrypt|none]' });
  if (encoding !== 'base64' && encoding !== 'hex')
    throw failure('cli.usage', { reason: 'the encoding is base64 or hex' });
  if (hashing !== 'bcrypt' && hashing !== 'none')
    throw failure('cli.usage', { reason: 'the hashing is bcrypt or none' });
  const entry: SeedEntry = {
    path: path.replace(/^\/+|\/+$/g, ''),
    key,
    variable: '',
    encoding,
    hash: hashing,
    constraints: constraintsOn(path, key),
  };
  return { entry, given: value };
}

function modeOf(text: string): Mode {
  if (text === 'demo' || text === 'production') return text;
  throw failure('cli.usage', { reason: '-mode is demo or production' });
}

function rotationOf(names: readonly string[], requests: readonly SeedRequest[]): ReadonlySet<string> {
  const known = new Set(requests.map(({ entry }) => `${entry.path}#${entry.key}`));
  const stranger = names.find((name) => !known.has(name));
  if (stranger !== undefined)
    throw failure('cli.usage', { reason: `-rotate ${stranger}: no such entry; name one as PATH#KEY` });
  return new Set(names);
}

/** A server as seeding sees it. Mounts are asked for once. */
export function storeOf(client: VaultClient): SeedStore {
  const places = new Map<string, Promise<{ mount: string; key: string }>>();
  const place = (path: string): Promise<{ mount: string; key: string }> => {
    const known = places.get(path) ?? locate(client, path);
    places.set(path, known);
    return known;
  };
  return {
    async read(path) {
      const { mount, key } = await place(path);
      const data = (await kvRead(client, mount, key))?.data;
      return isBag(data)
        ? (Object.fromEntries(
            Object.entries(data).filter(([, value]) => typeof value === 'string'),
          ) as Record<string, string>)
        : undefined;
    },
    async patch(path, data) {
      const { mount, key } = await place(path);
      return (await kvPatch(client, mount, key, data)) === undefined ? 'absent' : 'done';
    },
    async create(path, data) {
      const { mount, key } = await place(path);
      try {
        await kvPut(client, mount, key, data, { cas: await casForAbsent(client, mount, key) });
        return 'done';
      } catch (error) {
        if (isFailure(error, 'api.conflict')) return 'exists';
        throw error;
      }
    },
    async random(bytes, encoding) {
      const answer = await client.request('POST', 'sys/tools/random', { body: { bytes, format: encoding } });
      const data = answer.envelope?.data;
      const text = isBag(data) ? data['random_bytes'] : undefined;
      if (typeof text === 'string' && text !== '') return text;
      throw failure('api.garbage', { address: client.address, reason: 'it gave no random bytes' });
    },
    async ensureMount(mount) {
      if ((await mountOf(client, mount).catch(() => undefined)) !== undefined) return;
      await client.request('POST', `sys/mounts/${mount}`, {
        body: {
          type: 'kv',
          description: 'The texts behind seeded hashes; for administrators',
          options: { version: '2' },
        },
      });
    },
  };
}

/** A path whose newest version was deleted is absent to readers, but check-and-set still counts its versions. */
async function casForAbsent(client: VaultClient, mount: string, key: string): Promise<number> {
  const deleted = await kvRead(client, mount, key);
  return deleted === undefined ? 0 : deleted.data === null ? deleted.metadata.version : 0;
}

async function locate(client: VaultClient, path: string): Promise<{ mount: string; key: string }> {
  const found = await mountOf(client, path);
  if (found === undefined) throw failure('cli.no_mount', { path });
  if (found.version === 1)
    throw failure('cli.usage', {
      reason: `${found.path} is of version 1, which cannot patch single keys: seed into version 2`,
    });
  return { mount: found.path, key: path.slice(found.path.length + 1) };
}
