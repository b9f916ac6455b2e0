// What figures were measured on, and of which state of the sources.

import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SYNCS_MS = 300;
const LOOK_MS = 500;

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown CPU',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    kernel: `${process.platform} ${release()}`,
    othersPercent: othersPercent(),
    syncsPerSecond: syncsPerSecond(),
    commit: commit(),
  };
}

export const machineLine = (made) =>
  [
    `${made.cpu}, ${made.cores} cores, ${made.memoryGb} GB, Node ${made.node}, ${made.kernel}`,
    `${made.syncsPerSecond} writes with fdatasync/s`,
    ...(made.othersPercent === undefined ? [] : [`others used ${made.othersPercent} % of the cores`]),
    `commit ${made.commit}`,
  ].join('; ');

/** What the machine did while this run did nothing; undefined where the kernel does not tell. */
function othersPercent() {
  const times = () => {
    const [, ...all] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].split(/ +/).map(Number);
    return { whole: all.slice(0, 8).reduce((sum, time) => sum + time, 0), idle: all[3] + all[4] };
  };
  if (!existsSync('/proc/stat')) return undefined;
  const before = times();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  const after = times();
  return Math.round(100 * (1 - (after.idle - before.idle) / (after.whole - before.whole)));
}

/** How often the disk of the temporary folder says that a small write is safe, one after another. */
function syncsPerSecond() {
  const file = join(tmpdir(), `holdfast-bench-sync-${process.pid}`);
  const fd = openSync(file, 'w');
  const bytes = Buffer.alloc(512, 1);
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < SYNCS_MS) {
    writeSync(fd, bytes);
    fdatasyncSync(fd);
    count++;
  }
  const passed = (performance.now() - started) / 1000;
  closeSync(fd);
  rmSync(file);
  return Math.round(count / passed);
}

function commit() {
  try {
    const git = (...words) => execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' }).trim();
    const dirty = git('status', '--porcelain', '--', 'src', 'package-lock.json') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${dirty ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}
