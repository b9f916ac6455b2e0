// What figures were measured on, and of which state of the sources.

import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SYNCS_MS = 300;

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown CPU',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    kernel: `${process.platform} ${release()}`,
    syncsPerSecond: syncsPerSecond(),
    commit: commit(),
  };
}

export const machineLine = ({ cpu, cores, memoryGb, node, kernel, syncsPerSecond: syncs, commit }) =>
  `${cpu}, ${cores} cores, ${memoryGb} GB, Node ${node}, ${kernel}; ${syncs} writes with fdatasync/s; commit ${commit}`;

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
