/** A bucket, by AWS's own client: over a double that checks what is signed, and goes wrong in the ways that buckets do. */

import http from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { randomKey } from '../../crypto/random.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { Barrier } from '../barrier/barrier.ts';
import { SealKeeper } from '../seal/keeper.ts';
import { Backups } from './backups.ts';
import { inParts } from './parts.ts';
import type { Place } from './place.ts';
import { type S3Settings, s3Place } from './s3.ts';
import { type S3Double, startS3 } from './s3double.ts';
import { bytesOf, inPieces, scratches } from './testing.ts';

const never = new AbortController().signal;
const SECRET = 'canary-secret-key';
const PART = 5000;

let double: S3Double;
let agent: http.Agent;
beforeEach(async () => {
  double = await startS3('eu-central-1');
  agent = new http.Agent({ keepAlive: true });
});
afterEach(async () => {
  agent.destroy();
  await double.close();
});

const place = (more: Partial<S3Settings> = {}): Place =>
  s3Place(
    {
      ...{ bucket: 'backups', prefix: 'snapshots/', region: 'eu-central-1', pathStyle: true },
      endpoint: double.endpoint,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET },
      ...more,
    },
    { httpAgent: agent },
    PART,
  );
const write = (to: Place, name: string, bytes: Uint8Array): Promise<void> =>
  to.write(name, inPieces(bytes), never);

test.each([
  ['nothing', 0, ['PUT']],
  ['less than a part', 4999, ['PUT']],
  ['a part', 5000, ['PUT']],
  ['a part and a byte', 5001, ['POST', 'PUT', 'PUT', 'POST']],
  ['three parts', 15_000, ['POST', 'PUT', 'PUT', 'PUT', 'POST']],
])('%s is sent signed, and comes back to the byte', async (_what, size, methods) => {
  const bytes = randomKey(size);
  await write(place(), 'a', bytes);
  expect(double.asked.map((line) => line.split(' ')[0])).toEqual(methods);
  expect(await bytesOf(await place().read('a', never))).toEqual(bytes);
  expect(double.wrong).toEqual([]);
  expect(double.open()).toBe(0);
  expect([...double.objects.keys()]).toEqual(['snapshots/a']);
});

test('lists what lies below its prefix, page by page, and removes', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) await write(place(), name, Buffer.from(name));
  double.objects.set('other/x', Buffer.from('x'));
  double.objects.set('snapshots/deeper/x', Buffer.from('x'));
  expect((await place().list(never)).map(({ name, size }) => `${name}${size}`)).toEqual([
    'a1',
    'b1',
    'c1',
    'd1',
    'e1',
  ]);
  await place().remove('c');
  await place().remove('never there');
  expect(await place().list(never)).toHaveLength(4);
  await expect(place().read('c', never)).rejects.toMatchObject({ code: 'backup.absent' });
});

describe('a bucket that does not do as it should', () => {
  test.each<[string, Partial<S3Settings>, string, string]>([
    ['is not there', { bucket: 'nosuch' }, 'NoSuchBucket', 'Make the bucket'],
    ['is in another region', { region: 'us-west-2' }, 'AuthorizationHeaderMalformed', 'region of the bucket'],
    [
      'does not know the key',
      { credentials: { accessKeyId: 'AKIDOTHER', secretAccessKey: SECRET } },
      'AccessDenied',
      's3:PutObject',
    ],
    ['is away', { endpoint: 'http://127.0.0.1:1' }, 'ECONNREFUSED', 'tried again'],
  ])(
    '%s: it is told by its name, with the mend, and without a secret',
    async (_what, settings, reason, mend) => {
      const away = place(settings);
      for (const work of [
        () => away.list(never),
        () => write(away, 'a', randomKey(10)),
        () => write(away, 'a', randomKey(20_000)),
        () => away.read('a', never),
        () => away.remove('a'),
      ]) {
        const error = await work().then(
          () => undefined,
          (thrown) => thrown,
        );
        expect(error).toMatchObject({ code: 'backup.place' });
        expect(error.message).toContain(reason);
        expect(error.hint).toContain(mend);
        expect(`${error.message}${error.hint}`).not.toMatch(/canary/);
      }
      expect(double.objects.size).toBe(0);
    },
  );

  test('redirects: nothing follows it', async () => {
    double.interfere = () => ({ status: 301, code: 'PermanentRedirect' });
    await expect(place().list(never)).rejects.toMatchObject({
      message: expect.stringContaining('PermanentRedirect'),
    });
    expect(double.asked).toHaveLength(1);
  });

  test('cuts in the middle of an upload: nothing is there, and what was begun is aborted', async () => {
    double.interfere = ({ method, url }) =>
      method === 'PUT' && url?.includes('partNumber=3') ? 'cut' : undefined;
    await expect(write(place(), 'a', randomKey(20_000))).rejects.toMatchObject({ code: 'backup.place' });
    expect(double.objects.size).toBe(0);
    expect(double.open()).toBe(0);
  });

  test('takes no completion: the object is not there, and the upload is aborted', async () => {
    double.interfere = ({ method, url }) =>
      method === 'POST' && url?.includes('uploadId') ? { status: 403, code: 'AccessDenied' } : undefined;
    await expect(write(place(), 'a', randomKey(20_000))).rejects.toMatchObject({ code: 'backup.place' });
    expect(double.objects.size).toBe(0);
    expect(double.open()).toBe(0);
  });

  test('a source that fails in the middle leaves nothing either', async () => {
    const source = async function* () {
      yield randomKey(12_000);
      throw new Error('the store is gone');
    };
    await expect(place().write('a', source(), never)).rejects.toBeDefined();
    expect(double.objects.size).toBe(0);
    expect(double.open()).toBe(0);
  });

  test('an upload that a crash left behind is taken away later, and none that may still run', async () => {
    double.interfere = ({ method, url }) =>
      url?.includes('partNumber') || method === 'DELETE' ? { status: 400, code: 'X' } : undefined;
    await expect(write(place(), 'x.hfbackup', randomKey(20_000))).rejects.toBeDefined();
    double.interfere = undefined;
    expect(double.open()).toBe(1);
    await place().tidy(Date.parse('2025-01-01'));
    expect(double.open()).toBe(1);
    await place().tidy(Date.parse('2026-02-01'));
    expect(double.open()).toBe(0);
  });
});

describe('backups in a bucket', () => {
  let backups: Backups;
  beforeEach(async () => {
    const backend = new MemoryBackend();
    const open = new Barrier(backend);
    await new SealKeeper(backend, open).initialize({ shares: 1, threshold: 1 });
    await open.view('').commit([{ key: 'secret/a', value: randomKey(30_000) }]);
    backups = new Backups({
      barrier: open,
      clock: new ManualClock(),
      log: silentLog,
      version: '1',
      targets: [{ name: 'nightly', keepMs: 1e12, place: place() }],
      clusterId: () => 'c',
      scratch: scratches().make,
    });
    backups.begin();
  });
  afterEach(() => backups.end());

  const recall = (name: string) => backups.recall('nightly', { name }, { shares: [], force: true }, never);

  test('are made, verified and read back', async () => {
    const { name } = await backups.create('nightly');
    expect(await backups.list('nightly')).toMatchObject([{ name, verified: 'yes' }]);
    expect((await recall(name)).own).toBe(true);
    expect(double.wrong).toEqual([]);
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['with one bit flipped', (bytes) => flipped(bytes, bytes.length - 900)],
    ['with one bit of its header flipped', (bytes) => flipped(bytes, 60)],
    ['cut off', (bytes) => bytes.subarray(0, bytes.length - 100)],
    ['empty', () => Buffer.alloc(0)],
  ])('%s are neither verified nor restored', async (_what, change) => {
    const { name } = await backups.create('nightly');
    const key = `snapshots/${name}`;
    double.objects.set(key, change(double.objects.get(key) ?? Buffer.alloc(0)));
    await expect(backups.verify('nightly', name)).rejects.toMatchObject({ code: 'backup.broken' });
    await expect(recall(name)).rejects.toMatchObject({ code: 'backup.broken' });
  });

  test('whose answer is cut off in the middle are not restored by half', async () => {
    const { name } = await backups.create('nightly');
    const key = `snapshots/${name}`;
    const whole = double.objects.get(key) ?? Buffer.alloc(0);
    // As long as it says it is, and then the connection ends.
    double.interfere = ({ method, url, socket }) => {
      if (method !== 'GET' || !url?.includes('hfbackup?') || url.includes('.json')) return undefined;
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${whole.length}\r\n\r\n`);
      socket.write(whole.subarray(0, 2000));
      socket.end();
      return 'cut';
    };
    await expect(recall(name)).rejects.toMatchObject({ code: expect.stringMatching(/^backup\./) });
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const bad = Buffer.from(bytes);
  bad[at] = (bad[at] ?? 0) ^ 1;
  return bad;
}

test('a stream is cut into parts of one length, whatever pieces it came in', async () => {
  const bytes = randomKey(10_001);
  for (const size of [1, 7, 999, 5000, 20_000]) {
    const parts: Buffer[] = [];
    for await (const part of inParts(inPieces(bytes, size), 3000)) parts.push(part);
    expect(parts.map(({ length }) => length)).toEqual([3000, 3000, 3000, 1001]);
    expect(Buffer.concat(parts)).toEqual(bytes);
  }
});
