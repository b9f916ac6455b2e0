import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { utf8 } from '../base/bytes.ts';
import { isFailure } from '../base/errors.ts';
import { describeBackend } from './conformance.ts';
import { openLmdb } from './lmdb.ts';

const root = mkdtempSync(join(tmpdir(), 'holdfast-lmdb-'));
afterAll(() => rm(root, { recursive: true, force: true }));
let count = 0;
const fresh = () => join(root, String(++count));

describeBackend('lmdb', async () => {
  const folder = fresh();
  let current = await openLmdb(folder);
  const reopen = async () => {
    await current.close();
    current = await openLmdb(folder);
    return current;
  };
  return { backend: current, reopen };
});

describe('the data folder', () => {
  test('is readable by its owner alone', async () => {
    const folder = fresh();
    const backend = await openLmdb(folder);
    await backend.commit([{ key: 'a', value: utf8('1') }]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder).sort()).toEqual(['lock', 'store.head', 'store.mdb', 'store.mdb-lock']);
    for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
    await backend.close();
  });

  test('is had by one at a time, who is named with pid and address, and is free again after close', async () => {
    const folder = fresh();
    const backend = await openLmdb(folder);
    backend.setOwner('https://127.0.0.1:8200');
    await expect(openLmdb(folder)).rejects.toMatchObject({
      code: 'storage.locked',
      message: `the data folder ${folder} is in use by process ${process.pid} (https://127.0.0.1:8200)`,
    });
    await backend.commit([{ key: 'a', value: utf8('1') }]);
    await backend.close();
    expect(readdirSync(folder)).not.toContain('lock');
    const again = await openLmdb(folder);
    expect(await again.get('a')).toMatchObject({ revision: 1 });
    await again.close();
  });

  test.each([
    ['a process that is gone', { pid: 2 ** 22 + 12345, started: 'x', owner: '' }],
    ['a process whose pid another one has now', { pid: process.pid, started: 'another boot/1', owner: '' }],
    ['nobody, the file being torn', '{"pid":'],
    ['nobody, the file being foreign', { pid: -1 }],
  ])('is taken over from %s', async (_, holder) => {
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, 'lock'), typeof holder === 'string' ? holder : JSON.stringify(holder));
    const backend = await openLmdb(folder, { owner: 'me' });
    expect(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8'))).toMatchObject({
      pid: process.pid,
      owner: 'me',
    });
    await backend.close();
  });

  test('is refused with a reason where it is a file or holds something else', async () => {
    const file = fresh();
    writeFileSync(file, 'not a folder');
    await expect(openLmdb(file)).rejects.toMatchObject({ code: 'storage.unusable' });
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, 'store.mdb'), 'this is no LMDB file '.repeat(1000));
    await expect(openLmdb(folder)).rejects.toMatchObject({ code: 'storage.unusable' });
    chmodSync(folder, 0o700);
    expect(readdirSync(folder)).not.toContain('lock');
  });
});

describe('a store that is older than what it acknowledged', () => {
  const PAGE = 4096;
  const put = async (folder: string, ...values: readonly string[]): Promise<void> => {
    const backend = await openLmdb(folder);
    for (const value of values) await backend.commit([{ key: 'a', value: utf8(value) }]);
    await backend.close();
  };
  const read = async (folder: string): Promise<string | undefined> => {
    const backend = await openLmdb(folder);
    try {
      return text((await backend.get('a'))?.value);
    } finally {
      await backend.close();
    }
  };
  const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString();
  const older = (found: number, newest: number) => ({
    code: 'storage.older',
    message: expect.stringContaining(`it ends at revision ${found}, and ${newest} was acknowledged`),
  });

  test('is refused where it is an older copy of the file, until somebody says that it was meant', async () => {
    const folder = fresh();
    const file = join(folder, 'store.mdb');
    await put(folder, '1', '2');
    const copy = readFileSync(file);
    await put(folder, '3');
    writeFileSync(file, copy);
    await expect(openLmdb(folder)).rejects.toMatchObject(older(2, 3));
    await expect(openLmdb(folder), 'again').rejects.toMatchObject(older(2, 3));
    expect(readdirSync(folder)).not.toContain('lock');
    rmSync(join(folder, 'store.head'));
    expect(await read(folder)).toBe('2');
  });

  test('is refused where the file is gone', async () => {
    const folder = fresh();
    await put(folder, '1');
    rmSync(join(folder, 'store.mdb'));
    await expect(openLmdb(folder)).rejects.toMatchObject(older(0, 1));
  });

  test('is refused where damage leads to an earlier root', async () => {
    const folder = fresh();
    const file = join(folder, 'store.mdb');
    await put(folder, ...Array.from({ length: 20 }, (_, i) => `${i + 1}`));
    const whole = readFileSync(file);
    let refused = 0;
    for (let a = 2; a < whole.length / PAGE; a++)
      for (let b = 2; b < a; b++) {
        const swapped = Buffer.from(whole);
        whole.copy(swapped, a * PAGE, b * PAGE, (b + 1) * PAGE);
        whole.copy(swapped, b * PAGE, a * PAGE, (a + 1) * PAGE);
        writeFileSync(file, swapped);
        try {
          expect(await read(folder)).toBe('20');
        } catch (error) {
          if (!isFailure(error, 'storage.older')) throw error;
          refused++;
        }
      }
    expect(refused).toBeGreaterThan(0);
  });

  test.each([
    ['is missing, as after an update of this program', undefined],
    ['is empty', ''],
    ['was half written', '12'],
    ['has another sum', '9 00000000\n'],
    ['is something else', 'x'.repeat(5000)],
  ])('is not told where the file beside it %s', async (_, content) => {
    const folder = fresh();
    const mark = join(folder, 'store.head');
    await put(folder, '1', '2');
    rmSync(mark);
    if (content !== undefined) writeFileSync(mark, content);
    expect(await read(folder)).toBe('2');
    const file = join(folder, 'store.mdb');
    const copy = readFileSync(file);
    await put(folder, '3');
    writeFileSync(file, copy);
    await expect(openLmdb(folder)).rejects.toMatchObject(older(2, 3));
  });
});

test('a second page that says nothing of a store is told, and does not crash the process', async () => {
  const folder = fresh();
  const file = join(folder, 'store.mdb');
  const backend = await openLmdb(folder);
  await backend.commit([{ key: 'a', value: utf8('1') }]);
  await backend.close();
  const bytes = readFileSync(file);
  bytes.fill(0x5a, 4096, 8192);
  writeFileSync(file, bytes);
  await expect(openLmdb(folder)).rejects.toMatchObject({
    code: 'storage.unusable',
    message: `the data folder ${folder} cannot be used: the second page of store.mdb is damaged`,
  });
});

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const entry of source) found.push(entry);
  return found;
}

test('an entry that no lookup finds is told by a scan, where a page that leads to others is damaged', async () => {
  const folder = fresh();
  const file = join(folder, 'store.mdb');
  const keys = Array.from({ length: 300 }, (_, i) => `key/${String(i).padStart(3, '0')}`);
  const backend = await openLmdb(folder);
  await backend.commit(keys.map((key) => ({ key, value: new Uint8Array(100) })));
  await backend.close();
  const whole = readFileSync(file);
  const page =
    [...Array(whole.length / 4096).keys()].find((n) => whole.readUInt16LE(n * 4096 + 18) === 1) ?? 0;
  let told = 0;
  for (let at = page * 4096; at < (page + 1) * 4096; at++) {
    if (!whole.subarray(at, at + 5).equals(utf8('ekey/'))) continue;
    const bytes = Buffer.from(whole);
    bytes[at + 6] = (bytes[at + 6] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const damaged = await openLmdb(folder);
    let lost = 0;
    for (const key of keys) if ((await damaged.get(key)) === undefined) lost++;
    const scan = all(damaged.scan('', new AbortController().signal));
    if (lost > 0) {
      await expect(scan).rejects.toMatchObject({
        code: 'storage.unreadable',
        message: expect.stringMatching(/it holds key\/\d+, and a lookup does not find it$/),
      });
      told++;
    } else expect((await scan).length).toBe(keys.length);
    await damaged.close();
  }
  expect(told).toBeGreaterThan(0);
});

test('writers that wait share a transaction, and each has a revision of its own', async () => {
  const backend = await openLmdb(fresh());
  const revisions = await Promise.all(
    Array.from({ length: 500 }, (_, i) => backend.commit([{ key: `k${i}`, value: utf8(`${i}`) }])),
  );
  expect(revisions).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  expect((await backend.get('k499'))?.revision).toBe(500);
  await backend.close();
});

test('a commit of ten thousand entries is one change', async () => {
  const backend = await openLmdb(fresh());
  const writes = Array.from({ length: 10_000 }, (_, i) => ({ key: `big/${i}`, value: new Uint8Array(64) }));
  const revision = await backend.commit(writes);
  expect((await backend.get('big/0'))?.revision).toBe(revision);
  expect((await backend.get('big/9999'))?.revision).toBe(revision);
  expect((await backend.list('big/', { limit: 3, after: '5' })).length).toBe(3);
  await backend.close();
});

test('closing under a scan ends it with a failure instead of reading memory that is gone', async () => {
  const backend = await openLmdb(fresh());
  await backend.commit(Array.from({ length: 600 }, (_, i) => ({ key: `k${i}`, value: utf8('x') })));
  const scan = backend.scan('', new AbortController().signal)[Symbol.asyncIterator]();
  await scan.next();
  await backend.close();
  const drain = async () => {
    for (;;) if ((await scan.next()).done) return;
  };
  await expect(drain()).rejects.toMatchObject({ code: 'storage.closed' });
});
