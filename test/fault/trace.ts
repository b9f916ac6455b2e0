/**
 * What a program asked of the disk, as strace saw it, and what would be left of a file if the power went at one moment.
 *
 * A write counts as kept once a sync of its file that began after the write had ended has itself ended, or, on a descriptor
 * opened with O_DSYNC, once the write has ended. The lines of the trace are in the order in which the tracer let things
 * happen, so "before" is the order of lines and needs no clock. Names of files are taken to last: that is not looked at here.
 */

import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Random } from './random.ts';

export const SECTOR = 512;
const SLOW_SYNC_US = 8000;
const CALLS =
  'openat,lseek,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,fdatasync,fsync,sync_file_range,msync,mmap,io_uring_setup';

/** The tracer and its flags. The program keeps the process id of the child: the tracer stands beside it. */
export const tracer = (output: string): string[] => [
  ...['strace', '-D', '-f', '-ttt', '-yy', '-xx', '-s', '1000000', '-o', output],
  ...['-e', `trace=${CALLS}`, '-e', 'signal=none'],
  // On a fast disk an answer that does not wait for its sync would come after it all the same, and look right.
  ...['-e', `inject=fdatasync,fsync:delay_enter=${SLOW_SYNC_US}`],
];

/** Why nothing can be traced here; undefined where it can. */
export function cannotTrace(): string | undefined {
  const done = spawnSync('strace', ['-f', '-o', '/dev/null', process.execPath, '--version'], {
    encoding: 'utf8',
  });
  if (done.error !== undefined) return `there is no strace here (${done.error.message})`;
  return done.status === 0 ? undefined : `strace may not trace here: ${done.stderr.trim().slice(0, 200)}`;
}

/** The process that traces another one. */
export async function tracerOf(pid: number): Promise<number> {
  const found = /^TracerPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (found === undefined || found === '0') throw new Error(`nobody traces process ${pid}`);
  return Number(found);
}

/** Whether a process that is not our child has ended, reaped or not. */
export async function isGone(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return state === undefined || /\) Z /.test(state);
}

export interface DiskWrite {
  readonly file: string;
  readonly offset: number;
  readonly bytes: Buffer;
  /** On a descriptor that syncs each write. */
  readonly synced: boolean;
  /** Lines at which it began and ended; the end is missing where the program was killed in it. */
  readonly begun: number;
  done: number | undefined;
}

export interface Sync {
  readonly file: string;
  readonly begun: number;
  done: number | undefined;
}

/** The head of an HTTP answer on its way to a client's port. */
export interface HttpAnswer {
  readonly port: number;
  readonly begun: number;
}

export interface Trace {
  readonly lines: number;
  readonly writes: readonly DiskWrite[];
  readonly syncs: readonly Sync[];
  readonly answers: readonly HttpAnswer[];
}

const LINE = /^(\d+) +[\d.]+ (?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))$/;
/** A descriptor with what it leads to: `20</path>`, `29<TCP:[here->there]>`. */
const DESCRIPTOR = /^(\d+)<((?:->|[^<>]|<[^<>]*>)*)>/;
const HTTP_ANSWER = Buffer.from('HTTP/1.1 2');

/**
 * Reads a trace of `tracer`.
 * @param wanted which files' writes to keep
 * @throws Error for what the method cannot see: writes through a map, a ring or a call that is not understood
 */
export function readTrace(text: string, wanted: (file: string) => boolean): Trace {
  const writes: DiskWrite[] = [];
  const syncs: Sync[] = [];
  const answers: HttpAnswer[] = [];
  const descriptors = new Map<number, { synced: boolean; offset: number }>();
  /** What a thread is inside of, and how to end it. */
  const inside = new Map<string, (line: number, result: number) => void>();
  const lines = text.split('\n');

  const begin = (name: string, args: string, line: number): ((line: number, result: number) => void) => {
    if (name === 'io_uring_setup') throw new Error('the program writes through a ring, which is not traced');
    if (name === 'openat') {
      const flags = /, ([A-Z_|]+)[,)]/.exec(args)?.[1] ?? '';
      const synced = /\bO_D?SYNC\b/.test(flags);
      return (_, result) => void descriptors.set(result, { synced, offset: 0 });
    }
    if (name === 'mmap') {
      const map = /(PROT_[A-Z_|]+), (MAP_[A-Z_|]+), (.*)$/.exec(args);
      const file = pathOf(map?.[3] ?? '');
      if (file && wanted(file.path) && /PROT_WRITE/.test(map?.[1] ?? '') && /MAP_SHARED/.test(map?.[2] ?? ''))
        throw new Error(`${file.path} is written through a map, which is not traced`);
      return () => {};
    }
    const file = pathOf(args);
    if (file === undefined) return () => {};
    const { fd, path } = file;
    const port = /^TCP.*->[^\]]*:(\d+)\]$/.exec(path)?.[1];
    if (port !== undefined && (name === 'write' || name === 'writev')) {
      const head = /"((?:\\x[0-9a-f]{2}){10})/.exec(args)?.[1];
      if (head !== undefined && HTTP_ANSWER.equals(bytesOf(head)))
        answers.push({ port: Number(port), begun: line });
      return () => {};
    }
    if (!wanted(path)) return () => {};
    const open = descriptors.get(fd) ?? { synced: false, offset: 0 };
    descriptors.set(fd, open);
    switch (name) {
      case 'lseek':
        return (_, result) => {
          open.offset = result;
        };
      case 'fdatasync':
      case 'fsync': {
        const sync: Sync = { file: path, begun: line, done: undefined };
        syncs.push(sync);
        return (end, result) => {
          if (result === 0) sync.done = end;
        };
      }
      case 'write':
      case 'writev':
      case 'pwrite64':
      case 'pwritev': {
        if (/"\.\.\./.test(args)) throw new Error(`a write of ${path} was cut short in the trace`);
        const bytes = Buffer.concat(
          [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((m) => bytesOf(m[1] ?? '')),
        );
        const positioned = name === 'pwrite64' || name === 'pwritev';
        const offset = positioned ? positionOf(args) : open.offset;
        const write: DiskWrite = {
          file: path,
          offset,
          bytes,
          synced: open.synced,
          begun: line,
          done: undefined,
        };
        writes.push(write);
        return (end, result) => {
          if (result !== bytes.length)
            throw new Error(`a write of ${path} took ${result} of ${bytes.length} bytes`);
          write.done = end;
          if (!positioned) open.offset += result;
        };
      }
      default:
        throw new Error(`${path} meets ${name}, which this does not understand`);
    }
  };

  for (const [number, line] of lines.entries()) {
    const found = LINE.exec(line);
    if (found === null) continue;
    const [, thread = '', , rest = '', name = '', args = ''] = found;
    if (name === '') {
      inside.get(thread)?.(number, resultOf(rest));
      inside.delete(thread);
      continue;
    }
    const end = begin(name, args, number);
    if (args.endsWith('<unfinished ...>')) inside.set(thread, end);
    else if (!/\) += \?/.test(args)) end(number, resultOf(args));
  }
  return { lines: lines.length, writes, syncs, answers };
}

/** Writes that had begun before the line `cut`, and whether each had to survive a power cut there. */
export function written(trace: Trace, file: string, cut: number): { write: DiskWrite; kept: boolean }[] {
  const syncs = trace.syncs.filter(
    (sync) => sync.file === file && sync.done !== undefined && sync.done < cut,
  );
  // The last sync covers most; the latest beginning among those that ended is all that matters.
  const covered = Math.max(-1, ...syncs.map((sync) => sync.begun));
  return trace.writes
    .filter((write) => write.file === file && write.begun < cut)
    .map((write) => {
      const done = write.done ?? Number.POSITIVE_INFINITY;
      return { write, kept: done < covered || (write.synced && done < cut) };
    });
}

/**
 * The file as a power cut at `cut` may leave it: what had to survive, and, with `torn`, any sectors of what was under way.
 */
export function imageAt(trace: Trace, file: string, cut: number, torn?: Random): Buffer {
  const parts = written(trace, file, cut).flatMap(({ write, kept }) => {
    if (kept) return [{ offset: write.offset, bytes: write.bytes }];
    return torn === undefined ? [] : sectorsOf(write, torn);
  });
  const size = Math.max(0, ...parts.map(({ offset, bytes }) => offset + bytes.length));
  const image = Buffer.alloc(size);
  for (const { offset, bytes } of parts) bytes.copy(image, offset);
  return image;
}

/** Some of the sectors that a write touches: all, none or any. */
function sectorsOf({ offset, bytes }: DiskWrite, random: Random): { offset: number; bytes: Buffer }[] {
  const share = [0, 0.5, 1][random.below(3)] ?? 0;
  const parts: { offset: number; bytes: Buffer }[] = [];
  for (let at = offset; at < offset + bytes.length; ) {
    const next = Math.min(offset + bytes.length, (Math.floor(at / SECTOR) + 1) * SECTOR);
    if (random.next() < share) parts.push({ offset: at, bytes: bytes.subarray(at - offset, next - offset) });
    at = next;
  }
  return parts;
}

function pathOf(args: string): { fd: number; path: string } | undefined {
  const [, fd, name = ''] = DESCRIPTOR.exec(args) ?? [];
  if (fd === undefined) return undefined;
  return { fd: Number(fd), path: name.startsWith('\\x') ? bytesOf(name).toString('utf8') : name };
}

const bytesOf = (escaped: string): Buffer => Buffer.from(escaped.replaceAll('\\x', ''), 'hex');

/** The position that a positioned write names last. */
function positionOf(args: string): number {
  const found = /, (\d+)(?:\) += .*| *<unfinished \.\.\.>)$/.exec(args.slice(-200))?.[1];
  if (found === undefined) throw new Error(`no position in ${args.slice(-200)}`);
  return Number(found);
}

/** What the call gave: the number after the last " = ". */
function resultOf(rest: string): number {
  const found = /= (-?\d+)(?:<[^=]*>)?(?: [^=]*)?$/.exec(rest.slice(-6000))?.[1];
  return found === undefined ? Number.NaN : Number(found);
}
