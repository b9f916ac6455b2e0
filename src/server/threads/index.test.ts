import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Backend, Change } from '../../storage/storage.ts';
import { Barrier } from '../barrier/barrier.ts';
import { Announcer, announced, ReadIndex } from './index.ts';
import type { Seen, Watching } from './testing-reader.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
let built: string;
beforeAll(async () => {
  // Among the packages, where the native ones are found.
  built = await mkdtemp(join(root, 'node_modules', '.holdfast-threads-'));
  await build({
    absWorkingDir: root,
    entryPoints: ['src/server/threads/testing-reader.ts'],
    outfile: join(built, 'reader.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['lmdb'],
    logLevel: 'error',
  });
});
afterAll(() => rm(built, { recursive: true, force: true }));

const KEYS = 5;

/** Writes rising numbers under five keys while a thread reads them. */
async function watched(
  writes: readonly number[],
  tellOf: (backend: Backend, announcer: Announcer) => Backend,
): Promise<Seen> {
  const folder = await mkdtemp(join(built, 'data-'));
  const announcer = new Announcer();
  const backend = await openLmdb(folder);
  const barrier = new Barrier(tellOf(backend, announcer));
  const rootKey = randomBytes(32);
  await barrier.initialize(rootKey);
  await barrier.unseal(rootKey);
  const changes = new MessageChannel();
  announcer.join(changes.port1);
  const given: Watching = {
    joining: { counter: announcer.counter, changes: changes.port2, from: announcer.number },
    folder,
    rootKey,
    acknowledged: new SharedArrayBuffer(4 * KEYS),
    over: new SharedArrayBuffer(4),
  };
  const acknowledged = new Int32Array(given.acknowledged);
  const worker = new Worker(join(built, 'reader.mjs'), {
    workerData: given,
    transferList: [changes.port2],
  });
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  const next = <T>(): Promise<T> =>
    Promise.race([failed, new Promise<T>((resolve) => worker.once('message', resolve))]);
  const view = barrier.view('');
  let number = 0;
  await next<'begun'>();
  const until = Date.now() + 600;
  for (let turn = 0; turn < 20 || Date.now() < until; turn++)
    // Several at once share a commit, as they do under load.
    await Promise.all(
      writes.map(async (key) => {
        const mine = ++number;
        const revision = await view.commit([{ key: `data/${key}`, value: utf8(`${mine}`) }]);
        expect(revision).toBeGreaterThan(0);
        if (Atomics.load(acknowledged, key) < mine) Atomics.store(acknowledged, key, mine);
      }),
    );
  const seen = next<Seen>();
  Atomics.store(new Int32Array(given.over), 0, 1);
  const told = await seen;
  await worker.terminate();
  await barrier.seal();
  await backend.close();
  return told;
}

describe('reads by another thread', () => {
  test('are never older than a write that was acknowledged before they began, whatever is written at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat({ max: KEYS - 1 }), { minLength: 1 }), async (writes) => {
        const { reads, elsewhere, stale, highest } = await watched(writes, announced);
        expect(stale).toBe(0);
        expect(highest).toBeGreaterThan(0);
        expect(reads - elsewhere).toBeGreaterThan(100);
      }),
      { numRuns: 6 },
    );
  });

  test('are older where the writer tells nobody, so that the test above can fail', async () => {
    const { stale } = await watched([0], (backend) => backend);
    expect(stale).toBeGreaterThan(0);
  });

  test('are older where the writer tells of its changes after it acknowledged them', async () => {
    const late = (backend: Backend, announcer: Announcer): Backend => ({
      ...announced(backend, announcer),
      async commit(writes, checks) {
        const revision = await backend.commit(writes, checks);
        setTimeout(() => announcer.tell(writes.map(({ key }) => key)), 5);
        return revision;
      },
    });
    const { stale } = await watched([0, 1], late);
    expect(stale).toBeGreaterThan(0);
  });
});

describe('what the writer tells', () => {
  const listening = () => {
    const announcer = new Announcer();
    const { port1, port2 } = new MessageChannel();
    announcer.join(port1);
    const renewed: number[] = [];
    const index = new ReadIndex({
      counter: announcer.counter,
      port: port2,
      from: announcer.number,
      onChange: () => renewed.push(renewed.length),
    });
    return { announcer, index, renewed };
  };

  test('is known at once to whoever asks how far the store is, in the same turn of the loop', () => {
    const { announcer, index, renewed } = listening();
    announcer.tell(['a']);
    announcer.tell(['b', 'c']);
    expect(index.now()).toBe(2);
    expect(renewed).toHaveLength(2);
    index.close();
  });

  test('comes in its order through the feed, each change once', async () => {
    const { announcer, index } = listening();
    announcer.tell(['a']);
    index.now();
    announcer.tell(['b']);
    const found: Change[] = [];
    for await (const change of index.changes(0, new AbortController().signal)) {
      found.push(change);
      index.now();
      if (found.length === 2) break;
    }
    expect(found.map(({ keys }) => keys)).toEqual([['a'], ['b']]);
    index.close();
  });

  test('is a commit that stands, and one that failed for another reason than a conflict', async () => {
    const { announcer, index } = listening();
    const memory = new MemoryBackend();
    const store = announced(memory, announcer);
    await store.commit([{ key: 'a', value: utf8('1') }]);
    expect(index.now()).toBe(1);
    await expect(
      store.commit([{ key: 'a', value: utf8('2') }], [{ key: 'a', revision: 99 }]),
    ).rejects.toMatchObject({ code: 'storage.conflict' });
    expect(index.now()).toBe(1);
    await memory.close();
    await expect(store.commit([{ key: 'a', value: utf8('3') }])).rejects.toMatchObject({
      code: 'storage.closed',
    });
    expect(index.now()).toBe(2);
    index.close();
  });

  test('is never missed where the counter was raised and the message is gone: the reader answers nothing', () => {
    const { announcer, index } = listening();
    new Int32Array(announcer.counter)[0] = 7;
    expect(() => index.now()).toThrow(expect.objectContaining({ code: 'storage.closed' }));
    index.close();
  });
});
