/** Lists, restores and verifies without a server: over a real data folder, and what is refused before anything is touched. */

import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { RestoreWish } from '../../cli/offline.ts';
import { runCli } from '../../cli/program.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { Backups } from '../../server/backup/backups.ts';
import { directoryPlace } from '../../server/backup/directory.ts';
import { scratches } from '../../server/backup/testing.ts';
import { Barrier } from '../../server/barrier/barrier.ts';
import { SealKeeper } from '../../server/seal/keeper.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { declareOffline } from './command.ts';
import { restoreOffline } from './restore.ts';

let folder: string;
let config: string;
let keys: string[];
let made: string;
let out: string;
let err: string;
let typed: string[];

const terminal = (): Terminal => ({
  // The child is for the sake of the engine; here it is the tests' own process that looks.
  env: { HOLDFAST_STORAGE_CHILD: '1' },
  out: (text) => {
    out += text;
  },
  err: (text) => {
    err += text;
  },
  stdin: async () => keys.join('\n'),
  secret: async () => {
    const next = typed.shift();
    if (next === undefined) throw failure('cli.no_terminal');
    return next;
  },
  readFile: (path) => readFile(path, 'utf8'),
  tokenFile: { read: async () => undefined, write: async () => {} },
});

async function cli(...argv: string[]): Promise<number> {
  out = '';
  err = '';
  return runCli(argv, terminal(), 'test', [declareOffline]);
}

/** Opens the store of the data folder for a moment. */
async function within<T>(work: (barrier: Barrier) => Promise<T>): Promise<T> {
  const backend = await openLmdb(join(folder, 'data'));
  const barrier = new Barrier(backend);
  const keeper = new SealKeeper(backend, barrier);
  try {
    if ((await keeper.status()).initialized)
      for (const key of keys.slice(0, 2)) await keeper.submitShare(Buffer.from(key, 'base64'));
    else {
      const shares = await keeper.initialize({ shares: 3, threshold: 2 });
      keys = shares.map((share) => Buffer.from(share).toString('base64'));
    }
    return await work(barrier);
  } finally {
    await barrier.seal();
    await backend.close();
  }
}

const put = (key: string, text: string) =>
  within((barrier) => barrier.view('').commit([{ key, value: Buffer.from(text) }]));
const get = (key: string) =>
  within(async (barrier) => {
    const entry = await barrier.view('').get(key);
    return entry && Buffer.from(entry.value).toString();
  });

const backup = (at: number): Promise<string> =>
  within(async (barrier) => {
    const backups = new Backups({
      barrier,
      clock: new ManualClock(at),
      log: silentLog,
      version: '1',
      targets: [{ name: 'nightly', keepMs: 1e12, place: directoryPlace(join(folder, 'backups')) }],
      clusterId: () => 'c',
      scratch: scratches().make,
    });
    backups.begin();
    const { name } = await backups.create('nightly');
    await backups.end();
    return name;
  });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-offline-'));
  config = join(folder, 's.hcl');
  typed = [];
  await writeFile(
    config,
    `storage "lmdb" { path = "${folder}/data" }
listener "tcp" {
  address = "127.0.0.1:0"
  tls_disable = true
}
backup "nightly" { directory = "${folder}/backups" }
`,
  );
  await put('a', 'first');
  made = await backup(Date.UTC(2026, 0, 1));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('what is lost is restored by the keys of its day, in a folder that is not there', async () => {
  await rm(join(folder, 'data'), { recursive: true });
  expect(await cli('backup', 'restore', `-config=${config}`, '-yes', '-key=-')).toBe(0);
  expect(out).toContain(made);
  expect(await get('a')).toBe('first');
  expect(await readdir(join(folder, 'data'))).not.toContain('lock');
});

test('keys are asked for one by one where none are given', async () => {
  await rm(join(folder, 'data'), { recursive: true });
  typed = [keys[2] ?? '', keys[0] ?? ''];
  expect(await cli('backup', 'restore', `-config=${config}`, '-yes')).toBe(0);
  typed = [keys[1] ?? '', keys[0] ?? ''];
  expect(await cli('storage', 'verify', `-config=${config}`)).toBe(0);
  expect(out).toContain('The store is whole.');
});

test('a plan changes nothing and ends with 1', async () => {
  await rm(join(folder, 'data'), { recursive: true });
  expect(await cli('backup', 'restore', `-config=${config}`)).toBe(1);
  expect(out).toContain('Would restore');
  expect(err).toContain('-yes');
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

test('a store that is there is left alone, and with -force is kept beside', async () => {
  await put('a', 'second');
  expect(await cli('backup', 'restore', `-config=${config}`, '-yes', '-key=-')).toBe(1);
  expect(err).toContain('Nothing was changed');
  expect(await get('a')).toBe('second');
  expect(await cli('backup', 'restore', `-config=${config}`, '-yes', '-force', '-key=-')).toBe(0);
  expect(await get('a')).toBe('first');
  const left = (await readdir(join(folder, 'data'))).filter((name) =>
    name.startsWith('store.mdb.before-restore-'),
  );
  expect(left).toHaveLength(1);
});

test('the newest at or before a time is taken', async () => {
  await put('a', 'second');
  const second = await backup(Date.UTC(2026, 0, 2));
  await cli('backup', 'list', `-config=${config}`, '-format=json');
  expect(JSON.parse(out).backups.map(({ name }: { name: string }) => name)).toEqual([made, second]);
  const forced = ['backup', 'restore', `-config=${config}`, '-yes', '-force', '-key=-'];
  expect(await cli(...forced, '-at=2026-01-01T12:00:00Z')).toBe(0);
  expect(await get('a')).toBe('first');
  expect(await cli(...forced)).toBe(0);
  expect(await get('a')).toBe('second');
  expect(await cli(...forced, '-at=2025-01-01')).not.toBe(0);
  expect(await cli(...forced, '-at=yesterday')).toBe(1);
  expect(await cli(...forced, made, '-at=2026-01-01')).toBe(1);
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  [
    'one bit changed',
    (bytes) => Buffer.from(bytes.map((byte, at) => (at === bytes.length - 99 ? byte ^ 1 : byte))),
  ],
  ['its end missing', (bytes) => bytes.subarray(0, -40)],
])('a backup with %s is not restored, and nothing is left behind', async (_what, change) => {
  const file = join(folder, 'backups', made);
  await writeFile(file, change(await readFile(file)));
  expect(await cli('backup', 'restore', made, `-config=${config}`, '-yes', '-force', '-key=-')).toBe(1);
  expect(err).toMatch(/cannot be used: it (was changed|ends too soon)/);
  expect(await get('a')).toBe('first');
  expect((await readdir(join(folder, 'data'))).filter((name) => name.startsWith('restore-'))).toEqual([]);
});

test('a folder that a server has is not touched', async () => {
  const backend = await openLmdb(join(folder, 'data'));
  try {
    const wish: RestoreWish = {
      ...{ target: undefined, name: undefined, at: undefined },
      ...{ force: true, dry: false, keys: keys.slice(0, 2) },
    };
    await expect(restoreOffline([config], wish, terminal())).rejects.toMatchObject({
      code: 'storage.locked',
    });
  } finally {
    await backend.close();
  }
});

test('verify tells what is whole, what is damaged, and what it could not judge, by its exit code', async () => {
  const verify = (...more: string[]) => cli('storage', 'verify', `-config=${config}`, ...more);
  expect(await verify('-key=-')).toBe(0);
  expect(await verify(`-key=${keys[0]}`)).toBe(1);
  expect(err).toContain('2 different unseal keys');
  expect(await verify('-key=AAAA')).toBe(1);
  const backend = await openLmdb(join(folder, 'data'));
  await backend.commit([
    { key: 'a', value: Buffer.from('changed, and not by the server that it belongs to') },
  ]);
  await backend.close();
  expect(await verify('-key=-')).toBe(2);
  expect(out).toContain('Damaged: a\n');
  expect(out).toContain('NOT whole');
  await rm(join(folder, 'data'), { recursive: true });
  expect(await verify('-key=-')).toBe(1);
});

test('a folder that went back to an earlier day as a whole is found by its backups, and one that was restored is not', async () => {
  const old = await readFile(join(folder, 'data', 'store.mdb'));
  await backup(Date.UTC(2026, 0, 3));
  await writeFile(join(folder, 'data', 'store.mdb'), old);
  expect(await cli('storage', 'verify', `-config=${config}`, '-key=-')).toBe(2);
  expect(err).toMatch(
    /is older than what was written there: it ends at revision \d+, and \d+ was acknowledged/,
  );
  await rm(join(folder, 'data', 'store.head'));
  expect(await cli('storage', 'verify', `-config=${config}`, '-key=-')).toBe(2);
  expect(out).toContain('older than the newest backup of "nightly"');
  expect(await cli('backup', 'restore', made, `-config=${config}`, '-yes', '-force', '-key=-')).toBe(0);
  expect(await cli('storage', 'verify', `-config=${config}`, '-key=-')).toBe(0);
});
