/** Backups in a directory: written beside their place, flushed, and renamed; for the owner of the process alone. */

import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { failure, isFailure } from '../../base/errors.ts';
import { type Kept, type Place, told } from './place.ts';

const PARTIAL = /\.[0-9a-f]{8}\.partial$/;
const CHUNK = 1024 * 1024;

/** Opens nothing yet. The directory is made where only its last part is missing. */
export function directoryPlace(path: string): Place {
  const folder = resolve(path);
  const wrong = (error: unknown) => (isFailure(error) ? error : refused(folder, error));
  return {
    shown: folder,
    async list() {
      try {
        const names = await readdir(folder).catch(emptyWhereMissing);
        const found = names.filter((name) => !PARTIAL.test(name));
        const kept = await Promise.all(found.map((name) => sizeOf(folder, name)));
        return kept.filter((one) => one !== undefined);
      } catch (error) {
        throw wrong(error);
      }
    },
    async write(name, source, signal) {
      const beside = join(folder, `${name}.${randomBytes(4).toString('hex')}.partial`);
      try {
        await mkdir(folder, { mode: 0o700 }).catch(fineWhereThere);
        const file = await open(beside, 'wx', 0o600);
        try {
          for await (const piece of source) {
            signal.throwIfAborted();
            await file.writeFile(piece);
          }
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(beside, join(folder, name));
        await syncFolder(folder);
      } catch (error) {
        await rm(beside, { force: true }).catch(() => {});
        if (signal.aborted) throw signal.reason;
        throw wrong(error);
      }
    },
    async read(name) {
      try {
        const file = await open(join(folder, name), 'r');
        return told(file.createReadStream({ highWaterMark: CHUNK }), wrong);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') throw failure('backup.absent', { name });
        throw wrong(error);
      }
    },
    async remove(name) {
      try {
        await rm(join(folder, name), { force: true });
        await syncFolder(folder);
      } catch (error) {
        throw wrong(error);
      }
    },
    async tidy(before) {
      try {
        for (const name of await readdir(folder).catch(emptyWhereMissing)) {
          if (!PARTIAL.test(name)) continue;
          const found = await stat(join(folder, name)).catch(() => undefined);
          if (found !== undefined && found.mtimeMs < before) await rm(join(folder, name), { force: true });
        }
      } catch (error) {
        throw wrong(error);
      }
    },
    close() {},
  };
}

async function sizeOf(folder: string, name: string): Promise<Kept | undefined> {
  const found = await stat(join(folder, name)).catch(() => undefined);
  return found?.isFile() ? { name, size: found.size } : undefined;
}

const emptyWhereMissing = (error: unknown): string[] => {
  if (codeOf(error) === 'ENOENT') return [];
  throw error;
};
const fineWhereThere = (error: unknown): undefined => {
  if (codeOf(error) === 'EEXIST') return undefined;
  throw error;
};

/** That the name is there must survive a loss of power as its content does. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    // Some file systems cannot flush a directory.
    await handle.sync().catch(() => {});
  } finally {
    await handle.close();
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const MENDS: Readonly<Record<string, string>> = {
  ENOENT: 'The directory above it does not exist: mount it, or make it.',
  ENOTDIR: 'A part of its path is no directory.',
  EACCES: 'Give the directory to the user that the server runs as.',
  EPERM: 'Give the directory to the user that the server runs as.',
  ENOSPC: 'Its disk is full: make room, or keep backups for a shorter time.',
  EDQUOT: 'Its quota is used up: make room, or keep backups for a shorter time.',
  EROFS: 'It is mounted read-only: remount it.',
};

function refused(place: string, error: unknown) {
  const code = codeOf(error);
  return failure(
    'backup.place',
    { place, reason: code || 'unknown error', mend: MENDS[code] ?? 'Look after its disk.' },
    { cause: error },
  );
}
