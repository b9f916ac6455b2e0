import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { randomKey } from '../../crypto/random.ts';
import { type ArchiveEntry, type ArchiveHeader, openArchive, writeArchive } from './archive.ts';
import { bytesOf, inPieces } from './testing.ts';

const header: ArchiveHeader = {
  format: 1,
  created: '2026-01-02T03:04:05.000Z',
  revision: 7,
  cluster_id: 'c',
  version: '1.19.0',
  seal: { config: utf8('{}'), wrapped: utf8('wrapped') },
  key: { root: utf8('root'), ring: utf8('ring') },
};

async function* each(entries: readonly ArchiveEntry[]): AsyncGenerator<ArchiveEntry> {
  yield* entries;
}
const written = (key: Uint8Array, entries: readonly ArchiveEntry[]): Promise<Buffer> =>
  bytesOf(writeArchive(header, key, each(entries), () => {}));

async function read(bytes: Uint8Array, key: Uint8Array, size?: number): Promise<[string, string][]> {
  const archive = await openArchive('a', inPieces(bytes, size));
  const found: [string, string][] = [];
  for await (const entry of archive.entries(key))
    found.push([entry.key, Buffer.from(entry.value).toString('hex')]);
  return found;
}

test('whatever entries there are, they come back as they were, however the file is cut into pieces', async () => {
  const entry = fc.record({ key: fc.string(), value: fc.uint8Array({ maxLength: 400 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 20 }),
      fc.integer({ min: 1, max: 3000 }),
      async (entries, size) => {
        const key = randomKey(32);
        // What is no UTF-8 cannot be the name of an entry.
        const named = entries.map((one) => ({ ...one, key: Buffer.from(one.key).toString() }));
        const bytes = await written(key, named);
        expect(await read(bytes, key, size)).toEqual(
          named.map((one) => [one.key, Buffer.from(one.value).toString('hex')]),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test('no name and no value of an entry is in the file', async () => {
  const bytes = await written(randomKey(32), [{ key: 'secret/canary-name', value: utf8('canary-value') }]);
  expect(bytes.includes('canary')).toBe(false);
});

test('entries of more than a frame, and one larger than a frame, come back whole', async () => {
  const key = randomKey(32);
  const entries = [
    ...Array.from({ length: 3000 }, (_, i) => ({ key: `k/${i}`, value: randomKey(700) })),
    { key: 'large', value: randomKey(3_000_000) },
    { key: 'last', value: new Uint8Array(0) },
  ];
  const bytes = await written(key, entries);
  const found = await read(bytes, key, 65_536);
  expect(found.length).toBe(entries.length);
  expect(found.at(-2)?.[1]).toBe(Buffer.from(entries.at(-2)?.value ?? []).toString('hex'));
});

describe('a file that is not as it was written', () => {
  const key = randomKey(32);
  const entries = Array.from({ length: 40 }, (_, i) => ({ key: `k${i}`, value: randomKey(60_000) }));
  let bytes: Buffer;
  beforeAll(async () => {
    bytes = await written(key, entries);
  });

  test('is refused wherever it is cut off', async () => {
    for (let at = 0; at < bytes.length; at += 1 + Math.floor(bytes.length / 97))
      await expect(read(bytes.subarray(0, at), key, 50_000), `cut at ${at}`).rejects.toMatchObject({
        code: 'backup.broken',
      });
    await expect(read(bytes.subarray(0, -1), key)).rejects.toMatchObject({ code: 'backup.broken' });
  });

  test('is refused whichever bit is another, and no entry of the changed frame is given', async () => {
    for (let at = 0; at < bytes.length; at += 1 + Math.floor(bytes.length / 61)) {
      const bad = Buffer.from(bytes);
      bad[at] = (bad[at] ?? 0) ^ 4;
      await expect(read(bad, key, 50_000), `bit at ${at}`).rejects.toMatchObject({ code: 'backup.broken' });
    }
  });

  test('is refused with something behind its end, with two frames swapped, and under another key', async () => {
    await expect(read(Buffer.concat([bytes, Buffer.from('x')]), key)).rejects.toMatchObject({
      code: 'backup.broken',
    });
    const frames: Buffer[] = [];
    let at = bytes.indexOf('\n') + 1;
    at += 4 + bytes.readUInt32BE(at);
    const head = bytes.subarray(0, at);
    while (at < bytes.length) {
      const end = at + 4 + bytes.readUInt32BE(at);
      frames.push(bytes.subarray(at, end));
      at = end;
    }
    expect(frames.length).toBeGreaterThan(3);
    const [a, b, ...rest] = frames as [Buffer, Buffer, ...Buffer[]];
    await expect(read(Buffer.concat([head, b, a, ...rest]), key)).rejects.toMatchObject({
      code: 'backup.broken',
    });
    // Without one in the middle, the last one is not where it was.
    await expect(read(Buffer.concat([head, a, ...rest]), key)).rejects.toMatchObject({
      code: 'backup.broken',
    });
    await expect(read(bytes, randomKey(32))).rejects.toMatchObject({ code: 'backup.broken' });
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['another file', Buffer.from('hello, this is no backup at all, though it is long enough')],
  [
    'a header without end',
    Buffer.concat([Buffer.from('HFBACKUP1\n'), Buffer.from([0xff, 0xff, 0xff, 0xff])]),
  ],
  [
    'a header of no JSON',
    Buffer.concat([Buffer.from('HFBACKUP1\n'), Buffer.from([0, 0, 0, 2]), Buffer.from('{]')]),
  ],
  [
    'a header of a later format',
    Buffer.concat([Buffer.from('HFBACKUP1\n'), Buffer.from([0, 0, 0, 12]), Buffer.from('{"format":2}')]),
  ],
])('%s is no backup', async (_what, bytes) => {
  await expect(openArchive('a', inPieces(bytes))).rejects.toMatchObject({ code: 'backup.broken' });
});
