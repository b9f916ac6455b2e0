import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { randomKey } from '../../crypto/random.ts';
import { openLmdb } from '../../storage/lmdb.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Backend, Check, Write } from '../../storage/storage.ts';
import { Barrier } from '../barrier/barrier.ts';
import { PLAIN } from '../barrier/records.ts';
import { readSnapshot, saveSnapshot } from './snapshot.ts';
import { padding, readTar, tarEnd, tarHeader } from './tar.ts';

const never = new AbortController().signal;
const about = { at: 1_700_000_000_000, version: '1.19.0', signal: never };
/** What a sealed server needs to be unsealed; its content means nothing to the barrier. */
const plain = new Map(PLAIN.map((name) => [name, utf8(`plain ${name}`)]));

async function barrierOver(backend: Backend, rootKey: Uint8Array): Promise<Barrier> {
  const barrier = new Barrier(backend);
  await barrier.initialize(rootKey, plain);
  await barrier.unseal(rootKey);
  return barrier;
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function contentOf(barrier: Barrier): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, value } of barrier.view('').scan('', never)) found[key] = textOf(value) ?? '';
  return found;
}

async function rawOf(backend: Backend): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, value } of backend.scan('', never)) found[key] = Buffer.from(value).toString('hex');
  return found;
}

const stores = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,4}(\/[a-z]{1,4}){0,2}$/).filter((key) => !key.startsWith('core')),
  fc.string({ maxLength: 3000 }),
  { maxKeys: 12 },
);

test('any store, saved and restored over any other of the same keys, is equal to what it was', async () => {
  await fc.assert(
    fc.asyncProperty(stores, stores, async (before, after) => {
      const barrier = await barrierOver(new MemoryBackend(), randomKey(32));
      const view = barrier.view('');
      await view.commit(Object.entries(before).map(([key, text]) => ({ key, value: utf8(text) })));
      const saved = await bytesOf(await saveSnapshot(barrier, about));
      const was = await contentOf(barrier);
      expect(was).toEqual({ ...before });
      await barrier.rotate();
      await view.commit(Object.entries(after).map(([key, text]) => ({ key, value: utf8(text) })));
      const snapshot = await readSnapshot(barrier, inPieces(saved));
      expect(snapshot.own).toBe(true);
      await barrier.replaceAll(snapshot.entries, never);
      expect(barrier.sealed).toBe(false);
      expect(await contentOf(barrier)).toEqual(was);
      expect(await barrier.verify(never)).toMatchObject({ damaged: [], set: 'matches' });
      // And it can be written on.
      await view.commit([{ key: 'z', value: utf8('1') }]);
      expect(await barrier.verify(never)).toMatchObject({ damaged: [], set: 'matches' });
    }),
    { numRuns: 40 },
  );
});

test('a store in memory is restored into LMDB, on another machine, and opens there with its own keys', async () => {
  const rootKey = randomKey(32);
  const source = await barrierOver(new MemoryBackend(), rootKey);
  await source.view('').commit([{ key: 'a/b', value: utf8('kept') }]);
  const saved = await bytesOf(await saveSnapshot(source, about));
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-snapshot-test-'));
  try {
    const backend = await openLmdb(folder);
    const target = await barrierOver(backend, randomKey(32));
    await target.view('').commit([{ key: 'other', value: utf8('gone') }]);
    const snapshot = await readSnapshot(target, inPieces(saved));
    expect(snapshot.own).toBe(false);
    await target.replaceAll(snapshot.entries, never);
    expect(target.sealed).toBe(true);
    await target.unseal(rootKey);
    expect(await contentOf(target)).toEqual({ 'a/b': 'kept' });
    await backend.close();
    const again = await openLmdb(folder);
    const reopened = new Barrier(again);
    await reopened.unseal(rootKey);
    expect(await contentOf(reopened)).toEqual({ 'a/b': 'kept' });
    await again.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a snapshot that is cut anywhere is refused, and no bit of it can be changed unseen', async () => {
  const barrier = await barrierOver(new MemoryBackend(), randomKey(32));
  await barrier.view('').commit([{ key: 'a', value: utf8('value'.repeat(50)) }]);
  const saved = await bytesOf(await saveSnapshot(barrier, about));
  for (let length = 0; length < saved.length; length += 7)
    await expect(readSnapshot(barrier, inPieces(saved.subarray(0, length)))).rejects.toMatchObject({
      code: 'snapshot.broken',
    });
  const tar = gunzipSync(saved);
  // The two blocks at the end hold nothing.
  const content = tar.length - 1024;
  for (let at = 0; at < content; at += 5) {
    const bad = Buffer.from(tar);
    bad[at] = (bad[at] ?? 0) ^ 1;
    const read = await readSnapshot(barrier, inPieces(gzipSync(bad, { level: 1 }))).catch(() => undefined);
    // What fills a block up is read by nobody.
    if (read?.own)
      expect([...read.entries]).toEqual([...(await readSnapshot(barrier, inPieces(saved))).entries]);
  }
});

test('sums that were made anew for a forged state do not make it ours', async () => {
  const barrier = await barrierOver(new MemoryBackend(), randomKey(32));
  const saved = await bytesOf(await saveSnapshot(barrier, about));
  const members = new Map<string, Buffer>();
  await readTar(inPieces(gunzipSync(saved)), (name) => {
    const pieces: Uint8Array[] = [];
    return {
      piece: (bytes) => void pieces.push(Buffer.from(bytes)),
      done: () => void members.set(name, Buffer.concat(pieces)),
    };
  });
  expect([...members.keys()]).toEqual(['meta.json', 'state.bin', 'SHA256SUMS', 'SHA256SUMS.sealed']);
  const state = Buffer.concat([
    members.get('state.bin') ?? Buffer.alloc(0),
    Buffer.from([0, 0, 0, 1]),
    utf8('x'),
    Buffer.from([0, 0, 0, 0]),
  ]);
  const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  members.set('state.bin', state);
  members.set(
    'SHA256SUMS',
    Buffer.from(`${sum(members.get('meta.json') ?? state)}  meta.json\n${sum(state)}  state.bin\n`),
  );
  const forged = gzipSync(
    Buffer.concat([
      ...[...members].flatMap(([name, bytes]) => [
        tarHeader(name, bytes.length, 0),
        bytes,
        padding(bytes.length),
      ]),
      tarEnd(),
    ]),
  );
  const read = await readSnapshot(barrier, inPieces(forged));
  expect(read.own).toBe(false);
  expect(read.entries.has('x')).toBe(true);
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['no gzip', Buffer.from('hello')],
  ['gzip of no tar', gzipSync(Buffer.alloc(2000, 65))],
  ['an empty archive', gzipSync(tarEnd())],
  ['a file with a path', gzipSync(Buffer.concat([tarHeader('../../etc/passwd', 0, 0), tarEnd()]))],
  [
    'a file twice',
    gzipSync(Buffer.concat([tarHeader('meta.json', 0, 0), tarHeader('meta.json', 0, 0), tarEnd()])),
  ],
])('%s is no snapshot', async (_, bytes) => {
  const barrier = await barrierOver(new MemoryBackend(), randomKey(32));
  await expect(readSnapshot(barrier, inPieces(bytes))).rejects.toMatchObject({ code: 'snapshot.broken' });
});

test('a small file that unpacks without end is stopped at its declared size', async () => {
  const barrier = await barrierOver(new MemoryBackend(), randomKey(32));
  const bomb = gzipSync(Buffer.concat([tarHeader('meta.json', 10_000_000, 0), Buffer.alloc(10_000_000)]));
  await expect(readSnapshot(barrier, inPieces(bomb))).rejects.toMatchObject({ code: 'snapshot.too_large' });
});

test('a medium that does not take a restore keeps all it had, and the barrier opens again', async () => {
  class Failing extends MemoryBackend {
    fails = false;
    override async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
      if (this.fails) throw failure('storage.write');
      return super.commit(writes, checks);
    }
  }
  const backend = new Failing();
  const barrier = await barrierOver(backend, randomKey(32));
  const saved = await bytesOf(await saveSnapshot(barrier, about));
  await barrier.view('').commit([{ key: 'later', value: utf8('1') }]);
  const before = await rawOf(backend);
  const { entries } = await readSnapshot(barrier, inPieces(saved));
  backend.fails = true;
  await expect(barrier.replaceAll(entries, never)).rejects.toMatchObject({ code: 'storage.write' });
  backend.fails = false;
  expect(await rawOf(backend)).toEqual(before);
  expect(await contentOf(barrier)).toEqual({ later: '1' });
});
