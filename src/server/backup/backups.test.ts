/** The backups of a store over a place that lies, is away, and is cut; on a clock that a test moves. */

import { beforeEach, describe, expect, test, vi } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { ManualClock } from '../../base/clock.ts';
import { parseCron } from '../../base/cron.ts';
import { failure } from '../../base/errors.ts';
import { type Facts, silentLog } from '../../base/log.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { Barrier } from '../barrier/barrier.ts';
import { SealKeeper } from '../seal/keeper.ts';
import { Backups } from './backups.ts';
import { manifestName } from './manifest.ts';
import { MemoryPlace, scratches } from './testing.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;
const cron = parseCron('0 3 * * *');
if (cron === undefined) throw new Error('no schedule');

let backend: MemoryBackend;
let barrier: Barrier;
let keeper: SealKeeper;
let shares: readonly Uint8Array[];
let place: MemoryPlace;
let clock: ManualClock;
let scratch: ReturnType<typeof scratches>;
let backups: Backups;
let errors: { message: string; facts: Facts | undefined }[];

const make = (scheduled = false): Backups =>
  new Backups({
    barrier,
    clock,
    log: { ...silentLog, error: (message, facts) => void errors.push({ message, facts }) },
    version: '1.19.0',
    targets: [
      {
        name: 'nightly',
        keepMs: 30 * 24 * HOUR,
        place,
        ...(scheduled ? { schedule: { text: '', cron } } : {}),
      },
    ],
    clusterId: () => 'cluster',
    scratch: scratch.make,
  });
const put = (key: string, text: string) => barrier.view('').commit([{ key, value: utf8(text) }]);
const state = () => backups.states[0];
const archives = (): string[] => [...place.files.keys()].filter((name) => name.endsWith('.hfbackup'));

beforeEach(async () => {
  backend = new MemoryBackend();
  barrier = new Barrier(backend);
  keeper = new SealKeeper(backend, barrier);
  shares = await keeper.initialize({ shares: 5, threshold: 3 });
  place = new MemoryPlace();
  clock = new ManualClock(Date.UTC(2026, 5, 15, 12));
  scratch = scratches();
  errors = [];
  await put('secret/canary-name', 'canary-value');
  backups = make();
  backups.begin();
});

/** Another server, empty but for its own keys. */
async function stranger(): Promise<Backups> {
  backend = new MemoryBackend();
  barrier = new Barrier(backend);
  keeper = new SealKeeper(backend, barrier);
  await keeper.initialize({ shares: 1, threshold: 1 });
  const other = make();
  other.begin();
  return other;
}

test('a backup is made, verified, listed, and tells neither names nor values to who has only the place', async () => {
  const made = await backups.create('nightly');
  expect(made).toMatchObject({
    cluster_id: 'cluster',
    verified: '2026-06-15T12:00:00.000Z',
    version: '1.19.0',
  });
  // Keyring, set-hash, two plain records and one entry.
  expect(made.entries).toBe(5);
  const [listed] = await backups.list('nightly');
  expect(listed).toMatchObject({ name: made.name, verified: 'yes', ours: true, size: made.bytes });
  expect(Buffer.concat([...place.files.values()]).includes('canary')).toBe(false);
  expect(state()).toMatchObject({ verifiedAt: clock.now(), problem: '', totals: { made: 1, failed: 0 } });
  expect(scratch.open()).toBe(0);
});

describe('what comes back', () => {
  const recall = (to: Backups, name: string | undefined, given: Uint8Array[] = [], force = false) =>
    to.recall('nightly', { name }, { shares: given, force }, never);

  test('is the store, to the byte, and the server that made it needs no key', async () => {
    const { name } = await backups.create('nightly');
    await put('later', 'x');
    const found = await recall(backups, undefined);
    expect(found).toMatchObject({ name, own: true });
    await barrier.replaceAll(found.entries, never);
    expect(textOf((await barrier.view('').get('secret/canary-name'))?.value ?? utf8(''))).toBe(
      'canary-value',
    );
    expect(await barrier.view('').get('later')).toBeUndefined();
    expect(await barrier.verify(never)).toMatchObject({ damaged: [], set: 'matches' });
  });

  test('after a rekey and a rotation is still opened by the server, and by the shares of its day elsewhere', async () => {
    const { name } = await backups.create('nightly');
    await barrier.rotate();
    await keeper.adopt(await keeper.draw(1, 1));
    expect(await backups.verify('nightly', name)).toMatchObject({ name });
    expect((await recall(backups, name)).own).toBe(true);
    const other = await stranger();
    const found = await recall(
      other,
      name,
      shares.slice(1, 4).map((share) => Uint8Array.from(share)),
      true,
    );
    expect(found.own).toBe(false);
    await barrier.replaceAll(found.entries, never);
    expect(barrier.sealed).toBe(true);
    for (const share of shares.slice(0, 3)) await keeper.submitShare(Uint8Array.from(share));
    expect(textOf((await barrier.view('').get('secret/canary-name'))?.value ?? utf8(''))).toBe(
      'canary-value',
    );
  });

  test('is given to no server with other keys unless it is forced, and then only for enough of the right shares', async () => {
    const { name } = await backups.create('nightly');
    const other = await stranger();
    await expect(recall(other, name)).rejects.toMatchObject({ code: 'backup.foreign' });
    await expect(recall(other, name, [Uint8Array.from(shares[0] ?? [])], true)).rejects.toMatchObject({
      code: 'backup.keys',
    });
    const wrong = shares.slice(0, 3).map((share) => share.map((byte, at) => (at === 3 ? byte ^ 1 : byte)));
    await expect(recall(other, name, wrong, true)).rejects.toMatchObject({ code: 'backup.keys' });
    expect(await other.list('nightly')).toMatchObject([{ verified: 'claimed', ours: false }]);
  });
});

describe('a place that is not to be trusted', () => {
  const flip = (name: string, at: number): void => {
    const bytes = Buffer.from(place.files.get(name) ?? []);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    place.files.set(name, bytes);
  };

  test('gives a backup with one bit changed: neither verified nor restored', async () => {
    const { name, bytes } = await backups.create('nightly');
    for (const at of [3, 12, 40, bytes - 5, Math.floor(bytes / 2)]) {
      flip(name, at);
      await expect(backups.verify('nightly', name), `byte ${at}`).rejects.toMatchObject({
        code: expect.stringMatching(/^backup\.(broken|foreign)$/),
      });
      await expect(
        backups.recall('nightly', { name }, { shares: [], force: true }, never),
        `byte ${at}`,
      ).rejects.toMatchObject({ code: expect.stringMatching(/^backup\.(broken|keys)$/) });
      flip(name, at);
    }
    await backups.verify('nightly', name);
  });

  test('cuts a file: it is listed as unverified at once, and is no longer chosen', async () => {
    const { name } = await backups.create('nightly');
    place.files.set(name, (place.files.get(name) ?? Buffer.alloc(0)).subarray(0, -1));
    expect(await backups.list('nightly')).toMatchObject([{ verified: 'no' }]);
    await expect(backups.recall('nightly', {}, { shares: [], force: true }, never)).rejects.toMatchObject({
      code: 'backup.absent',
    });
  });

  test('cannot have a backup pass for verified by writing so', async () => {
    const { name } = await backups.create('nightly');
    const kept = JSON.parse(String(place.files.get(manifestName(name))));
    kept.manifest.verified = '2030-01-01T00:00:00.000Z';
    place.files.set(manifestName(name), Buffer.from(JSON.stringify(kept)));
    expect(await backups.list('nightly')).toMatchObject([{ verified: 'claimed', ours: false }]);
    // Nor has it removed: what this server did not make, or cannot tell, stays.
    clock.jump(90 * 24 * HOUR);
    expect((await backups.prune('nightly')).remove).toEqual([]);
  });

  test('puts the manifest of a good backup beside a bad one: it says nothing about it', async () => {
    const good = await backups.create('nightly');
    clock.advance(1000);
    const bad = await backups.create('nightly');
    place.files.set(manifestName(bad.name), place.files.get(manifestName(good.name)) ?? Buffer.alloc(0));
    expect(await backups.list('nightly')).toMatchObject([
      { verified: 'yes' },
      { verified: 'no', ours: false },
    ]);
  });

  test('is cut in the middle of a write: nothing is there, and it is told why', async () => {
    place.cutAfter = 300;
    await expect(backups.create('nightly')).rejects.toMatchObject({ code: 'backup.place' });
    expect(archives()).toEqual([]);
    expect(state()).toMatchObject({
      failures: 1,
      problem: 'the place of the backups, memory, cannot be used: away',
    });
  });

  test('holds files of others, which are neither listed nor touched', async () => {
    place.files.set('notes.txt', Buffer.from('x'));
    place.files.set('other-20260101T000000Z-00000000.hfbackup', Buffer.from('x'));
    await backups.create('nightly');
    expect(await backups.list('nightly')).toHaveLength(1);
    clock.jump(90 * 24 * HOUR);
    await backups.prune('nightly');
    expect(place.files.has('notes.txt')).toBe(true);
    expect(place.files.has('other-20260101T000000Z-00000000.hfbackup')).toBe(true);
  });
});

test('a store that is damaged gives a backup that says so, is not taken for verified, and is not restored unless forced', async () => {
  await put('other', 'x');
  const entry = await backend.get('other');
  await backend.commit([{ key: 'other', delete: true }]);
  expect(entry).toBeDefined();
  await expect(backups.create('nightly')).rejects.toMatchObject({ code: 'backup.unverified' });
  const [listed] = await backups.list('nightly');
  expect(listed).toMatchObject({ verified: 'no', ours: true });
  const wish = { name: listed?.name };
  await expect(backups.recall('nightly', wish, { shares: [], force: false }, never)).rejects.toMatchObject({
    code: 'backup.unverified',
  });
  expect((await backups.recall('nightly', wish, { shares: [], force: true }, never)).own).toBe(true);
  expect(scratch.open()).toBe(0);
});

test('one at a time: a second one is refused, and sealing ends the first', async () => {
  const first = backups.create('nightly');
  await expect(backups.create('nightly')).rejects.toMatchObject({ code: 'backup.running' });
  await backups.end();
  await expect(first).rejects.toBeDefined();
  await expect(backups.create('nightly')).rejects.toMatchObject({ code: 'server.sealed' });
  expect(scratch.open()).toBe(0);
});

test.each([[''], ['weekly']])('a target %j that is not configured is told', async (name) => {
  await expect(backups.list(name)).rejects.toMatchObject({ code: 'backup.target' });
});

describe('on its schedule', () => {
  const settled = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5000, interval: 2 });
  /** Moves the clock on in steps, between which what became due may run. */
  const pass = async (ms: number, step = 30 * 60_000): Promise<void> => {
    for (let left = ms; left > 0; left -= step) {
      clock.advance(Math.min(step, left));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  beforeEach(async () => {
    await backups.end();
    backups = make(true);
  });

  test('the first is made once the server has opened, then one a day, and old ones go', async () => {
    backups.begin();
    clock.advance(5000);
    await settled(() => expect(archives()).toHaveLength(1));
    await settled(() => expect(state()?.nextAt).toBe(Date.UTC(2026, 5, 16, 3)));
    for (let day = 0; day < 33; day++) {
      await pass(24 * HOUR, 2 * HOUR);
      const count = Math.min(day + 2, 31);
      await settled(() => expect(archives().length).toBeGreaterThanOrEqual(count));
      await settled(() => expect(state()?.running).toBe(false));
    }
    await settled(() => expect(archives().length).toBeLessThanOrEqual(32));
    expect(state()).toMatchObject({ failures: 0, problem: '' });
    await backups.end();
  });

  test('a place that is away is tried again, each time later, until it is back; then all is well', async () => {
    place.away = true;
    backups.begin();
    clock.advance(5000);
    await settled(() => expect(state()?.failures).toBe(1));
    await pass(3 * HOUR, 60_000);
    const tries = state()?.failures ?? 0;
    // Half a minute, a minute, two, ... half an hour: neither a storm nor silence.
    expect(tries).toBeGreaterThan(6);
    expect(tries).toBeLessThan(25);
    expect(errors.length).toBe(tries);
    place.away = false;
    await pass(HOUR, 60_000);
    await settled(() => expect(archives()).toHaveLength(1));
    expect(state()).toMatchObject({ failures: 0, problem: '' });
    await backups.end();
  });

  test('what was made before a restart is known after it: nothing is made twice', async () => {
    backups.begin();
    clock.advance(5000);
    await settled(() => expect(archives()).toHaveLength(1));
    await backups.end();
    backups = make(true);
    backups.begin();
    clock.advance(5000);
    await settled(() => expect(state()?.nextAt).toBe(Date.UTC(2026, 5, 16, 3)));
    expect(archives()).toHaveLength(1);
    await backups.end();
  });
});

describe('a store that is older than its backups', () => {
  const learned = () =>
    vi.waitFor(() => expect(errors.length).toBeGreaterThan(0), { timeout: 3000, interval: 2 });

  test('is told: somebody rolled it back, or restored it', async () => {
    const before = new Map<string, Uint8Array>();
    for await (const { key, value } of barrier.sealedEntries(never)) before.set(key, value);
    await backups.create('nightly');
    await backups.end();
    // The whole of the old medium, set-hash and all: nothing in it shows.
    await barrier.replaceAll(before, never);
    expect(await barrier.verify(never)).toMatchObject({ damaged: [], set: 'matches' });
    backups = make();
    backups.begin();
    clock.advance(5000);
    await learned();
    expect(errors[0]?.message).toContain('older than its newest backup');
    expect(state()?.behind).toBe(true);
    await backups.acknowledge();
    expect(state()?.behind).toBe(false);
    await backups.end();
    backups = make();
    backups.begin();
    errors = [];
    clock.advance(5000);
    await vi.waitFor(() => expect(state()?.verifiedAt).toBeDefined());
    expect(errors).toEqual([]);
  });

  test('is told of none whose backups are known, and of no backup that another server made', async () => {
    await backups.create('nightly');
    await backups.end();
    backups = make();
    backups.begin();
    clock.advance(5000);
    const other = await stranger();
    clock.advance(5000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(errors).toEqual([]);
    expect(other.states[0]?.behind).toBe(false);
  });
});

test('a rekey while it is made gives no backup whose keys are of two days', async () => {
  const real = barrier.sealedEntries.bind(barrier);
  barrier.sealedEntries = async function* (signal) {
    await keeper.adopt(await keeper.draw(1, 1));
    yield* real(signal);
  };
  await expect(backups.create('nightly')).rejects.toMatchObject({ code: 'backup.broken' });
  expect(await backups.list('nightly')).toMatchObject([{ verified: 'no' }]);
});

test('a medium that fails under the scan is told as what it is, and leaves nothing at the place', async () => {
  // biome-ignore lint/correctness/useYield: it fails before there is anything to give
  barrier.sealedEntries = async function* () {
    throw failure('storage.database', { reason: 'gone' });
  };
  await expect(backups.create('nightly')).rejects.toMatchObject({ code: 'storage.database' });
  expect(archives()).toEqual([]);
});
