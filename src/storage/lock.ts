/**
 * Who uses a data folder: a file `lock` that names a process, for people and for the next process to read. A process
 * that died leaves its file behind; it is known dead when no process has its pid, or one that started at another time.
 */

import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { failure } from '../base/errors.ts';

const Holder = z.object({ pid: z.int().positive(), started: z.string(), owner: z.string() });
export type Holder = z.infer<typeof Holder>;

export class FolderLock {
  readonly #folder: string;
  readonly #file: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#file = join(folder, 'lock');
  }

  /** The living process that holds the folder, if there is one: this very process too. */
  holder(): Holder | undefined {
    const holder = this.#read();
    return holder !== undefined && lives(holder) ? holder : undefined;
  }

  /** The failure that names the living holder. */
  refusal({ pid, started, owner }: Holder): Error {
    return failure(
      'storage.locked',
      { folder: this.#folder, pid, owner: owner === '' ? '' : ` (${owner})` },
      { data: { pid, started, owner } },
    );
  }

  /** Writes this process down as the holder. Whoever calls makes sure that no other does so at the same time. */
  take(owner: string): void {
    const temporary = `${this.#file}.${process.pid}`;
    const holder: Holder = { pid: process.pid, started: startOf(process.pid), owner };
    writeFileSync(temporary, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
    renameSync(temporary, this.#file);
  }

  /** Removes the file if it still names this process. */
  release(): void {
    const holder = this.#read();
    if (holder?.pid === process.pid && holder.started === startOf(process.pid)) unlinkSync(this.#file);
  }

  #read(): Holder | undefined {
    try {
      return Holder.safeParse(JSON.parse(readFileSync(this.#file, 'utf8'))).data;
    } catch {
      // Absent, or not ours: the file is renamed into place, so a half-written one cannot be a live process's.
      return undefined;
    }
  }
}

function lives({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return started === startOf(pid);
}

/** When a process started, in the system's own terms, or "" where /proc does not tell: then the pid has to do. */
function startOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field, the program's name in parentheses, may hold blanks; the start time is the 22nd (proc(5)).
    const ticks = status.slice(status.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? '' : `${boot}/${ticks}`;
  } catch {
    return '';
  }
}
