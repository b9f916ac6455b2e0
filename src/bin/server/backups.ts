/** The places of backups and the stores for verifying them, as the configuration has them. */

import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { failure } from '../../base/errors.ts';
import type { BackupTarget } from '../../server/backup/backups.ts';
import { directoryPlace } from '../../server/backup/directory.ts';
import type { Place } from '../../server/backup/place.ts';
import { s3Place } from '../../server/backup/s3.ts';
import type { Scratch } from '../../server/backup/verify.ts';
import type { BackupSettings, BucketSettings } from '../../server/config/backup.ts';
import type { StorageSettings } from '../../server/config/storage.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { hostsOf, isForbidden, s3Handler } from './s3handler.ts';

/** Opens nothing that needs the network. @throws Failure cli.unreadable, config.refused where a file is wrong */
export async function openBackups(all: readonly BackupSettings[]): Promise<readonly BackupTarget[]> {
  return Promise.all(
    all.map(async ({ name, schedule, keepMs, place }) => ({
      name,
      keepMs,
      place: await openPlace(place),
      ...(schedule === undefined ? {} : { schedule }),
    })),
  );
}

async function openPlace(settings: BackupSettings['place']): Promise<Place> {
  if ('directory' in settings) return directoryPlace(settings.directory);
  const { endpoint, region } = settings;
  if (endpoint !== undefined && isForbidden(endpoint))
    throw failure('config.refused', {
      reason: `${endpoint} is where clouds keep the keys of their machines, and no place for backups`,
      mend: 'Name the endpoint of a bucket.',
    });
  return s3Place(settings, s3Handler(hostsOf(endpoint, region), await authorities(settings)));
}

/** Read and looked at before anything is sent; the parser's own error may quote what it read. */
async function authorities({ ca }: BucketSettings): Promise<string | undefined> {
  if (ca === undefined) return undefined;
  const text = await readFile(ca, 'utf8').catch(() => {
    throw failure('cli.unreadable', { path: ca });
  });
  try {
    new X509Certificate(text);
    return text;
  } catch {
    throw failure('config.refused', {
      reason: `${ca}: it holds no certificate in PEM`,
      mend: 'Name the right file in the stanza of the backup.',
    });
  }
}

const SCRATCH = 'backup-check-';

/**
 * Makes stores to restore backups into: on the disk of the data, which has room for as much, and else where the system keeps
 * what is short-lived.
 */
export function scratchMaker(storage: StorageSettings): () => Promise<Scratch> {
  const parent = storage.kind === 'lmdb' ? resolve(storage.path) : tmpdir();
  let swept = storage.kind !== 'lmdb';
  return async () => {
    if (!swept) await sweep(parent);
    swept = true;
    await mkdir(parent, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(parent, SCRATCH));
    const backend = await openLmdb(folder, { owner: 'the check of a backup' });
    return {
      backend,
      async remove() {
        await backend.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  };
}

/** What a process that died left behind: the folder is this process's own. */
async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => []))
    if (name.startsWith(SCRATCH)) await rm(join(parent, name), { recursive: true, force: true });
}
