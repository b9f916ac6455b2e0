/**
 * The file system goes read-only, as ext4 does by itself when the disk below it fails: nothing is answered that is not on the
 * disk, what can be read is read, and the message says where to look. A file system of its own, in a file, is made to fail.
 */

import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChainVerifier, type Finding } from '../../src/base/chain.ts';
import {
  type Ask,
  asker,
  initialized,
  type Keys,
  type ServerProcess,
  serverFolder,
  unsealed,
} from './server.ts';

const DISK_MB = 64;

const why = cannotFail();
if (why !== undefined) console.log(`SKIPPED: a read-only file system is not tested, because ${why}`);

describe.skipIf(why !== undefined)('a file system that goes read-only', () => {
  let disk: Disk;
  let program: ServerProcess | undefined;
  beforeEach(async () => {
    disk = await makeDisk();
  });
  afterEach(async () => {
    await program?.kill('SIGKILL');
    await disk.remove();
  });

  it('under the data fails writes and says so, answers reads, and keeps all that was acknowledged', async () => {
    const folder = await serverFolder('', join(disk.at, 'data'));
    try {
      const began = await open(await folder.start());
      program = began.program;
      const { ask, keys } = began;
      for (let i = 0; i < 20; i++) expect(await put(ask, `secret/data/kept-${i}`)).toBe(200);
      disk.fail();
      const { status, json } = await ask('PUT', 'secret/data/lost', { data: { value: 'x' } });
      expect(status).toBe(503);
      expect(json.errors?.join()).toContain('the store did not take the write');
      for (let i = 0; i < 20; i++) expect((await ask('GET', `secret/data/kept-${i}`)).status).toBe(200);
      expect((await ask('GET', 'sys/health')).status).toBe(200);
      expect((await ask('GET', 'secret/data/lost')).status).toBe(404);
      // Who looks into the log finds the folder and what the system said.
      expect(told(program, 'the store does not take writes')).toMatchObject({
        folder: join(disk.at, 'data'),
      });
      await program.kill('SIGTERM');

      disk.mend();
      program = await folder.start();
      await unsealed(program, keys);
      const again = asker(program.at, keys.rootToken);
      for (let i = 0; i < 20; i++) expect((await again('GET', `secret/data/kept-${i}`)).status).toBe(200);
      expect(await put(again, 'secret/data/after')).toBe(200);
    } finally {
      await folder.remove();
    }
  });

  it('under the audit trail refuses everything but health, and goes on without a restart when it is mended', async () => {
    const folder = await serverFolder();
    const file = join(disk.at, 'audit.log');
    try {
      const began = await open(await folder.start());
      program = began.program;
      const { ask } = began;
      const enabled = await ask('PUT', 'sys/audit/file', { type: 'file', options: { file_path: file } });
      expect(enabled.status, JSON.stringify(enabled.json)).toBe(204);
      expect(await put(ask, 'secret/data/before')).toBe(200);
      disk.fail();
      expect((await ask('PUT', 'secret/data/never', { data: { value: 'x' } })).status).toBe(500);
      expect((await ask('GET', 'secret/data/before')).status).toBe(500);
      expect((await ask('GET', 'sys/health')).status).toBe(200);
      expect(told(program, 'an audit device did not take a line')).toMatchObject({
        device: 'file/',
        to: file,
        error: expect.objectContaining({ code: 'EROFS' }),
      });

      disk.mend();
      process.kill(program.pid, 'SIGHUP');
      for (let tries = 0; (await put(ask, 'secret/data/after')) !== 200; tries++) {
        if (tries > 50) throw new Error('it does not go on');
        await new Promise((resume) => setTimeout(resume, 100));
      }
      expect((await ask('GET', 'secret/data/never')).status).toBe(404);
      expect((await ask('GET', 'secret/data/before')).status).toBe(200);
      const findings: Finding[] = [];
      const verifier = new ChainVerifier({}, (finding) => findings.push(finding));
      for (const line of (await readFile(file, 'utf8')).split('\n')) verifier.take(line);
      verifier.end();
      expect(findings.filter(({ kind }) => kind === 'changed' || kind === 'repeated')).toEqual([]);
    } finally {
      await folder.remove();
    }
  });

  it('before the start is told with the folder, and nothing is served', async () => {
    const folder = await serverFolder('', join(disk.at, 'data'));
    try {
      const began = await open(await folder.start());
      await began.program.kill('SIGTERM');
      disk.fail();
      await expect(folder.start()).rejects.toThrow(join(disk.at, 'data'));
    } finally {
      await folder.remove();
    }
  });
});

interface Opened {
  readonly program: ServerProcess;
  readonly keys: Keys;
  readonly ask: Ask;
}

async function open(program: ServerProcess): Promise<Opened> {
  const keys = await initialized(program);
  await unsealed(program, keys);
  const ask = asker(program.at, keys.rootToken);
  const made = await ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  expect(made.status).toBe(204);
  return { program, keys, ask };
}

const put = async (ask: Ask, path: string): Promise<number> =>
  (await ask('PUT', path, { data: { value: 'x'.repeat(500) } })).status;

/** The first line of the log that says this. */
function told(program: ServerProcess, message: string): Record<string, unknown> | undefined {
  const line = program
    .output()
    .split('\n')
    .find((text) => text.includes(message));
  return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
}

interface Disk {
  readonly at: string;
  /** As if the disk below had failed: from now on nothing is written. */
  fail(): void;
  /** The same file system, checked and mounted again. */
  mend(): void;
  remove(): Promise<void>;
}

async function makeDisk(): Promise<Disk> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-readonly-'));
  let image = join(dir, 'image');
  let copies = 0;
  const at = join(dir, 'disk');
  await mkdir(at);
  await writeFile(image, Buffer.alloc(0));
  run('truncate', '-s', `${DISK_MB}M`, image);
  run('mkfs.ext4', '-q', '-F', image);
  const mount = (): void => run('mount', '-o', 'loop,errors=remount-ro', image, at);
  mount();
  return {
    at,
    fail() {
      const device = basename(output('findmnt', '-n', '-o', 'SOURCE', at));
      run('sh', '-c', `echo 1 > /sys/fs/ext4/${device}/trigger_fs_error`);
    },
    mend() {
      run('umount', '-l', at);
      // A copy: whoever still holds a file of the old one keeps the kernel from looking at it anew.
      const next = join(dir, `image-${++copies}`);
      run('cp', image, next);
      image = next;
      spawnSync('e2fsck', ['-y', image]);
      mount();
    },
    async remove() {
      spawnSync('umount', ['-l', at]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function run(command: string, ...args: string[]): void {
  output(command, ...args);
}

function output(command: string, ...args: string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command}: ${done.stderr || done.error?.message}`);
  return done.stdout.trim();
}

/** Why no file system can be made to fail here; undefined where it can. */
function cannotFail(): string | undefined {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'only root may mount one';
  const probe = spawnSync(
    'sh',
    [
      '-c',
      'd=$(mktemp -d); truncate -s 16M "$d/i" && mkdir "$d/m" && mkfs.ext4 -q -F "$d/i" && mount -o loop "$d/i" "$d/m" && test -w "/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE "$d/m")")/trigger_fs_error"; s=$?; umount "$d/m" 2>/dev/null; rm -rf "$d"; exit $s',
    ],
    { encoding: 'utf8' },
  );
  return probe.status === 0
    ? undefined
    : `no file system of its own can be made and failed: ${probe.stderr.trim().slice(0, 200)}`;
}
