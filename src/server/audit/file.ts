/**
 * The file that an audit trail goes to. Appended to, never rewritten; only its owner may read it. Somebody else rotates it
 * and calls `reopen` (SIGHUP). A write that failed half way is closed with a line feed before the next one, so that it costs
 * one line and not two.
 */

import { constants, type FileHandle, open } from 'node:fs/promises';
import { failure } from '../../base/errors.ts';
import type { AuditSink } from './audit.ts';

export interface AuditFileOptions {
  readonly name: string;
  readonly path: string;
  /** Permission bits of a file that is made. */
  readonly mode: number;
  /** Waits for the disk with each batch: a power cut then loses no acknowledged line. */
  readonly fsync: boolean;
}

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

async function openFile(path: string, mode: number): Promise<FileHandle> {
  try {
    const file = await open(path, FLAGS, mode);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw failure('audit.bad_option', { reason: `the audit file ${path} cannot be opened: ${reason}` });
  }
  throw failure('audit.bad_option', { reason: `the audit file ${path} is not a regular file` });
}

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
