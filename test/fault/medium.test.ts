/**
 * A medium that does not keep what it was given: bits flip, sectors come back empty or from elsewhere, pages go back in time. A
 * read may fail and the process may end; it never gives a value that nobody wrote, `verify` finds whatever is not as it was
 * written, and the last backup brings all of it back.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { watched } from '../../src/bin/offline/watched.ts';
import { randomKey } from '../../src/crypto/random.ts';
import { Backups } from '../../src/server/backup/backups.ts';
import { directoryPlace } from '../../src/server/backup/directory.ts';
import { fill } from '../../src/server/backup/verify.ts';
import { Barrier } from '../../src/server/barrier/barrier.ts';
import { HIGH_WATER_FILE } from '../../src/storage/highwater.ts';
import { openLmdb } from '../../src/storage/lmdb.ts';
import { REQUIRE } from '../support/bundle.ts';
import type { Report } from './medium-reader.ts';
import { type Random, seeded } from './random.ts';

const DAMAGES = Number(process.env['HOLDFAST_DAMAGES'] ?? 200);
const SECRETS = 400;
const PAGE = 4096;
const SECTOR = 512;
/** mdb.c: behind its own number, a page has the commit that wrote it (8 bytes) and, two bytes on, its kind. */
const COMMIT_OFFSET = 8;
const KIND_OFFSET = 18;
const BRANCH = 0x01;
/** The engine holds its process: it wrote past its own memory over a key of a damaged length, for instance. */
const LONGEST_SILENCE_MS = 10_000;
/** A reader that is still at it, and whose loop turns, has lost its way among the pages. */
const LONGEST_MS = 30_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const never = new AbortController().signal;

let folder: string;
let reader: string;
/** The file as it was written, and as it was some writes earlier. */
let whole: Buffer;
let earlier: Buffer;
/** What lies beside it: the newest revision that was acknowledged. */
let mark: Buffer;
let list: string;
let rootKey: Buffer;
/** What each key ever held, as sums: an old one is no invention, though it is not what was written last. */
const history = new Map<string, Set<string>>();

/** The pages that lead to others, the newest first: the tree is so low that each was its root. */
const roots = (): number[] =>
  [...Array(whole.length / PAGE).keys()]
    .filter((page) => whole.readUInt16LE(page * PAGE + KIND_OFFSET) === BRANCH)
    .sort((a, b) => Number(writtenBy(b) - writtenBy(a)));
const writtenBy = (page: number): bigint => whole.readBigUInt64LE(page * PAGE + COMMIT_OFFSET);
const newestRoot = (): number => roots()[0] as number;

const sumOf = (value: Uint8Array): string => createHash('sha256').update(value).digest('hex');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-medium-'));
  const home = mkdtempSync(join(root, 'node_modules', '.holdfast-medium-'));
  reader = join(home, 'reader.js');
  await build({
    absWorkingDir: root,
    entryPoints: ['test/fault/medium-reader.ts'],
    outfile: reader,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['lmdb'],
    banner: REQUIRE,
    logLevel: 'error',
  });
  await furnish();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  if (reader !== undefined) rmSync(join(reader, '..'), { recursive: true, force: true });
});

/** Hundreds of secrets, small and large, some written again and again; then a backup. */
async function furnish(): Promise<void> {
  const data = join(folder, 'first');
  const backend = await openLmdb(data);
  const barrier = new Barrier(backend);
  rootKey = randomKey(32);
  const plain = ['core/seal-config', 'core/root-key-wrapped'] as const;
  await barrier.initialize(rootKey, new Map(plain.map((name) => [name, Buffer.from('plain')])));
  await barrier.unseal(rootKey);
  const sums: Record<string, string> = {};
  const put = async (index: number): Promise<void> => {
    const key = `secret/${String(index % 20).padStart(2, '0')}/${index}`;
    const value = randomKey(40 + ((index * 37) % 3000));
    const sum = sumOf(value);
    sums[key] = sum;
    history.set(key, (history.get(key) ?? new Set()).add(sum));
    await barrier.view('').commit([{ key, value }]);
  };
  for (let index = 0; index < SECRETS; index++) await put(index);
  earlier = readFileSync(join(data, 'store.mdb'));
  for (let index = 0; index < SECRETS; index += 3) await put(index);
  const backups = backupsOf(barrier);
  backups.begin();
  await backups.create('nightly');
  await backups.end();
  await backend.close();
  whole = readFileSync(join(data, 'store.mdb'));
  mark = readFileSync(join(data, HIGH_WATER_FILE));
  list = join(folder, 'list.json');
  writeFileSync(list, JSON.stringify({ rootKey: rootKey.toString('base64'), sums }));
}

const backupsOf = (barrier: Barrier): Backups =>
  new Backups({
    barrier,
    clock: new ManualClock(),
    log: silentLog,
    version: '1',
    targets: [{ name: 'nightly', keepMs: 1e12, place: directoryPlace(join(folder, 'backups')) }],
    clusterId: () => 'c',
    async scratch() {
      const at = mkdtempSync(join(folder, 'scratch-'));
      const backend = await openLmdb(at);
      return {
        backend,
        async remove() {
          await backend.close();
          rmSync(at, { recursive: true, force: true });
        },
      };
    },
  });

/** Damages of every kind, each at a random place. The first two pages are the engine's own record of where everything is. */
const KINDS: Readonly<Record<string, (bytes: Buffer, random: Random) => void>> = {
  'one bit is another': (bytes, random) => {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  },
  'one bit of the root is another': (bytes, random) => {
    const at = newestRoot() * PAGE + random.below(PAGE);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  },
  'many bits are others': (bytes, random) => {
    for (let count = 0; count < 40; count++) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
  },
  'a sector is empty': (bytes, random) => {
    const at = random.below(bytes.length / SECTOR) * SECTOR;
    bytes.fill(0, at, at + SECTOR);
  },
  'a page is torn': (bytes, random) => {
    const at = random.below(bytes.length / PAGE) * PAGE;
    const old = earlier.subarray(at, at + PAGE);
    const part = SECTOR * (1 + random.below(7));
    // The first sectors are of now and the others of before, as when the power goes while a page is written.
    if (old.length === PAGE) old.copy(bytes, at + part, part);
    else bytes.fill(0, at + part, at + PAGE);
  },
  'two pages change places': (bytes, random) =>
    swap(bytes, random.below(bytes.length / PAGE), random.below(bytes.length / PAGE)),
  'a page is as it was before': (bytes, random) => {
    const at = random.below(earlier.length / PAGE) * PAGE;
    earlier.copy(bytes, at, at, at + PAGE);
  },
  'the end is missing': (bytes, random) => {
    bytes.fill(0, PAGE * (2 + random.below(bytes.length / PAGE - 2)));
  },
};

function swap(bytes: Buffer, a: number, b: number): void {
  const page = Buffer.from(bytes.subarray(a * PAGE, (a + 1) * PAGE));
  bytes.copy(bytes, a * PAGE, b * PAGE, (b + 1) * PAGE);
  page.copy(bytes, b * PAGE);
}

interface Outcome {
  readonly report: Report | undefined;
  readonly end: string;
}

async function read(data: string): Promise<Outcome> {
  const child = spawn(process.execPath, [reader, data, list], { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] });
  let text = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const { code, signal, hung } = await watched(child, LONGEST_SILENCE_MS);
  clearTimeout(timer);
  const report = text.endsWith('\n') ? (JSON.parse(text) as Report) : undefined;
  return { report, end: hung ? 'hung' : (signal ?? `exit ${code}`) };
}

function damaged(bytes: Buffer, beside: Buffer = mark): string {
  const data = join(folder, 'damaged');
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data);
  writeFileSync(join(data, 'store.mdb'), bytes);
  writeFileSync(join(data, HIGH_WATER_FILE), beside);
  return data;
}

test('the file as it was written is whole, and gives every value', async () => {
  const { report } = await read(damaged(whole));
  expect(report).toEqual({ right: SECRETS, failed: 0, wrong: [], absent: [], verdict: 'whole' });
});

describe('a damaged file', () => {
  test(`gives no value that nobody wrote, and verify finds what is not as written, ${DAMAGES} times`, async () => {
    const random = seeded('medium');
    const tally = new Map<string, Record<string, number>>();
    let stale = 0;
    for (let round = 0; round < DAMAGES; round++) {
      const [kind, damage] = Object.entries(KINDS)[round % Object.keys(KINDS).length] as [
        string,
        (bytes: Buffer, random: Random) => void,
      ];
      const bytes = Buffer.from(whole);
      damage(bytes, random);
      const { report, end } = await read(damaged(bytes));
      const row = tally.get(kind) ?? {};
      tally.set(kind, row);
      const told = report === undefined ? `ended (${end})` : report.verdict;
      row[told] = (row[told] ?? 0) + 1;
      if (report === undefined) {
        // A crash is an answer, and so is an engine that hangs, which is noticed; a reader that goes on for ever is none.
        expect(end, `round ${round}: ${kind}`).not.toBe('SIGKILL');
        continue;
      }
      // Absent and old values are what a read cannot know of: verify does.
      const isWritten = report.wrong.length === 0 && report.absent.length === 0 && report.failed === 0;
      if (!isWritten) expect(report.verdict, `round ${round}: ${kind}`).not.toBe('whole');
      for (const [key, sum] of report.wrong)
        expect(history.get(key)?.has(sum), `round ${round}: ${kind}: ${key} holds what nobody wrote`).toBe(
          true,
        );
      stale += report.wrong.length > 0 ? 1 : 0;
    }
    console.log(
      `medium: ${DAMAGES} damages, in ${stale} of them reads gave old values, all found\n${[...tally].map(([kind, row]) => `  ${kind}: ${JSON.stringify(row)}`).join('\n')}`,
    );
    const all = [...tally.values()].flatMap((row) => Object.entries(row));
    // Damage that nobody ever meets would prove nothing.
    const met = all.filter(([told]) => told !== 'whole').reduce((sum, [, count]) => sum + count, 0);
    expect(met).toBeGreaterThan(DAMAGES / 10);
  });

  test('that leads to the root of an earlier commit is whole by itself, and found by what lies beside it', async () => {
    let [found, unnoticed] = [0, 0];
    for (const root of roots().slice(1)) {
      const bytes = Buffer.from(whole);
      swap(bytes, newestRoot(), root);
      const { report } = await read(damaged(bytes));
      expect(report?.verdict, `the root of page ${root}`).toBe('storage.older');
      found++;
      rmSync(join(folder, 'damaged', HIGH_WATER_FILE));
      if ((await read(join(folder, 'damaged'))).report?.verdict === 'whole') unnoticed++;
    }
    expect(found).toBeGreaterThan(0);
    expect(unnoticed, 'without it nothing tells').toBeGreaterThan(0);
  });

  test('is brought back by the last backup, to the byte', async () => {
    const backend = await openLmdb(join(folder, 'stranger'));
    const source = new Barrier(backend);
    copyFileSync(list, join(folder, 'list-kept.json'));
    const from = await openLmdb(join(folder, 'first'));
    const barrier = new Barrier(from);
    await barrier.unseal(rootKey);
    const backups = backupsOf(barrier);
    backups.begin();
    const found = await backups.recall('nightly', {}, { shares: [], force: false }, never);
    await backups.end();
    async function* entries() {
      for (const [key, value] of found.entries) yield { key, value };
    }
    await fill(backend, new Map(), entries(), found.name, never);
    await source.unseal(rootKey);
    await source.seal();
    await from.close();
    await backend.close();
    const { report } = await read(join(folder, 'stranger'));
    expect(report).toEqual({ right: SECRETS, failed: 0, wrong: [], absent: [], verdict: 'whole' });
  });
});

test('the whole file of an earlier day is refused, and the backups tell that it is older where nothing lies beside it', async () => {
  expect((await read(damaged(earlier))).report?.verdict).toBe('storage.older');
  const data = damaged(earlier, Buffer.alloc(0));
  const { report } = await read(data);
  expect(report?.verdict).toBe('whole');
  expect(report?.wrong.length).toBeGreaterThan(0);
  const backend = await openLmdb(data);
  const barrier = new Barrier(backend);
  await barrier.unseal(rootKey);
  const clock = new ManualClock();
  const backups = new Backups({
    barrier,
    clock,
    log: silentLog,
    version: '1',
    targets: [{ name: 'nightly', keepMs: 1e12, place: directoryPlace(join(folder, 'backups')) }],
    clusterId: () => 'c',
    scratch: () => Promise.reject(new Error('none is needed')),
  });
  backups.begin();
  clock.advance(5000);
  await expect.poll(() => backups.states[0]?.behind, { timeout: 5000 }).toBe(true);
  await backups.end();
  await barrier.seal();
  await backend.close();
});
