import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { ManualClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { LeaseHandler } from '../../plugin/plugin.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import type { Check, Write } from '../../storage/storage.ts';
import { ExpiryIndex } from './expiry.ts';
import { AT_ONCE } from './gate.ts';
import { LeaseManager } from './leases.ts';

/** A medium that fails at its n-th commit from now, before or after it took it. */
class Fickle extends MemoryBackend {
  failAt = 0;
  late = false;
  override async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    const fails = writes.length > 0 && this.failAt > 0 && --this.failAt === 0;
    if (fails && !this.late) throw failure('storage.write');
    const revision = await super.commit(writes, checks);
    if (fails) throw failure('storage.write');
    return revision;
  }
}

const MINUTE = 60_000;
let backend: Fickle;
let clock: ManualClock;
let credentials: Set<string>;
let broken: boolean;
let leases: LeaseManager;
let expiry: ExpiryIndex;

const handler: LeaseHandler = {
  renew: async (_state, ttlMs) => ttlMs,
  async revoke(state) {
    if (broken) throw failure('base.internal');
    credentials.delete(String(state));
  },
};

/** As a restart makes it: over the same store, remembering nothing. */
async function start(): Promise<void> {
  expiry?.stop();
  expiry = new ExpiryIndex({ storage: backend, clock, log: silentLog });
  leases = new LeaseManager({ storage: backend, clock, log: silentLog, expiry, handlerOf: () => handler });
}

beforeEach(async () => {
  backend = new Fickle();
  clock = new ManualClock();
  credentials = new Set();
  broken = false;
  await backend.commit([{ key: 'token/id/t', value: utf8('{}') }]);
  await start();
});

async function give(path: string, state: string, ttlMs = 10 * MINUTE): Promise<string> {
  const { id } = await leases.reserve({
    path,
    mountUuid: 'm',
    handler: 'h',
    state,
    tokenHash: 't',
    ttl: { defaultMs: ttlMs, maxMs: 60 * MINUTE },
  });
  credentials.add(state);
  return id;
}

async function ids(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const id of leases.below(prefix)) found.push(id);
  return found;
}

/** Lets everything run that was begun. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets time pass as it does, second by second. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    clock.advance(Math.min(1000, left));
    await expiry.sweep();
  }
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; !(await holds()); i++) {
    if (i > 10_000) throw new Error('it never came to be');
    await settled();
  }
}

const leftOvers = async (): Promise<string[]> => {
  const keys: string[] = [];
  for await (const { key } of backend.scan('', new AbortController().signal)) keys.push(key);
  return keys.filter((key) => key !== 'token/id/t');
};

test.each(
  [1, 2].flatMap((failAt) => [
    { failAt, late: false },
    { failAt, late: true },
  ]),
)(
  'a revocation whose commit $failAt fails (taken nevertheless: $late) is finished after a restart, once and for all',
  async ({ failAt, late }) => {
    const id = await give('db/creds/r', 'user');
    await give('db/creds/r', 'other');
    Object.assign(backend, { failAt, late });
    await leases.revokeSoon(id).catch(() => {});
    await leases.revoke(id).catch(() => {});
    backend.failAt = 0;
    await start();
    if ((await leases.lookup(id)) !== undefined) await leases.revokeSoon(id);
    await expiry.start();
    await leases.revoke(id);
    await leases.revoke(id);
    expect([...credentials]).toEqual(['other']);
    expect(await leases.lookup(id)).toBeUndefined();
    expect((await ids('db')).length).toBe(1);
    await leases.allBelow('', 'revoke');
    await expiry.sweep();
    clock.advance(24 * 60 * MINUTE);
    await expiry.sweep();
    expect(await leftOvers()).toEqual([]);
  },
);

test('a queued revocation is durable: it happens after a restart, though nobody asks again', async () => {
  const id = await give('db/creds/r', 'user');
  broken = true;
  expect(await leases.revokeSoon(id)).toBe(true);
  await expect(leases.revoke(id)).rejects.toMatchObject({ code: 'base.internal' });
  await start();
  broken = false;
  await expiry.sweep();
  expect([...credentials]).toEqual([]);
  expect(await leftOvers()).toEqual([]);
});

test('two who revoke the same lease at once take it back once', async () => {
  const id = await give('db/creds/r', 'user');
  let calls = 0;
  const counted = { ...handler, revoke: async () => void calls++ };
  leases = new LeaseManager({ storage: backend, clock, log: silentLog, expiry, handlerOf: () => counted });
  await Promise.all([leases.revoke(id), leases.revoke(id), leases.revokeByToken('t')]);
  expect(calls).toBe(1);
});

describe('a prefix', () => {
  test('takes what lies below its folder, and no neighbour whose name begins alike', async () => {
    await give('db/creds/read', 'a');
    await give('db/creds/readonly', 'b');
    await give('db2/creds/read', 'c');
    await leases.allBelow('db/creds/read', 'revoke');
    expect([...credentials].sort()).toEqual(['b', 'c']);
    await leases.allBelow('db/', 'revoke');
    expect([...credentials]).toEqual(['c']);
  });

  test('that is one lease takes that lease alone', async () => {
    const id = await give('db/creds/read', 'a');
    await give('db/creds/read', 'b');
    await leases.allBelow(id, 'revoke');
    expect([...credentials]).toEqual(['b']);
  });

  test('lists its next level, as folders and leases', async () => {
    const id = await give('db/creds/read', 'a');
    await give('db/creds/write', 'b');
    expect(await leases.children('')).toEqual(['db/']);
    expect(await leases.children('db/creds/')).toEqual(['read/', 'write/']);
    expect(await leases.children('db/creds/read')).toEqual([id.slice('db/creds/read/'.length)]);
  });

  test('with one lease that cannot be taken back takes the others back, and says so', async () => {
    await give('db/creds/read', 'a');
    await give('db/creds/read', 'b');
    const stubborn: LeaseHandler = {
      ...handler,
      revoke: async (state) =>
        state === 'a' ? Promise.reject(failure('base.internal')) : handler.revoke(state),
    };
    leases = new LeaseManager({ storage: backend, clock, log: silentLog, expiry, handlerOf: () => stubborn });
    await expect(leases.allBelow('db', 'revoke')).rejects.toMatchObject({ code: 'base.internal' });
    expect([...credentials]).toEqual(['a']);
    await leases.allBelow('db', 'forget');
    expect(await ids('')).toEqual([]);
  });
});

test('a lease that is being taken back is no longer renewed', async () => {
  const id = await give('db/creds/r', 'user');
  broken = true;
  await leases.revokeSoon(id);
  await expect(leases.renew(id, MINUTE)).rejects.toMatchObject({ code: 'lease.not_found' });
});

describe('a lease that cannot be taken back', () => {
  const irrevocable = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { state } of leases.irrevocable()) found.push(String(state));
    return found;
  };

  test('is told as irrevocable once it failed often and long, with what was said last, and is tried on', async () => {
    const id = await give('db/creds/r', 'user');
    await give('db/creds/r', 'living', 60 * MINUTE);
    broken = true;
    clock.advance(10 * MINUTE);
    await expiry.sweep();
    expect((await leases.lookup(id))?.trouble).toMatchObject({ attempts: 1, irrevocable: false });
    await pass(9 * MINUTE);
    expect(await irrevocable()).toEqual([]);
    await pass(5 * MINUTE);
    expect(await irrevocable()).toEqual(['user']);
    expect((await leases.lookup(id))?.trouble).toMatchObject({
      irrevocable: true,
      reason: failure('base.internal').message,
    });
    broken = false;
    await pass(MINUTE);
    expect([...credentials]).toEqual(['living']);
    expect(await irrevocable()).toEqual([]);
    await leases.allBelow('', 'revoke');
    clock.advance(24 * 60 * MINUTE);
    await expiry.sweep();
    expect(await leftOvers()).toEqual([]);
  });

  test('remembers its attempts over restarts, and is forgotten when a person says so', async () => {
    const id = await give('db/creds/r', 'user');
    broken = true;
    await expect(leases.revoke(id)).rejects.toMatchObject({ code: 'base.internal' });
    await start();
    await expect(leases.revoke(id)).rejects.toMatchObject({ code: 'base.internal' });
    expect((await leases.lookup(id))?.trouble?.attempts).toBe(2);
    await leases.forget(id);
    expect(await leases.lookup(id)).toBeUndefined();
  });
});

describe('a database that is away', () => {
  /** How many are asked to be taken back at this moment, and how many at most. */
  let asked: { mount: string; at: number }[];
  let atOnce: number;
  let most: number;
  const away = (): LeaseHandler => ({
    ...handler,
    async revoke(state) {
      asked.push({ mount: 'm', at: clock.monotonic() });
      atOnce++;
      most = Math.max(most, atOnce);
      await settled();
      atOnce--;
      await handler.revoke(state);
    },
  });

  beforeEach(() => {
    asked = [];
    atOnce = 0;
    most = 0;
    leases = new LeaseManager({
      storage: backend,
      clock,
      log: silentLog,
      expiry,
      handlerOf: (uuid) =>
        uuid === 'm' ? away() : { ...handler, revoke: async (s) => void credentials.delete(String(s)) },
    });
  });

  test('is asked by few at once and then by one at a time, and when it is back everything is taken back soon', async () => {
    const LEASES = 600;
    for (let i = 0; i < LEASES; i++) await give('db/creds/r', `user-${i}`, MINUTE);
    broken = true;
    clock.advance(MINUTE);
    await expiry.sweep();
    expect(most).toBeLessThanOrEqual(AT_ONCE);
    expect(asked.length).toBeLessThanOrEqual(AT_ONCE + 5);
    await pass(20 * MINUTE);
    expect(credentials.size).toBe(LEASES);
    // One each half minute at last, or each quarter of one, by the jitter.
    expect(asked.length).toBeLessThan(AT_ONCE + 5 + 4 * 20 + 10);
    expect(leases.problemOf('m')).toBe(failure('base.internal').message);
    broken = false;
    await pass(MINUTE);
    expect(credentials.size).toBe(0);
    expect(most).toBeLessThanOrEqual(AT_ONCE);
    expect(leases.problemOf('m')).toBeUndefined();
  }, 60_000);

  test('forgets nothing over a restart in the middle of it', async () => {
    for (let i = 0; i < 300; i++) await give('db/creds/r', `user-${i}`, MINUTE);
    broken = true;
    clock.advance(MINUTE);
    await expiry.sweep();
    await pass(5 * MINUTE);
    await start();
    await expiry.start();
    await pass(5 * MINUTE);
    expect(credentials.size).toBe(300);
    broken = false;
    await start();
    await expiry.start();
    await pass(12 * MINUTE);
    expect([...credentials]).toEqual([]);
    clock.advance(24 * 60 * MINUTE);
    await expiry.sweep();
    expect(await leftOvers()).toEqual([]);
  }, 60_000);

  test('or that hangs holds up neither the leases of other mounts nor the end of tokens', async () => {
    const hanging: LeaseHandler = { ...handler, revoke: () => new Promise(() => {}) };
    leases = new LeaseManager({
      storage: backend,
      clock,
      log: silentLog,
      expiry,
      handlerOf: (uuid) => (uuid === 'm' ? hanging : handler),
    });
    for (let i = 0; i < 600; i++) await give('db/creds/r', `hangs-${i}`, MINUTE);
    for (let i = 0; i < 600; i++)
      await leases.reserve({
        path: 'other/creds/r',
        mountUuid: 'other',
        handler: 'h',
        state: `other-${i}`,
        tokenHash: 't',
        ttl: { defaultMs: MINUTE + 1000, maxMs: MINUTE + 1000 },
      });
    clock.advance(MINUTE + 1000);
    await eventually(async () => (await leases.count()).get('other') === undefined);
    expect((await leases.count()).get('m')).toBe(600);
    let ended = false;
    const ending = leases.revokeByToken('t').then(() => {
      ended = true;
    });
    for (let i = 0; !ended && i < 1000; i++) {
      await settled();
      clock.advance(100);
    }
    await ending;
  }, 60_000);
});

test('a path too long for the index is refused before any credential is made', async () => {
  await expect(give(`db/${'x'.repeat(2000)}`, 'user')).rejects.toMatchObject({ code: 'storage.key' });
  expect(await leftOvers()).toEqual([]);
});

test('tidying drops index entries that lead nowhere, and takes back what no token holds', async () => {
  const id = await give('db/creds/r', 'user');
  await backend.commit([
    { key: 'lease/path/db/creds/gone/x', value: utf8('"00"') },
    { key: 'lease/mount/m/00', value: utf8('"db/creds/gone/x"') },
    { key: 'token/id/t', delete: true },
  ]);
  expect(await leases.tidy()).toEqual({ dangling: 2, orphaned: 1 });
  await leases.revoke(id);
  expect([...credentials]).toEqual([]);
  expect(await leases.tidy()).toEqual({ dangling: 0, orphaned: 0 });
});
