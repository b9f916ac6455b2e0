import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { ExpiryIndex } from '../lease/expiry.ts';
import { LeaseManager } from '../lease/leases.ts';
import { lifeOf, type NewToken, TokenStore } from './tokens.ts';

const HOUR = 3_600_000;
const PLAIN: NewToken = {
  policies: ['p'],
  path: 'auth/x',
  displayName: 'x',
  ttlMs: HOUR,
  maxTtlMs: 10 * HOUR,
};

let clock: ManualClock;
let storage: MemoryBackend;
let expiry: ExpiryIndex;
let leases: LeaseManager;
let tokens: TokenStore;
let revoked: unknown[];
let failing: number;

async function open(): Promise<void> {
  expiry = new ExpiryIndex({ storage, clock, log: silentLog });
  leases = new LeaseManager({
    log: silentLog,
    storage,
    clock,
    expiry,
    handlerOf: () => ({
      renew: async (_state, ttlMs) => ttlMs,
      async revoke(state) {
        if (failing-- > 0) throw new Error('the database is down');
        revoked.push(state);
      },
    }),
  });
  tokens = await TokenStore.open({ storage, clock, expiry, release: (hash) => leases.revokeByToken(hash) });
}

/** What a restart leaves: the storage. */
async function restart(): Promise<void> {
  expiry.stop();
  await open();
  await expiry.start();
}

const keys = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const entry of storage.scan('', new AbortController().signal)) found.push(entry.key);
  return found;
};
const reserve = (tokenHash: string, state: string, ttlMs = 2 * HOUR) =>
  leases.reserve({
    path: 'database/creds/x',
    mountUuid: 'm',
    handler: 'h',
    state,
    tokenHash,
    ttl: { defaultMs: ttlMs, maxMs: 10 * HOUR },
  });

beforeEach(async () => {
  clock = new ManualClock();
  storage = new MemoryBackend();
  revoked = [];
  failing = 0;
  await open();
});

describe('a token', () => {
  it('is nowhere in the store, in no key and no value', async () => {
    const { token, entry } = await tokens.create(PLAIN);
    expect(token).toMatch(/^hvs\.[0-9A-Za-z]{24}$/);
    for await (const { key, value } of storage.scan('', new AbortController().signal)) {
      expect(key).not.toContain(token);
      expect(key).not.toContain(entry.accessor);
      expect(Buffer.from(value).toString('latin1')).not.toContain(token);
    }
  });

  it('is found again by who showed it, who is a stranger to the store of another opening', async () => {
    const sender = {};
    const { token, entry } = await tokens.create(PLAIN);
    expect(await tokens.lookup(token, sender)).toEqual(entry);
    expect(await tokens.lookup(token, sender)).toEqual(entry);
    const before = storage;
    storage = new MemoryBackend();
    await open();
    expect(await tokens.lookup(token, sender)).toBeUndefined();
    storage = before;
    await restart();
    expect(await tokens.lookup(token, sender)).toEqual(entry);
    await tokens.revoke(entry.hash);
    expect(await tokens.lookup(token, sender)).toBeUndefined();
  });

  it('lives to the millisecond and not one longer, even where no timer fired', async () => {
    const { token } = await tokens.create(PLAIN);
    clock.jump(HOUR - 1);
    expect(await tokens.lookup(token)).toBeDefined();
    clock.jump(1);
    expect(await tokens.lookup(token)).toBeUndefined();
  });

  it('is cleared away when it expires, and leaves nothing behind', async () => {
    const before = await keys();
    await tokens.create(PLAIN);
    clock.advance(HOUR);
    await expiry.sweep();
    expect(await keys()).toEqual(before);
  });

  it('expires while the server is down', async () => {
    const { token, entry } = await tokens.create(PLAIN);
    await reserve(entry.hash, 'credential');
    expiry.stop();
    clock.jump(2 * HOUR);
    await restart();
    expect(await tokens.lookup(token)).toBeUndefined();
    expect(revoked).toEqual(['credential']);
  });

  it('that was not renewed outlives a restart', async () => {
    const { token } = await tokens.create(PLAIN);
    await restart();
    expect(await tokens.lookup(token)).toBeDefined();
  });

  it('cannot be made twice under one name', async () => {
    await tokens.create({ ...PLAIN, id: 'mine' });
    await expect(tokens.create({ ...PLAIN, id: 'mine' })).rejects.toMatchObject({ code: 'token.exists' });
  });
});

describe('renewal', () => {
  it('never goes past the longest life, counted from birth', async () => {
    const { token, entry } = await tokens.create(PLAIN);
    for (let hour = 0; hour < 9; hour++) {
      clock.jump(HOUR - 1);
      await tokens.renew(entry.hash, 20 * HOUR);
    }
    const capped = await tokens.renew(entry.hash, 20 * HOUR);
    expect(capped.entry.expiresAt).toBe(entry.createdAt + 10 * HOUR);
    expect(capped.warnings).toEqual([
      'TTL of "20h0m0s" exceeded the effective max_ttl of "1h0m1s"; TTL value is capped accordingly',
    ]);
    clock.jump(2 * HOUR);
    expect(await tokens.lookup(token)).toBeUndefined();
    await expect(tokens.renew(entry.hash, HOUR)).rejects.toMatchObject({ code: 'token.missing' });
  });

  it('warns of a cap only where it takes a second or more, and names what is left', async () => {
    const { entry } = await tokens.create({ ...PLAIN, ttlMs: 10 * HOUR });
    expect(entry.ttlMs).toBe(10 * HOUR);
    clock.jump(999);
    const soon = await tokens.renew(entry.hash, 0);
    expect(soon.warnings).toEqual([]);
    expect(soon.entry.expiresAt).toBe(entry.createdAt + 10 * HOUR);
    clock.jump(501);
    expect((await tokens.renew(entry.hash, 0)).warnings).toEqual([
      'TTL of "10h0m0s" exceeded the effective max_ttl of "9h59m59s"; TTL value is capped accordingly',
    ]);
  });

  it('keeps a periodic token as long as it comes, but not past an explicit end', async () => {
    const periodic = await tokens.create({ ...PLAIN, periodMs: HOUR });
    const bounded = await tokens.create({ ...PLAIN, periodMs: HOUR, explicitMaxTtlMs: 5 * HOUR });
    for (let times = 0; times < 30; times++) {
      clock.jump(HOUR - 1);
      expect((await tokens.renew(periodic.entry.hash, 0)).entry.expiresAt).toBe(clock.now() + HOUR);
      if (times < 4) await tokens.renew(bounded.entry.hash, 0);
    }
    expect(await tokens.lookup(bounded.token)).toBeUndefined();
  });

  it('is refused to tokens that may not and to root', async () => {
    const fixed = await tokens.create({ ...PLAIN, renewable: false });
    const root = await tokens.create({ ...PLAIN, policies: ['root'], ttlMs: 0, maxTtlMs: 0 });
    for (const { entry } of [fixed, root])
      await expect(tokens.renew(entry.hash, HOUR)).rejects.toMatchObject({ code: 'token.not_renewable' });
  });

  it('gives no life beyond any cap, whatever is asked', () => {
    const ms = fc.integer({ min: 1, max: 1e9 });
    const cap = fc.integer({ min: 0, max: 1e9 });
    fc.assert(
      fc.property(
        ms,
        cap,
        cap,
        cap,
        fc.integer({ min: 0, max: 1e9 }),
        (asked, periodMs, maxTtlMs, explicitMaxTtlMs, age) => {
          const life = lifeOf({ asked, periodMs, maxTtlMs, explicitMaxTtlMs, age }, []);
          expect(life).toBeGreaterThan(0);
          if (explicitMaxTtlMs > 0) expect(life).toBeLessThanOrEqual(Math.max(1, explicitMaxTtlMs - age));
          if (periodMs === 0 && maxTtlMs > 0) expect(life).toBeLessThanOrEqual(Math.max(1, maxTtlMs - age));
        },
      ),
    );
  });
});

describe('revocation', () => {
  it('takes the whole tree, its leases with it, and nobody else', async () => {
    const root = await tokens.create(PLAIN);
    const other = await tokens.create(PLAIN);
    const family = [root];
    for (let depth = 0; depth < 4; depth++)
      for (const parent of family.slice(-2))
        family.push(await tokens.create({ ...PLAIN, parent: parent.entry.hash }));
    for (const [index, { entry }] of family.entries()) await reserve(entry.hash, `lease ${index}`);
    await tokens.revoke(root.entry.hash);
    for (const { token } of family) expect(await tokens.lookup(token)).toBeUndefined();
    expect(await tokens.lookup(other.token)).toBeDefined();
    expect(new Set(revoked).size).toBe(family.length);
    expect((await keys()).filter((key) => key.startsWith('lease/') || key.includes('child'))).toEqual([]);
  });

  it('can leave the children as orphans', async () => {
    const parent = await tokens.create(PLAIN);
    const child = await tokens.create({ ...PLAIN, parent: parent.entry.hash });
    await tokens.revoke(parent.entry.hash, { keepChildren: true });
    expect(await tokens.lookup(parent.token)).toBeUndefined();
    expect(await tokens.lookup(child.token)).toMatchObject({ hash: child.entry.hash });
    expect((await tokens.lookup(child.token))?.parent).toBeUndefined();
  });

  it('lets no child slip out that is made at the same time', async () => {
    const parent = await tokens.create(PLAIN);
    const made = Array.from({ length: 20 }, () =>
      tokens.create({ ...PLAIN, parent: parent.entry.hash }).catch(() => undefined),
    );
    const [children] = await Promise.all([Promise.all(made), tokens.revoke(parent.entry.hash)]);
    for (const child of children)
      if (child !== undefined) expect(await tokens.lookup(child.token)).toBeUndefined();
  });

  it('ends a token though a database is down: what it was given is taken back when that is up, over a crash too', async () => {
    const { token, entry } = await tokens.create(PLAIN);
    await reserve(entry.hash, 'credential');
    failing = 3;
    await tokens.revoke(entry.hash);
    expect(await tokens.lookup(token)).toBeUndefined();
    expect(revoked).toEqual([]);
    await restart();
    for (let tries = 0; tries < 6 && revoked.length === 0; tries++) {
      clock.advance(60_000);
      await expiry.sweep();
    }
    expect(revoked).toEqual(['credential']);
    // The retry that is no longer needed stays in the index until it is due.
    clock.advance(HOUR);
    await expiry.sweep();
    expect((await keys()).filter((key) => key !== 'token/salt')).toEqual([]);
  });

  it('is told to who watches', async () => {
    const { entry } = await tokens.create(PLAIN);
    const seen: string[] = [];
    tokens.onRevoke((hash) => seen.push(hash));
    await tokens.revoke(entry.hash);
    expect(seen).toEqual([entry.hash]);
  });
});

describe('a lease', () => {
  it('is taken back when its time is over, once', async () => {
    const { entry } = await tokens.create({ ...PLAIN, ttlMs: 9 * HOUR });
    const { id } = await reserve(entry.hash, 'a', HOUR);
    expect(id).toMatch(/^database\/creds\/x\/[0-9A-Za-z]{24}$/);
    clock.jump(HOUR - 1);
    await expiry.sweep();
    expect(revoked).toEqual([]);
    clock.jump(1);
    await expiry.sweep();
    await expiry.sweep();
    expect(revoked).toEqual(['a']);
  });

  it('is renewed up to its cap, and not after its end', async () => {
    const { entry } = await tokens.create({ ...PLAIN, ttlMs: 9 * HOUR });
    const { id } = await reserve(entry.hash, 'a', HOUR);
    clock.jump(HOUR / 2);
    expect((await leases.renew(id, 50 * HOUR)).durationMs).toBe(9.5 * HOUR);
    clock.jump(10 * HOUR);
    await expect(leases.renew(id, HOUR)).rejects.toMatchObject({ code: 'lease.not_found' });
  });

  it('is not given to a token that is gone', async () => {
    const { entry } = await tokens.create(PLAIN);
    await tokens.revoke(entry.hash);
    await expect(reserve(entry.hash, 'a')).rejects.toMatchObject({ code: 'request.denied' });
  });
});
