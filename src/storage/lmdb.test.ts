import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { utf8 } from '../base/bytes.ts';
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
    expect(readdirSync(folder).sort()).toEqual(['lock', 'store.mdb', 'store.mdb-lock']);
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
