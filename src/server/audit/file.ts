/**
 * The file that an audit trail goes to. Appended to, never rewritten; only its owner may read it. Somebody else rotates it
 * and calls `reopen` (SIGHUP). A write that failed half way is closed with a line feed before the next one, so that it costs
 * one line and not two.
 */

import { constants, type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Failure, failure, isFailure } from '../../base/errors.ts';
import type { AuditSink } from './audit.ts';

export interface AuditFileOptions {
  readonly name: string;
  readonly path: string;
  /** Permission bits that the file shall have; absent: those that it has, and 0600 for one that is made. */
  readonly mode: number | undefined;
  /** Waits for the disk with each batch: a power cut then loses no acknowledged line. */
  readonly fsync: boolean;
}

const DEFAULT_MODE = 0o600;
const FOLDER_MODE = 0o700;
const LINE_FEED = new Uint8Array([10]);
/** Never waits for the other end of a pipe that somebody put there. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** @throws Failure audit.bad_option where the file cannot be opened, naming the reason of the system */
export async function openAuditFile({ name, path, mode, fsync }: AuditFileOptions): Promise<AuditSink> {
  let file = await openFile(path, mode);
  let torn = await endsInside(path);
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.catch(() => undefined);
    return done;
  };
  return {
    name,
    append: (bytes) =>
      inTurn(async () => {
        const whole = torn ? Buffer.concat([LINE_FEED, bytes]) : bytes;
        torn = true;
        for (let at = 0; at < whole.length; ) at += (await file.write(whole, at)).bytesWritten;
        if (fsync) await file.datasync();
        torn = false;
      }),
    reopen: () =>
      inTurn(async () => {
        const next = await openFile(path, mode);
        const old = file;
        file = next;
        torn = await endsInside(path);
        await old.close();
      }),
    close: () => inTurn(() => file.close()),
  };
}

async function openFile(path: string, mode: number | undefined): Promise<FileHandle> {
  const refused = (what: string): Failure =>
    failure('audit.bad_option', { reason: `the audit file ${path} ${what}` });
  let file: FileHandle;
  try {
    await makeFolder(dirname(path));
    file = await open(path, FLAGS, mode ?? DEFAULT_MODE);
  } catch (error) {
    throw refused(`cannot be opened: ${codeOf(error)}`);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw refused('is not a regular file');
    if (mode !== undefined && (stat.mode & 0o777) !== mode) await file.chmod(mode);
    return file;
  } catch (error) {
    await file.close();
    throw isFailure(error)
      ? error
      : refused(`cannot be given its mode: ${codeOf(error)}; mode=0000 leaves it as it is`);
  }
}

/** Not by mkdir's own recursion, which never ends where a file system refuses to hold folders (Node 20, below /proc). */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, FOLDER_MODE);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (codeOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    await mkdir(folder, FOLDER_MODE);
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** Whether the file ends in the middle of a line. A file that cannot be read is taken to. */
async function endsInside(path: string): Promise<boolean> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await file.stat();
    if (size === 0) return false;
    const last = Buffer.alloc(1);
    await file.read(last, 0, 1, size - 1);
    return last[0] !== LINE_FEED[0];
  } catch {
    return true;
  } finally {
    await file?.close();
  }
}
