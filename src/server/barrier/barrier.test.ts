import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { randomKey } from '../../crypto/random.ts';
import { describeBackend } from '../../storage/conformance.ts';
import { MemoryBackend } from '../../storage/memory.ts';
import { near as nearTo } from '../../storage/near.ts';
import type { Backend, Check, Write } from '../../storage/storage.ts';
import { Barrier } from './barrier.ts';
import { KEYRING, SET_HASH } from './records.ts';

const never = new AbortController().signal;
const put = (key: string, text: string): Write => ({ key, value: utf8(text) });

/** A medium whose next commits fail, before or after they took place, or wait. */
class Fickle extends MemoryBackend {
  fail: 'before' | 'after' | undefined;
  gate: Promise<void> | undefined;
  commits = 0;
  questions = 0;

  override async get(key: string) {
    this.questions++;
    return super.get(key);
  }

  override async getMany(keys: readonly string[]) {
    this.questions++;
    return super.getMany(keys);
  }

  override async commit(writes: readonly Write[], checks: readonly Check[] = []): Promise<number> {
    await this.gate;
    this.commits++;
    if (this.fail === 'before') throw failure('storage.write');
    const revision = await super.commit(writes, checks);
    if (this.fail === 'after') throw failure('storage.write');
    return revision;
  }
}

let medium: Fickle;
let barrier: Barrier;
let rootKey: Buffer;

beforeEach(async () => {
  medium = new Fickle();
  barrier = new Barrier(medium);
  rootKey = randomKey(32);
  await barrier.initialize(rootKey);
  await barrier.unseal(rootKey);
});

const read = async (key: string) => {
  const entry = await barrier.view('').get(key);
  return entry && textOf(entry.value);
};
const whole = { damaged: [], set: 'matches' };

describeBackend('a barrier in memory, seen through a view', async () => {
  const backend = new MemoryBackend();
  const own = new Barrier(backend);
  const key = randomKey(32);
  await own.initialize(key);
  await own.unseal(key);
  const view = own.view('');
  let last: Promise<unknown> = Promise.resolve();
  const hidden = (name: string) => name !== 'core/';
  const seen: Backend = {
    name: 'barrier',
    get: (name) => view.get(name),
    getMany: async (names) => {
      const entries = await Promise.all(names.map((name) => view.get(name)));
      return new Map(entries.flatMap((entry) => (entry === undefined ? [] : [[entry.key, entry] as const])));
    },
    // The suite speaks of an empty store: leave out the folder of the barrier's own records.
    list: async (prefix, page = {}) => {
      if (prefix !== '') return view.list(prefix, page);
      const { limit = Number.POSITIVE_INFINITY, ...rest } = page;
      return (await view.list(prefix, { ...rest, limit: limit + 1 })).filter(hidden).slice(0, limit);
    },
    scan: (prefix, signal) => view.scan(prefix, signal),
    commit: (writes, checks) => {
      const done = view.commit(writes, checks);
      last = done.catch(() => {});
      return done;
    },
    head: () => own.head(),
    changes: (after, signal) => own.changes(after, signal),
    close: async () => {
      await last;
      await backend.close();
    },
  };
  return { backend: seen };
});

describe('the states', () => {
  test('are uninitialized, sealed, unsealed, and what is sealed answers nothing', async () => {
    const fresh = new Barrier(new MemoryBackend());
    expect(await fresh.state()).toBe('uninitialized');
    await expect(fresh.unseal(rootKey)).rejects.toMatchObject({ code: 'server.uninitialized' });
    await fresh.initialize(rootKey);
    expect(await fresh.state()).toBe('sealed');
    const sealed = { code: 'server.sealed' };
    const view = fresh.view('a/');
    await expect(view.get('x')).rejects.toMatchObject(sealed);
    await expect(view.list('')).rejects.toMatchObject(sealed);
    await expect(view.commit([put('x', '1')])).rejects.toMatchObject(sealed);
    await expect(view.scan('', never)[Symbol.asyncIterator]().next()).rejects.toMatchObject(sealed);
    await expect(fresh.rotate()).rejects.toMatchObject(sealed);
    await expect(fresh.verify(never)).rejects.toMatchObject(sealed);
    await expect(fresh.head()).rejects.toMatchObject(sealed);
    await fresh.unseal(rootKey);
    expect(await fresh.state()).toBe('unsealed');
  });

  test('a second initialization is refused and changes no key', async () => {
    await barrier.view('').commit([put('a', '1')]);
    await expect(barrier.initialize(randomKey(32))).rejects.toMatchObject({
      code: 'barrier.initialized',
      message: 'Vault is already initialized',
    });
    await barrier.seal();
    await barrier.unseal(rootKey);
    expect(await read('a')).toBe('1');
  });

  test.each([0, 16, 31, 32, 33])('a wrong root key of %d bytes changes no state', async (length) => {
    await barrier.seal();
    await expect(barrier.unseal(randomKey(length))).rejects.toMatchObject({ code: 'barrier.wrong_key' });
    expect(await barrier.state()).toBe('sealed');
    await barrier.unseal(rootKey);
    expect(await barrier.state()).toBe('unsealed');
  });

  test('sealing leaves no key in memory that the barrier allocated', async () => {
    const kept: Buffer[] = [];
    const from = Buffer.from;
    // Everything key-sized that is copied while unsealing is either a key or was wiped.
    await barrier.seal();
    const spy = ((...given: Parameters<typeof Buffer.from>) => {
      const made = from(...given);
      if (made.length === 32) kept.push(made);
      return made;
    }) as typeof Buffer.from;
    Buffer.from = spy;
    try {
      await barrier.unseal(rootKey);
    } finally {
      Buffer.from = from;
    }
    expect(kept.length).toBeGreaterThanOrEqual(3);
    expect(kept.every((key) => key.some((byte) => byte !== 0))).toBe(true);
    await barrier.seal();
    expect(kept.every((key) => key.every((byte) => byte === 0))).toBe(true);
  });

  test('sealing tells a commit under way its true outcome and refuses those behind it', async () => {
    let go = (): void => {};
    medium.gate = new Promise((resolve) => {
      go = resolve;
    });
    const first = barrier.view('').commit([put('a', '1')]);
    await new Promise((resolve) => setImmediate(resolve));
    const second = barrier.view('').commit([put('b', '1')]);
    const refused = expect(second).rejects.toMatchObject({ code: 'server.sealed' });
    const sealing = barrier.seal();
    go();
    await sealing;
    expect(await first).toBeGreaterThan(0);
    await refused;
    await barrier.unseal(rootKey);
    expect([await read('a'), await read('b')]).toEqual(['1', undefined]);
    expect(await barrier.verify(never)).toMatchObject(whole);
  });

  test('sealing refuses what waits, though the barrier be open again when its turn comes', async () => {
    let go = (): void => {};
    medium.gate = new Promise((resolve) => {
      go = resolve;
    });
    const first = barrier.view('').commit([put('a', '1')]);
    await new Promise((resolve) => setImmediate(resolve));
    const refused = expect(barrier.view('').commit([put('b', '1')])).rejects.toMatchObject({
      code: 'server.sealed',
    });
    const sealing = barrier.seal();
    await barrier.unseal(rootKey);
    go();
    await Promise.all([first, refused, sealing]);
    expect([await read('a'), await read('b')]).toEqual(['1', undefined]);
    expect(await barrier.verify(never)).toMatchObject(whole);
  });
});

describe('the medium', () => {
  test('sees no plain text, and the same value never twice the same', async () => {
    await barrier.view('').commit([put('a', 'canary-canary'), put('b', 'canary-canary')]);
    const stored: Buffer[] = [];
    for await (const { value } of medium.scan('', never)) stored.push(Buffer.from(value));
    expect(stored).toHaveLength(4);
    expect(stored.some((bytes) => bytes.includes('canary'))).toBe(false);
    const [a, b] = [await medium.get('a'), await medium.get('b')];
    expect(a?.value).not.toEqual(b?.value);
    expect(
      Buffer.from(a?.value ?? [])
        .subarray(0, 5)
        .toString('hex'),
    ).toBe('0000000102');
  });

  test('cannot change a single bit, or cut, without being found out', async () => {
    await barrier.view('').commit([put('a', 'value')]);
    const good = (await medium.get('a'))?.value ?? new Uint8Array(0);
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      for (const value of [bad, good.subarray(0, at)]) {
        await medium.commit([{ key: 'a', value }]);
        await expect(barrier.view('').get('a')).rejects.toMatchObject({ code: 'storage.corrupt' });
      }
    }
    expect(await barrier.verify(never)).toMatchObject({ damaged: ['a'], set: 'differs' });
    await medium.commit([{ key: 'a', value: good }]);
    expect(await barrier.verify(never)).toMatchObject(whole);
  });

  test('cannot swap two entries, or copy one to another name', async () => {
    await barrier.view('').commit([put('a', 'one'), put('b', 'two')]);
    const [a, b] = [(await medium.get('a'))?.value, (await medium.get('b'))?.value];
    if (a === undefined || b === undefined) throw new Error('not stored');
    await medium.commit([
      { key: 'a', value: b },
      { key: 'b', value: a },
      { key: 'c', value: a },
    ]);
    expect((await barrier.verify(never)).damaged).toEqual(['a', 'b', 'c']);
    for (const key of ['a', 'b', 'c'])
      await expect(barrier.view('').get(key)).rejects.toMatchObject({ code: 'storage.corrupt' });
  });

  test.each(['lost', 'rolled back', 'brought back', 'taken with its record'])(
    'cannot have an entry %s unseen',
    async (how) => {
      const view = barrier.view('');
      await view.commit([put('a', 'old'), put('b', 'old')]);
      const [old, record] = [await medium.get('a'), await medium.get(SET_HASH)];
      await view.commit([put('a', 'new'), { key: 'b', delete: true }]);
      expect(await barrier.verify(never)).toMatchObject(whole);
      if (old === undefined || record === undefined) throw new Error('not stored');
      if (how === 'lost') await medium.commit([{ key: 'a', delete: true }]);
      if (how === 'rolled back') await medium.commit([old]);
      if (how === 'brought back') await medium.commit([{ ...old, key: 'b' }]);
      if (how === 'taken with its record') await medium.commit([{ key: 'a', delete: true }, record]);
      expect((await barrier.verify(never)).set).toBe('differs');
    },
  );

  test('that lost the set-hash record can still be read, but not written as if nothing were', async () => {
    await barrier.view('').commit([put('a', '1')]);
    await barrier.seal();
    await medium.commit([{ key: SET_HASH, delete: true }]);
    await barrier.unseal(rootKey);
    expect(await read('a')).toBe('1');
    expect(await barrier.verify(never)).toMatchObject({ damaged: [], set: 'unreadable' });
    await expect(barrier.view('').commit([put('a', '2')])).rejects.toMatchObject({ code: 'storage.corrupt' });
  });
});

describe('what is near', () => {
  const near = async (key: string) => {
    const entry = await nearTo(barrier.view(''), key);
    return entry && textOf(entry.value);
  };

  test('knows that there is nothing until there is something, and asks the medium once', async () => {
    expect(await near('a')).toBeUndefined();
    const { questions } = medium;
    expect(await near('a')).toBeUndefined();
    expect(medium.questions).toBe(questions);
    await barrier.view('').commit([put('a', '1')]);
    expect(await near('a')).toBe('1');
    await barrier.view('').commit([{ key: 'a', delete: true }]);
    expect(await near('a')).toBeUndefined();
  });

  test('never takes an entry for absent because it could not be read or opened', async () => {
    await barrier.view('').commit([put('a', '1')]);
    const good = await medium.get('a');
    await medium.commit([{ key: 'a', value: utf8('broken') }]);
    await expect(near('a')).rejects.toMatchObject({ code: 'storage.corrupt' });
    if (good !== undefined) await medium.commit([good]);
    expect(await near('a')).toBe('1');
  });

  test('a question that was asked before a commit says nothing of what is there after it', async () => {
    const asked = near('a');
    await Promise.all([asked, barrier.view('').commit([put('a', '1')])]);
    expect(await near('a')).toBe('1');
  });
});

describe('group commit', () => {
  test('many waiting commits are one commit of the medium, each with its own outcome', async () => {
    const view = barrier.view('m/');
    await view.commit([put('taken', '1')]);
    const before = medium.commits;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) =>
        view.commit([put(`k${i}`, `${i}`)], i % 10 === 3 ? [{ key: 'taken', revision: 0 }] : []),
      ),
    );
    expect(medium.commits).toBe(before + 1);
    outcomes.forEach((outcome, i) => {
      if (i % 10 === 3)
        expect(outcome).toMatchObject({ reason: { code: 'storage.conflict', data: 'taken' } });
      else expect(outcome.status).toBe('fulfilled');
    });
    expect(await view.get('k3')).toBeUndefined();
    expect(await barrier.verify(never)).toMatchObject({ ...whole, entries: 92 });
  });

  test('asks the medium for what it must know in one question, however many wait', async () => {
    const view = barrier.view('m/');
    await Promise.all(Array.from({ length: 10 }, (_, i) => view.commit([put(`k${i}`, 'old')])));
    const { questions } = medium;
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        view.commit([put(`k${i}`, 'new'), put(`v${i}`, 'new')], [{ key: `v${i}`, revision: 0 }]),
      ),
    );
    expect(medium.questions).toBe(questions + 1);
    expect(await barrier.verify(never)).toMatchObject(whole);
  });

  test('two writers of one key never share a revision', async () => {
    const view = barrier.view('');
    const revisions = await Promise.all(Array.from({ length: 5 }, (_, i) => view.commit([put('a', `${i}`)])));
    expect(new Set(revisions).size).toBe(5);
    expect(await read('a')).toBe('4');
    expect((await view.get('a'))?.revision).toBe(revisions[4]);
  });

  test.each(['before', 'after'] as const)(
    'a medium that fails %s it wrote fails all members, and the hash stays true',
    async (when) => {
      const view = barrier.view('');
      await view.commit([put('a', '1')]);
      medium.fail = when;
      const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((key) => view.commit([put(key, '2')])));
      expect(outcomes.every((o) => o.status === 'rejected')).toBe(true);
      medium.fail = undefined;
      expect(await read('a')).toBe(when === 'before' ? '1' : '2');
      expect(await barrier.verify(never)).toMatchObject(whole);
      await view.commit([put('d', '3')]);
      expect(await barrier.verify(never)).toMatchObject(whole);
    },
  );

  test('another writer on the same medium is noticed before anything is written over', async () => {
    const other = new Barrier(medium);
    await other.unseal(rootKey);
    await barrier.view('').commit([put('a', '1')]);
    await other.view('').commit([put('b', '2')]);
    await expect(barrier.view('').commit([put('b', '1')])).rejects.toMatchObject({
      code: 'storage.foreign_writer',
    });
    expect(await read('b')).toBe('2');
    expect(await barrier.verify(never)).toMatchObject(whole);
  });

  test('the set-hash is true after any sequence of commits, failures and rotations', async () => {
    const KEYS = ['a', 'b', 'c/d', 'c/e'] as const;
    const key = fc.constantFrom(...KEYS);
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.array(
          fc.oneof(
            key.map((k) => put(k, 'v')),
            key.map((k): Write => ({ key: k, delete: true })),
          ),
          { maxLength: 4 },
        ),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          ...(['before', 'after', 'rotate', 'seal', 'refresh', 'other', 'forget'] as const),
        ),
      },
      { weight: 5, arbitrary: fc.constant('near' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const other = new Barrier(medium);
        for (const s of steps) {
          if (s === 'rotate') await barrier.rotate();
          else if (s === 'seal') {
            await barrier.seal();
            await barrier.unseal(rootKey);
          } else if (s === 'refresh') await barrier.refresh();
          else if (s === 'forget') barrier.forget();
          else if (s === 'near') {
            for (const key of KEYS) {
              const [kept, stored] = [await nearTo(barrier.view(''), key), await barrier.view('').get(key)];
              expect(kept?.revision).toBe(stored?.revision);
              expect(kept && Buffer.from(kept.value)).toEqual(stored && Buffer.from(stored.value));
            }
          } else if (s === 'other') {
            // Another node leads for a while: what it wrote is named, and the set is read anew.
            await other.unseal(rootKey);
            await other.view('').commit([put('a', 'theirs'), { key: 'b', delete: true }]);
            await other.seal();
            barrier.invalidate(['a', 'b']);
            await barrier.refresh();
          } else if (typeof s === 'string') {
            medium.fail = s;
            await expect(barrier.view('').commit([put('a', 'x'), put('z', 'x')])).rejects.toThrow();
            medium.fail = undefined;
          } else await Promise.all(s.map((write) => barrier.view('').commit([write])));
        }
        expect(await barrier.verify(never)).toMatchObject(whole);
      }),
      { numRuns: 100 },
    );
  });
});

describe('rotation', () => {
  test('seals anew under a new term, and opens what older terms sealed, after sealing too', async () => {
    await barrier.view('').commit([put('a', '1')]);
    await Promise.all([barrier.rotate(), barrier.view('').commit([put('b', '2')])]);
    await barrier.view('').commit([put('c', '3')]);
    const term = async (key: string) => (await medium.get(key))?.value[3];
    expect([await term('a'), await term('c')]).toEqual([1, 2]);
    await barrier.seal();
    await barrier.unseal(rootKey);
    expect([await read('a'), await read('b'), await read('c')]).toEqual(['1', '2', '3']);
    expect(await barrier.verify(never)).toMatchObject(whole);
  });

  test('of two at once, none loses a term that seals', async () => {
    const both = await Promise.allSettled([barrier.rotate(), barrier.rotate()]);
    expect(both.filter((o) => o.status === 'fulfilled')).toHaveLength(2);
    expect(barrier.usage.term).toBe(3);
    await barrier.view('').commit([put('a', '1')]);
    await barrier.seal();
    await barrier.unseal(rootKey);
    expect(await read('a')).toBe('1');
  });

  test('that the medium does not take changes nothing', async () => {
    medium.fail = 'before';
    await expect(barrier.rotate()).rejects.toMatchObject({ code: 'storage.write' });
    medium.fail = undefined;
    await barrier.view('').commit([put('a', '1')]);
    expect((await medium.get('a'))?.value[3]).toBe(1);
  });
});

test('the barrier keeps its own records to itself', async () => {
  const core = barrier.view('core/');
  await core.commit([put('mounts', '1'), put('z', '1')]);
  expect(await core.list('')).toEqual(['mounts', 'z']);
  expect(await core.list('', { limit: 1 })).toEqual(['mounts']);
  expect(await core.get('keyring')).toBeUndefined();
  for (const key of [KEYRING, SET_HASH, 'core/seal-config', 'core/root-key-wrapped'])
    await expect(barrier.view('').commit([put(key, 'x')])).rejects.toMatchObject({ code: 'storage.key' });
  const names: string[] = [];
  for await (const { key } of core.scan('', never)) names.push(key);
  expect(names).toEqual(['mounts', 'z']);
  await expect(
    new Barrier(new MemoryBackend()).initialize(rootKey, new Map([['core/other', utf8('x')]])),
  ).rejects.toMatchObject({ code: 'storage.key' });
});
